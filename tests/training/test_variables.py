"""Names of variables: the same in every process, whatever was built before."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.training.variables import network_variables, optimizer_variables


class Block(keras.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.Conv2D(2, 1)
        self.second = keras.layers.Conv2D(1, 1)

    def build(self, shape: tuple[int, ...]) -> None:
        self.first.build(shape)
        self.second.build((*shape[:-1], 2))
        super().build(shape)

    def call(self, x):  # type: ignore[no-untyped-def]
        return self.second(self.first(x))


def network() -> keras.Model:
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(1, 1, name="conv_7")(inputs)
    x = keras.layers.Conv2D(1, 1)(x)
    x = keras.layers.PReLU(shared_axes=[1, 2])(x)
    x = keras.layers.Conv2D(1, 1)(x)
    x = keras.layers.Dropout(0.1)(keras.layers.BatchNormalization()(x))
    x = Block()(Block()(x))
    inner = keras.Input((None, None, 1))
    # Called as a layer outside it is called, in a model of its own.
    x = keras.Model(inner, keras.layers.Conv2D(1, 1, name="conv_7")(inner))(x)
    return keras.Model(inputs, x)


def test_names_do_not_depend_on_what_was_built_before() -> None:
    first = network_variables(network())
    assert list(first) == list(network_variables(network()))
    assert [name for name in first if "kernel" in name] == [
        "conv_7/kernel", "conv2d/kernel", "conv2d_1/kernel",
        "block/conv2d/kernel", "block/conv2d_1/kernel",
        "block_1/conv2d/kernel", "block_1/conv2d_1/kernel", "conv_7/kernel:2",
    ]  # fmt: skip
    assert {"batch_normalization/moving_mean", "p_re_lu/alpha"} <= first.keys()
    assert "seed_generator/seed_generator_state" in first


def test_every_variable_has_its_own_name() -> None:
    model = network()
    named = network_variables(model)
    assert [id(variable) for variable in named.values()] == [id(v) for v in model.variables]


@pytest.mark.parametrize("mixed", [False, True])
def test_the_state_of_an_optimizer_is_named_after_its_weight(mixed: bool) -> None:
    model = network()
    optimizer = keras.optimizers.Adam(use_ema=True, gradient_accumulation_steps=2)
    inner = optimizer
    if mixed:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    named = optimizer_variables(optimizer, model)
    assert [id(variable) for variable in named.values()] == [id(v) for v in optimizer.variables]
    trainable = [v for v in network_variables(model).values() if v.trainable]
    weights = {id(v): name for name, v in network_variables(model).items()}
    for slots, kind in ((inner._momentums, "momentum"), (inner._velocities, "velocity")):
        for slot, weight in zip(slots, trainable, strict=True):
            (found,) = (name for name, v in named.items() if v is slot)
            assert found.removesuffix(":2") == f"adam/{weights[id(weight)]}/{kind}".replace(
                ":2", ""
            )
    assert "adam/iteration" in named


def test_shapes_belong_to_the_names() -> None:
    model = network()
    for name, variable in network_variables(model).items():
        if "block" in name and name.endswith("conv2d/kernel"):
            assert np.shape(variable) == (1, 1, 1, 2), name
