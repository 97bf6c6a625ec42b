"""Each loss and its gradient against NumPy in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from omegaconf import OmegaConf

from srexp.config.compose import conf_dir
from srexp.config.settings import build_option
from srexp.losses.base import Loss
from srexp.losses.pixel import MAE, MSE, Charbonnier, Huber, LogCosh

# name -> (mean over pixels of this function of the error, its derivative)
Pair = tuple[Callable[[np.ndarray, Any], np.ndarray], Callable[[np.ndarray, Any], np.ndarray]]
CLOSED_FORMS: dict[str, Pair] = {
    "mse": (lambda e, o: e**2, lambda e, o: 2 * e),
    "mae": (lambda e, o: np.abs(e), lambda e, o: np.sign(e)),
    # Lai et al., LapSRN, 2017, section 3.3.
    "charbonnier": (
        lambda e, o: np.sqrt(e**2 + o.epsilon**2),
        lambda e, o: e / np.sqrt(e**2 + o.epsilon**2),
    ),
    "huber": (
        lambda e, o: scipy.special.huber(o.delta, e),
        lambda e, o: np.clip(e, -o.delta, o.delta),
    ),
    "log_cosh": (
        lambda e, o: o.width**2 * np.log(np.cosh(e / o.width)),
        lambda e, o: o.width * np.tanh(e / o.width),
    ),
}
OTHERS = [Charbonnier(epsilon=0.1), Charbonnier(epsilon=1e-6), Huber(delta=0.3), Huber(delta=5.0)]
OTHERS += [LogCosh(width=0.5), LogCosh(width=3.0)]


def option(name: str) -> Loss:
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / "loss" / f"{name}.yaml"))
    return build_option("loss", node, "loss")


def images() -> tuple[np.ndarray, np.ndarray]:
    """HR and SR with errors from nothing over a hair to beyond every delta, on both sides."""
    random = np.random.default_rng(6)
    hr = random.random((2, 5, 7, 3), np.float32)
    size = random.choice([0, 1e-4, 0.003, 0.02, 0.4, 1.2], hr.shape)
    error = (size * random.choice([-1, 1], hr.shape)).astype(np.float32)
    return hr, hr + error


def value_and_gradient(loss: Loss, hr: np.ndarray, sr: np.ndarray) -> tuple[float, np.ndarray]:
    function, variable = loss.build(channels=3, scale=2), tf.constant(sr)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        (value,) = function(tf.constant(hr), variable, tf.constant(0)).values()
    assert value.shape == ()
    return float(value), tape.gradient(value, variable).numpy()


def check(loss: Loss) -> None:
    hr, sr = images()
    error = sr.astype(np.float64) - hr.astype(np.float64)
    of_error, slope = CLOSED_FORMS[loss.name]
    value, gradient = value_and_gradient(loss, hr, sr)
    assert value == pytest.approx(of_error(error, loss).mean(), rel=1e-5)
    # The mean's own factor, 1 / (N H W C), stands before every derivative.
    np.testing.assert_allclose(gradient * error.size, slope(error, loss), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_value_and_gradient_with_the_numbers_of_the_yaml(name: str) -> None:
    check(option(name))


@pytest.mark.parametrize("loss", OTHERS, ids=str)
def test_value_and_gradient_with_other_numbers(loss: Loss) -> None:
    check(loss)


@pytest.mark.parametrize("loss", [MSE(), MAE(), Huber(delta=0.01)], ids=str)
def test_nothing_where_hr_and_sr_are_equal(loss: Loss) -> None:
    hr, _ = images()
    value, gradient = value_and_gradient(loss, hr, hr)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_charbonnier_is_epsilon_where_hr_and_sr_are_equal() -> None:
    hr, _ = images()
    value, gradient = value_and_gradient(Charbonnier(epsilon=1e-3), hr, hr)
    assert value == pytest.approx(1e-3, rel=1e-5)
    np.testing.assert_array_equal(gradient, 0)


def test_huber_is_half_the_squared_error_inside_and_a_line_outside() -> None:
    hr = np.zeros((1, 1, 1, 1), np.float32)
    for error, wanted in ((0.1, 0.005), (-0.1, 0.005), (0.5, 0.125), (1.0, 0.375), (-2.0, 0.875)):
        value, _ = value_and_gradient(Huber(delta=0.5), hr, hr + np.float32(error))
        assert value == pytest.approx(wanted, rel=1e-6)


# Losses whose formulas are checked in the other modules of this folder.
ELSEWHERE = (
    "ssim",
    "ms_ssim",
    "gradient",
    "laplacian",
    "total_variation",
    "fft",
    "sum",
    "perceptual",
)


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "loss").glob("*.yaml")))
def test_every_loss_is_checked_somewhere(name: str) -> None:
    assert name in CLOSED_FORMS or name in ELSEWHERE, f"check the formula of {name}"
