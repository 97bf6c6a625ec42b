"""What a network depends on, against closed forms."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.models.field import Field, receptive_field


def field_of(network: keras.Model, factor: int = 1, multiple: int = 1) -> Field | None:
    def one_by_one(image: np.ndarray) -> np.ndarray:
        return np.asarray(network(image))

    return receptive_field(one_by_one, channels=1, factors=[1], factor=factor, multiple=multiple)


def stack(*layers: keras.layers.Layer) -> keras.Model:
    inputs = x = keras.Input((None, None, 1))
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def conv(size: int, **options: object) -> keras.layers.Layer:
    return keras.layers.Conv2D(1, size, padding="same", **options)


def test_convolutions_add_up_even_where_their_weights_are_zero() -> None:
    network = stack(conv(5, kernel_initializer="zeros"), keras.layers.ReLU(), conv(3))
    assert field_of(network) == Field(7, 3)


def test_dilated_convolutions_reach_further() -> None:
    assert field_of(stack(conv(3, dilation_rate=4), conv(3))) == Field(11, 5)


def test_a_field_longer_than_the_first_strip() -> None:
    """100 layers of 5x5: 401 pixels."""
    assert field_of(stack(*(conv(5) for _ in range(100)))) == Field(401, 200)


@pytest.mark.parametrize(("kernel", "stride", "field"), [(9, 3, 3), (9, 2, 5), (4, 2, 2)])
def test_a_strided_transposed_convolution_sees_kernel_over_stride(
    kernel: int, stride: int, field: int
) -> None:
    network = stack(keras.layers.Conv2DTranspose(1, kernel, stride, padding="same"))
    found = field_of(network, factor=stride)
    assert found is not None
    assert found.size == field


def test_global_pooling_looks_at_the_whole_image() -> None:
    inputs = keras.Input((None, None, 1))
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    assert field_of(keras.Model(inputs, keras.layers.Multiply()([inputs, pooled]))) is None


def test_strides_inside_want_a_multiple() -> None:
    """3x3 at stride 2, 2x2 back: outputs 2k and 2k+1 look at inputs 2k-1 .. 2k+2, or to 2k+1."""
    network = stack(conv(3, strides=2), keras.layers.UpSampling2D(2), conv(1))
    found = field_of(network, multiple=2)
    assert found is not None
    assert found.reach == 2
