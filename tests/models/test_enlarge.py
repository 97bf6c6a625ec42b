"""Enlarging inside a network is enlarging outside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from tests_environment import command_environment

from srexp.activations.rectifiers import ReLU
from srexp.degradations.downscale import Downscale
from srexp.evaluation.inference import upscaler
from srexp.images.resize import MATLAB_INTERPOLATIONS, enlarge
from srexp.models.enlarge import enlarge_tensor, network_from_lr
from srexp.models.srcnn import SRCNN


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("engine", ["matlab", "pillow"])
@pytest.mark.parametrize("interpolation", MATLAB_INTERPOLATIONS)
def test_is_the_same_as_on_arrays_to_the_edges(scale: int, engine: str, interpolation: str) -> None:
    lr = image(7, 9, 3)
    got = np.asarray(enlarge_tensor(lr[None], scale, interpolation, engine))[0]
    np.testing.assert_allclose(got, enlarge(lr, scale, interpolation, engine), atol=3e-6)


def test_is_what_pillow_does() -> None:
    lr = image(6, 5)
    wanted = Image.fromarray(lr).resize((15, 18), Image.Resampling.LANCZOS)
    got = np.asarray(enlarge_tensor(lr[None, ..., None], 3, "lanczos", "pillow"))[0, ..., 0]
    np.testing.assert_allclose(got, np.asarray(wanted), atol=3e-6)


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos"])
@pytest.mark.parametrize("engine", ["matlab", "pillow"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1), (2, 2), (2, 3), (3, 3)])
def test_very_small_images(size: tuple[int, int], engine: str, interpolation: str) -> None:
    """Sides shorter than the kernel reaches."""
    lr = image(*size, 1)
    got = np.asarray(enlarge_tensor(lr[None], 2, interpolation, engine))[0]
    np.testing.assert_allclose(got, enlarge(lr, 2, interpolation, engine), atol=3e-6)


def test_one_file_takes_lr_and_opens_without_srexp(tmp_path: Path) -> None:
    model = SRCNN(
        filters=[4, 3], kernel_sizes=[3, 1, 3], residual=True, upscale_interpolation="lanczos"
    )
    network = model.build(scale=3, channels=3, act=ReLU())
    for variable in network.trainable_variables:
        variable.assign(variable + 0.05 * np.random.default_rng(1).standard_normal(variable.shape))
    downscale = Downscale(scale=3, interpolation="bicubic", engine="matlab", antialias=True)
    made = upscaler(network, model, downscale, 3)
    whole = network_from_lr(network, made)
    lr = image(8, 11, 3)
    wanted = made(lr)
    np.testing.assert_allclose(np.asarray(whole(lr[None]))[0], wanted, atol=5e-6)
    assert [v.shape for v in whole.variables] == [v.shape for v in network.variables]
    whole.save(tmp_path / "whole.keras")
    np.save(tmp_path / "lr.npy", lr)
    script = (
        "import keras, numpy as np, sys\n"
        "network = keras.models.load_model('whole.keras')\n"
        "np.save('sr.npy', np.asarray(network(np.load('lr.npy')[None])))\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'srexp']\n"
    )
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=True, env=command_environment(tmp_path)
    )
    np.testing.assert_allclose(np.load(tmp_path / "sr.npy")[0], wanted, atol=5e-6)
    assert keras.models.load_model(tmp_path / "whole.keras").count_params() > 0
