"""What holds for every activation, whatever its formula."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

GRID = np.linspace(-30, 30, 601, dtype=np.float32)


@pytest.fixture
def layer(option, act_name: str) -> keras.layers.Layer:
    return option("act", act_name).build()


def test_acts_on_each_number_alone(layer: keras.layers.Layer) -> None:
    image = GRID[:600].reshape(2, 10, 10, 3)
    whole = np.asarray(layer(image))
    order = np.random.default_rng(0).permutation(100)
    turned = image.reshape(2, 100, 3)[:, order].reshape(2, 10, 10, 3)
    np.testing.assert_array_equal(
        np.asarray(layer(turned)).reshape(2, 100, 3), whole.reshape(2, 100, 3)[:, order]
    )


def test_values_and_slopes_are_finite_far_out(layer: keras.layers.Layer) -> None:
    inputs = tf.constant(np.concatenate([GRID, [-1e4, 1e4, 0]]).astype("float32"))[None, None, :]
    inputs = tf.reshape(inputs, (1, -1, 1, 1))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
    slopes = tape.gradient(outputs, inputs).numpy()
    assert np.isfinite(outputs.numpy()).all()
    assert np.isfinite(slopes).all()
    assert np.abs(slopes).max() < 2


def test_nothing_jumps(layer: keras.layers.Layer) -> None:
    values = np.asarray(layer(GRID.reshape(1, -1, 1, 1))).ravel()
    assert np.abs(np.diff(values)).max() < 2 * (GRID[1] - GRID[0])


def test_does_something_between_layers(layer: keras.layers.Layer) -> None:
    """A layer that is linear on both sides of zero alike would make any network a linear one."""
    x = np.array([-8, -4, 0, 4, 8], np.float32).reshape(1, -1, 1, 1)
    a, b, zero, c, d = np.asarray(layer(x)).ravel().astype(float)
    assert not np.allclose([b - a, zero - b, c - zero], [d - c] * 3, atol=1e-3)


def test_each_build_is_a_new_layer(option, act_name: str) -> None:
    act = option("act", act_name)
    first, second = act.build(), act.build()
    for layer in (first, second):
        layer.build((None, None, None, 2))
    for a, b in zip(first.weights, second.weights, strict=True):
        a.assign(a + 1)
        assert not np.allclose(a, b)
    assert first is not second
