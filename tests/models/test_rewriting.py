"""Networks with other layers give what they gave."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.models.layers.rewriting import untransposed


@pytest.mark.parametrize("size", [1, 3, (3, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_transposed_convolution_of_stride_1_is_one_with_a_turned_kernel(size, bias) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 2))
    x = keras.layers.Conv2DTranspose(
        4, size, padding="same", use_bias=bias, bias_initializer="random_normal", name="first",
    )(inputs)  # fmt: skip
    x = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal")(x)
    network = keras.Model(inputs, keras.layers.Add()([x, keras.layers.Conv2D(4, 1)(inputs)]))
    image = np.random.default_rng(0).random((2, 9, 7, 2), np.float32)
    plain = untransposed(network)
    assert not any(isinstance(layer, keras.layers.Conv2DTranspose) for layer in plain.layers)
    np.testing.assert_allclose(plain(image), network(image), atol=1e-6)
    assert any(isinstance(layer, keras.layers.Conv2DTranspose) for layer in network.layers)


@pytest.mark.parametrize(
    "options", [{"strides": 2, "padding": "same"}, {"padding": "valid"}, {"kernel_size": 4}]
)
def test_others_stay(options) -> None:
    inputs = keras.Input((None, None, 2))
    given = {"kernel_size": 3, "padding": "same", **options}
    network = keras.Model(inputs, keras.layers.Conv2DTranspose(3, **given)(inputs))
    assert untransposed(network) is network
