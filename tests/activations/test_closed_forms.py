"""Each activation against its formula, with the numbers of its own YAML and with others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from omegaconf import OmegaConf
from scipy.special import expit, ndtr

from srexp.activations.base import Activation
from srexp.activations.rectifiers import LeakyReLU, PReLU
from srexp.activations.smooth import ELU
from srexp.config.compose import compose, conf_dir
from srexp.config.settings import build_option

GRID = np.concatenate([np.linspace(-8, 8, 321), [-0.0, 1e-4, -1e-4, 20, -20]]).astype(np.float32)


# name -> formula of x and the option
Formula = Callable[[np.ndarray, Any], np.ndarray]
CLOSED_FORMS: dict[str, Formula] = {
    "relu": lambda x, o: np.maximum(x, 0),
    "leaky_relu": lambda x, o: np.where(x > 0, x, o.negative_slope * x),
    "prelu": lambda x, o: np.where(x > 0, x, o.initial_slope * x),
    "elu": lambda x, o: np.where(x > 0, x, o.alpha * np.expm1(x)),
    # Klambauer et al., 2017, equations 2 and 14: lambda and alpha to the digits printed there.
    "selu": lambda x, o: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x, o: x * ndtr(x),
    "silu": lambda x, o: x * expit(x),
    "tanh": lambda x, o: np.tanh(x),
    "mish": lambda x, o: x * np.tanh(np.logaddexp(0, x)),
    "softplus": lambda x, o: np.logaddexp(0, x),
    "squareplus": lambda x, o: (x + np.sqrt(x**2 + 4)) / 2,
    "softsign": lambda x, o: x / (1 + np.abs(x)),
    "sigmoid": lambda x, o: expit(x),
    "hard_tanh": lambda x, o: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x, o: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x, o: x * np.clip(x / 6 + 0.5, 0, 1),
    "relu6": lambda x, o: np.clip(x, 0, 6),
}


def option(name: str) -> Activation:
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / "act" / f"{name}.yaml"))
    return build_option("act", node, "act")


def apply(act: Activation, values: np.ndarray) -> np.ndarray:
    layer = act.build()
    return np.asarray(layer(values.reshape(1, 1, -1, 1).astype(np.float32))).ravel()


def check(act: Activation, name: str) -> None:
    wanted = CLOSED_FORMS[name](GRID.astype(np.float64), act)
    np.testing.assert_allclose(apply(act, GRID), wanted, atol=2e-6, rtol=2e-6)


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_value_with_the_numbers_of_the_yaml(name: str) -> None:
    check(option(name), name)


@pytest.mark.parametrize("name", sorted(path.stem for path in (conf_dir() / "act").glob("*.yaml")))
def test_every_activation_is_checked_somewhere(name: str) -> None:
    own = Path(__file__).with_name(f"test_{name}.py")
    assert name in CLOSED_FORMS or own.is_file(), f"write {own} with the formula of {name}"


@pytest.mark.parametrize("act", [
    LeakyReLU(negative_slope=0.0), LeakyReLU(negative_slope=0.05), LeakyReLU(negative_slope=1.0),
    PReLU(initial_slope=0.0), PReLU(initial_slope=-0.5), ELU(alpha=0.3), ELU(alpha=2.5),
])  # fmt: skip
def test_value_with_other_numbers(act: Activation) -> None:
    check(act, act.name)


def test_a_number_from_the_command_line_arrives() -> None:
    node = compose(overrides=["act=leaky_relu", "act.negative_slope=0.7"])["act"]
    act = build_option("act", node, "act")
    np.testing.assert_allclose(apply(act, np.array([-2.0, 2.0])), [-1.4, 2.0], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(CLOSED_FORMS))
def test_slope_is_the_derivative_of_the_formula(name: str) -> None:
    act = option(name)
    points = np.array([-3.1, -1.3, -0.4, 0.3, 0.9, 2.7])
    inputs = tf.constant(points.reshape(1, 1, -1, 1), tf.float32)
    layer = act.build()
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    formula, h = CLOSED_FORMS[name], 1e-5
    wanted = (formula(points + h, act) - formula(points - h, act)) / (2 * h)
    np.testing.assert_allclose(
        tape.gradient(outputs, inputs).numpy().ravel(), wanted, atol=2e-5, rtol=2e-5
    )


def test_prelu_learns_one_slope_a_channel() -> None:
    """He et al., 2015, equation 1, channel-wise: any image size, C weights."""
    layer = PReLU(initial_slope=0.25).build()
    inputs = keras.Input((None, None, 3))
    network = keras.Model(inputs, layer(inputs))
    (slopes,) = layer.trainable_weights
    assert np.asarray(slopes).ravel().tolist() == [0.25] * 3
    slopes.assign(np.reshape([0.1, 0.2, 0.3], slopes.shape))
    for size in ((4, 6), (3, 2)):
        image = -np.ones((2, *size, 3), np.float32)
        np.testing.assert_allclose(
            np.asarray(network(image)), image * np.float32([0.1, 0.2, 0.3]), rtol=1e-6
        )
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(network(-np.ones((2, 4, 6, 3), np.float32)))
    # d/da of a * x summed over the 2 * 4 * 6 pixels of each channel, x = -1.
    gradient = tape.gradient(total, network.trainable_variables)[0]
    np.testing.assert_allclose(np.ravel(gradient), [-48.0] * 3)
