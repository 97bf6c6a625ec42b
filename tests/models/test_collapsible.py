"""Layers that are trained wide: what they compute, branch by branch, and that they collapse."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.signal import correlate2d

from srexp.models.layers.collapsible import EdgeBlock, LinearBlock, collapse

SOBEL_X = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
SOBEL_Y = [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]
LAPLACIAN = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]


def _convolved(image, kernel):
    """`[h, w, C]` by `[k, k, C, F]`, zeros around: plane by plane in double precision."""
    planes = [
        sum(
            correlate2d(image[..., c], np.asarray(kernel)[..., c, f], "same")
            for c in range(image.shape[2])
        )
        for f in range(kernel.shape[-1])
    ]
    return np.stack(planes, -1)


def _randomised(layer, channels, seed=0):
    """The layer with random weights, and an image."""
    random = np.random.default_rng(seed)
    layer.build((None, None, None, channels))
    layer.set_weights([random.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    return layer, random.normal(0, 1, (7, 6, channels)).astype(np.float32)


@pytest.mark.parametrize(("channels", "size"), [(3, 3), (4, 3), (4, 5)])
def test_a_linear_block_is_its_two_convolutions_and_its_input(channels, size):
    layer, image = _randomised(LinearBlock(4, size, expansion=9), channels)
    inner = _convolved(image, layer.expand)
    expected = _convolved(inner, layer.project) + np.asarray(layer.bias)
    if channels == 4:
        expected = expected + image
    assert np.abs(layer(image[None])[0] - expected).max() < 1e-4


@pytest.mark.parametrize("channels", [3, 4])
def test_an_edge_block_is_the_sum_of_its_branches(channels):
    """Zhang et al. 2021, equations 1 to 6: the 1x1 convolutions see zeros around the image."""
    layer, image = _randomised(EdgeBlock(4, widening=2, identity=True), channels)
    assert layer.widen.shape[-1] == 8
    expected = _convolved(image, layer.direct)
    expected = expected + _convolved(_convolved(image, layer.widen), layer.narrow)
    for edge, (mix, strength) in zip((SOBEL_X, SOBEL_Y, LAPLACIAN), layer.edges, strict=True):
        mixed = _convolved(image, mix)
        for f in range(4):
            filtered = correlate2d(mixed[..., f], np.array(edge, float), "same")
            expected[..., f] += np.asarray(strength)[f] * filtered
    expected = expected + np.asarray(layer.bias) + (image if channels == 4 else 0)
    assert np.abs(layer(image[None])[0] - expected).max() < 1e-4


@pytest.mark.parametrize("block", [lambda n: LinearBlock(n, expansion=16),
                                   lambda n: EdgeBlock(n, widening=2)])  # fmt: skip
def test_a_network_collapses_into_kerass_own_layers_after_training(block):
    inputs = keras.Input((None, None, 3))
    x = block(6)(inputs)
    x = keras.layers.PReLU(shared_axes=[1, 2])(x)
    network = keras.Model(inputs, keras.ops.depth_to_space(block(12)(x), 2))
    network.compile("adam", "mse")
    random = np.random.default_rng(1)
    lr, hr = random.random((8, 9, 7, 3), np.float32), random.random((8, 18, 14, 3), np.float32)
    before = np.asarray(network(lr))
    network.fit(lr, hr, epochs=3, verbose=0)
    wide = np.asarray(network(lr))
    plain = collapse(network)
    assert np.abs(wide - before).max() > 1e-4
    assert np.abs(np.asarray(plain(lr)) - wide).max() < 1e-5
    assert {type(layer).__module__.split(".")[0] for layer in plain.layers} == {"keras"}
    assert plain.count_params() == (3 * 9 * 6 + 6) + 6 + (6 * 9 * 12 + 12)
    assert collapse(plain) is plain


def test_zero_starts_at_zero():
    layer = LinearBlock(4, expansion=5, zero=True)
    assert not np.asarray(layer(np.ones((1, 5, 5, 3), np.float32))).any()
