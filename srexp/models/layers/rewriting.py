"""Networks with some of their layers replaced by others that give the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

# Layer -> another one and its weights; None to leave it as it is.
Replace = Callable[[Any], tuple[Any, list[np.ndarray]] | None]


def rewrite(network: keras.Model, replace: Replace) -> keras.Model:
    """The same network with other layers.

    Args:
        network: A functional one. It stays as it is.
        replace: What takes a layer's place; of the same name.

    Returns:
        A new network, or `network` itself where nothing is replaced.
    """
    found = {layer.name: replace(layer) for layer in network.layers}
    others = {name: other for name, other in found.items() if other is not None}
    if not others:
        return network

    def clone(layer: Any) -> Any:
        if layer.name in others:
            return others[layer.name][0]
        return type(layer).from_config(layer.get_config())

    made = keras.models.clone_model(network, clone_function=clone)
    for layer in made.layers:
        if layer.weights:  # of others Keras does not keep the name
            other = others.get(layer.name)
            layer.set_weights(other[1] if other else network.get_layer(layer.name).get_weights())
    return made


def untransposed(network: keras.Model) -> keras.Model:
    """Transposed convolutions of stride 1 as convolutions, their kernels turned by half.

    They give the same to within rounding. LiteRT takes nine times as long for the former.
    """

    def replace(layer: Any) -> tuple[Any, list[np.ndarray]] | None:
        if not isinstance(layer, keras.layers.Conv2DTranspose):
            return None
        odd = all(side % 2 for side in layer.kernel_size)
        if layer.strides != (1, 1) or layer.padding != "same" or not odd:
            return None
        plain = keras.layers.Conv2D(
            layer.filters,
            layer.kernel_size,
            padding="same",
            activation=layer.activation,
            use_bias=layer.use_bias,
            name=layer.name,
            dtype=layer.dtype_policy,
        )
        kernel, *bias = layer.get_weights()
        return plain, [kernel[::-1, ::-1].swapaxes(2, 3), *bias]

    return rewrite(network, replace)
