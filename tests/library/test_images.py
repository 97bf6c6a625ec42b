"""What `Run.upscale` takes, and what comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from srexp.config.compose import compose
from srexp.config.settings import build_option
from srexp.images.quantize import from_uint8, to_uint8
from srexp.library.images import upscale
from srexp.models.resampler import Resampler
from srexp.models.upscaler import Upscaler
from srexp.options import OptionError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def bicubic() -> Upscaler:
    degradation = build_option(
        "degradation", compose("train", ["degradation.engine=pillow"])["degradation"], "degradation"
    )
    return Upscaler(Resampler(interpolation="bicubic"), degradation, channels=3)


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 1), (6, 8, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_an_array_comes_back_in_its_own_form(shape: Any, kind: Any, bicubic: Upscaler) -> None:
    image = np.resize(PIXELS, shape)
    if kind != np.uint8:
        image = (image / 255).astype(kind)
    made = upscale(image, bicubic)
    assert made.shape == (12, 16, *shape[2:])
    assert made.dtype == (np.uint8 if kind == np.uint8 else np.float32)
    assert made.min() >= 0 and made.max() <= (255 if kind == np.uint8 else 1)


def test_8_bits_are_what_an_evaluation_makes_of_them(bicubic: Upscaler) -> None:
    wanted = to_uint8(bicubic(from_uint8(PIXELS), eight_bit=True))
    assert np.array_equal(upscale(PIXELS, bicubic), wanted)
    assert np.array_equal(np.asarray(upscale(Image.fromarray(PIXELS), bicubic)), wanted)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_pillow_image_keeps_its_mode(mode: str, bicubic: Upscaler) -> None:
    made = upscale(Image.fromarray(PIXELS).convert(mode), bicubic)
    assert made.mode == mode and made.size == (16, 12)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 4, 4), np.uint8), "leave the alpha channel out: image[..., :-1]"),
        (np.zeros((2, 4, 4, 3), np.uint8), "must be [h, w], [h, w, 1] or [h, w, 3]"),
        (np.zeros((0, 4), np.uint8), "has no pixels (0x4)"),
        (np.zeros((4, 4), np.int64), "must be uint8 or float, and is int64"),
        (np.full((4, 4), 255.0), "must be in [0, 1], and are from 255 to 255; divide by 255"),
        (np.full((4, 4), np.nan), "must be in [0, 1]"),
        (Image.new("RGBA", (4, 4)), "mode RGBA with transparency: must be L or RGB"),
        (Image.new("LA", (4, 4)), "as image.convert('L') makes it"),
        (Image.new("CMYK", (4, 4)), "as image.convert('RGB') makes it"),
        ("image.png", "must be an array or a Pillow image, and is of type str"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_words(image: Any, words: str, bicubic: Upscaler) -> None:
    with pytest.raises(OptionError) as raised:
        upscale(image, bicubic)
    assert words in str(raised.value)
