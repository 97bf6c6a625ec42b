"""Dead units, counted by hand, and as a curve of a training."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.activations.base import Activation
from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.training.activity import Activity


def act(name: str) -> Activation:
    return experiment_of(compose("train", [f"act={name}"])).act


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "prelu", "relu6"])
def test_a_unit_that_is_nowhere_above_0_is_dead(name: str) -> None:
    """Biases of -2 silence an input in [0, 1] with weights of 1; one of -0.5 does not."""
    inputs = keras.Input((None, None, 1))
    first = keras.layers.Conv2D(4, 1)(inputs)
    hidden = act(name).build()(first)
    network = keras.Model(inputs, act(name).build()(keras.layers.Conv2D(1, 1)(hidden)))
    biases = np.array([-2.0, -0.5, -2.0, 0.0])
    network.layers[1].set_weights([np.ones((1, 1, 1, 4)), biases])
    network.layers[3].set_weights([np.zeros((1, 1, 4, 1)), np.array([1.0])])
    x = np.random.default_rng(0).random((2, 6, 6, 1), np.float32)
    activity = Activity(network, act(name), x)
    assert activity.dead() == pytest.approx(2 / 5)
    network.layers[3].set_weights([np.zeros((1, 1, 4, 1)), np.array([-1.0])])
    assert activity.dead() == pytest.approx(3 / 5)  # the weights as they are now


def test_an_activation_that_branches_share_counts_in_each() -> None:
    """LapSRN's way; one branch is silent, the other is not."""
    inputs = keras.Input((None, None, 1))
    shared = act("relu").build()
    branches = [
        shared(keras.layers.Conv2D(2, 1, kernel_initializer="ones",
                                   bias_initializer=keras.initializers.Constant(bias))(inputs))
        for bias in (-2.0, 0.5)
    ]  # fmt: skip
    network = keras.Model(inputs, keras.layers.Add()(branches))
    x = np.random.default_rng(0).random((2, 6, 6, 1), np.float32)
    assert Activity(network, act("relu"), x).dead() == pytest.approx(1 / 2)


def test_a_network_without_the_activation_is_not_watched() -> None:
    inputs = keras.Input((None, None, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(2, 1)(inputs))
    assert Activity(network, act("relu"), np.zeros((1, 4, 4, 1), np.float32)).dead() is None


def test_smooth_ones_are_not_watched() -> None:
    assert not any(act(name).rectifies for name in ("tanh", "gelu", "elu", "silu", "softplus"))


def test_every_network_has_units_that_can_be_watched() -> None:
    """Its activations stand in the graph, where they are found."""
    for name in ("deconv", "srcnn", "edsr", "rcan", "pan", "sesr", "ecbsr", "srresnet"):
        experiment = experiment_of(compose("train", [f"model={name}", "act=relu"]))
        network = experiment.model.build(scale=2, channels=3, act=experiment.act)
        factors = experiment.model.input_factors(2)
        given = [np.random.default_rng(0).random((1, 8 * f, 8 * f, 3), np.float32) for f in factors]
        share = Activity(network, experiment.act, given if len(given) > 1 else given[0]).dead()
        assert 0 <= share < 1, name
