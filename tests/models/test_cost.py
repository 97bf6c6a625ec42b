"""Parameters and multiply-adds against formulas done by hand."""

from __future__ import annotations

import keras
import pytest

from srexp.activations.rectifiers import PReLU, ReLU
from srexp.evaluation.cost import Cost, measure
from srexp.models.base import Model
from srexp.models.deconv import Deconv
from srexp.models.srcnn import SRCNN

PIXELS = 1280 * 720


class Pre(Model):
    inputs = ("enlarged",)


PRE, POST = Pre(), Model()


def srcnn(kernel_sizes: list[int]) -> SRCNN:
    return SRCNN(
        filters=[64, 32], kernel_sizes=kernel_sizes, residual=False, upscale_interpolation=None
    )


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(
    ("kernel_sizes", "weights"),
    [([9, 1, 5], 8032), ([9, 3, 5], 24416), ([9, 5, 5], 57184)],
)
def test_srcnn(kernel_sizes: list[int], weights: int, scale: int) -> None:
    """Dong et al., 2016, section 4.3.2: 8,032, 24,416 and 57,184 parameters without biases.

    Every layer works at HR's size, so each weight is one multiply-add a pixel, at any scale.
    """
    network = srcnn(kernel_sizes).build(scale=scale, channels=1, act=ReLU())
    cost = measure(network, PRE, scale)
    assert cost.parameters == weights + 64 + 32 + 1
    assert cost.multiply_adds == weights * PIXELS


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_tutorials_network(channels: int, scale: int) -> None:
    """Seven 3x3 layers with 32 filters; a transposed convolution at stride 1 costs the same."""
    model = Deconv(
        depth=7, filters=32, kernel_size=3, output_activation="linear", value_range=[0.0, 1.0],
        residual=True, upscale_interpolation=None,
    )  # fmt: skip
    weights = 9 * (channels * 32 + 5 * 32 * 32 + 32 * channels)
    biases = 6 * 32 + channels
    plain = measure(model.build(scale=scale, channels=channels, act=ReLU()), PRE, scale)
    assert plain.parameters == weights + biases
    assert plain.multiply_adds == weights * PIXELS
    # PReLU: a slope for each channel of each of the six hidden layers, and no multiply-add counted.
    learned = measure(
        model.build(scale=scale, channels=channels, act=PReLU(initial_slope=0.25)),
        PRE, scale,
    )  # fmt: skip
    assert learned.parameters == plain.parameters + 6 * 32
    assert learned.multiply_adds == plain.multiply_adds


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_network_in_lr_space_with_a_pixel_shuffle(scale: int) -> None:
    """Shi et al., 2016: the layers cost 1/scale^2 of a pixel each; the shuffle costs nothing."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 5, padding="same", use_bias=False)(inputs)
    x = keras.layers.Conv2D(3 * scale**2, 3, padding="same")(x)
    x = keras.ops.depth_to_space(x, scale)
    cost = measure(keras.Model(inputs, x), POST, scale)
    weights = 25 * 3 * 8 + 9 * 8 * 3 * scale**2
    assert cost.parameters == weights + 3 * scale**2
    assert cost.multiply_adds == weights * PIXELS // scale**2


@pytest.mark.parametrize("scale", [2, 3])
def test_a_strided_transposed_convolution(scale: int) -> None:
    """FSRCNN's last layer (Dong et al., ECCV 2016): each LR pixel meets all of the kernel."""
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(12, 3, padding="same")(inputs)
    x = keras.layers.Conv2DTranspose(1, 9, strides=scale, padding="same")(x)
    cost = measure(keras.Model(inputs, x), POST, scale)
    assert cost.parameters == 9 * 12 + 12 + 81 * 12 + 1
    assert cost.multiply_adds == (9 * 12 + 81 * 12) * PIXELS // scale**2


def test_depthwise_and_dense_layers() -> None:
    """A depthwise kernel meets one channel; a dense layer is a 1x1 convolution."""
    inputs = keras.Input((None, None, 6))
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(inputs)
    x = keras.layers.SeparableConv2D(10, 5, padding="same", use_bias=False)(x)
    x = keras.layers.Dense(6, use_bias=False)(x)
    cost = measure(keras.Model(inputs, x), PRE, 2)
    weights = 9 * 6 + (25 * 6 + 6 * 10) + 10 * 6
    assert cost.parameters == weights
    assert cost.multiply_adds == weights * PIXELS


def test_strides_inside_the_network() -> None:
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = keras.layers.Conv2DTranspose(1, 3, strides=2, padding="same", use_bias=False)(x)
    cost = measure(keras.Model(inputs, x), PRE, 2)
    # Both layers: 9 * 4 products for each of a quarter as many pixels.
    assert cost.multiply_adds == 2 * 36 * PIXELS // 4


def test_frozen_weights_are_not_counted() -> None:
    network = srcnn([9, 1, 5]).build(scale=2, channels=1, act=ReLU())
    network.layers[1].trainable = False
    assert measure(network, PRE, 2).parameters == 8032 + 97 - (81 * 64 + 64)


def test_reads_well() -> None:
    text = str(Cost(parameters=8129, multiply_adds=8032 * PIXELS))
    assert text == "8,129 parameters, 7.4 G multiply-adds for 1280x720"
