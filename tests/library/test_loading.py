"""`srexp.load`: what it takes, and that it is what `srexp upscale` does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import srexp

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)


def test_arrays_batches_lists_and_pillow_images_come_back_as_they_are() -> None:
    tiny = srexp.load("tiny", scale=2)
    made = tiny.upscale(PIXELS)
    assert made.shape == (18, 16, 3) and made.dtype == np.uint8
    assert (tiny.upscale(np.stack([PIXELS, PIXELS]))[1] == made).all()
    listed = tiny.upscale([Image.fromarray(PIXELS), PIXELS[..., 0]])
    assert listed[0].size == (16, 18) and listed[1].shape == (18, 16)
    assert (np.asarray(listed[0]) == made).all()
    floats = tiny.upscale(PIXELS / np.float32(255))
    assert floats.dtype == np.float32 and np.abs(floats * 255 - made).max() <= 0.5 + 1e-3


def test_a_transparent_picture_keeps_its_alpha() -> None:
    layers = np.concatenate([PIXELS, np.full((9, 8, 1), 255, np.uint8)], 2)
    layers[:4, :, 3] = 0
    made = np.asarray(srexp.load().upscale(Image.fromarray(layers)))
    assert (made[:6, :, 3] == 0).all() and (made[10:, :, 3] == 255).all()


@pytest.mark.parametrize("scale", [1, 3, 5])
def test_any_scale(scale: int) -> None:
    assert srexp.load(scale=scale).upscale(PIXELS).shape == (9 * scale, 8 * scale, 3)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"scale": 0}, "scale=0: must be a whole number from 1 to 16"),
        ({"scale": True}, "scale=True"),
        ({"kind": "old"}, "kind='old': must be one of clean"),
    ],
)
def test_bad_input(given: dict[str, object], says: str) -> None:
    with pytest.raises(srexp.OptionError, match=says):
        srexp.load(**given)  # type: ignore[arg-type]


def test_a_run_that_is_not_there(tmp_path) -> None:
    with pytest.raises(srexp.RunError):
        srexp.load("latest", output_dir=tmp_path)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, srexp, numpy; srexp.load().upscale(numpy.zeros((4, 4), numpy.uint8));"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'keras', 'tensorflow', 'mlflow'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("", "")
