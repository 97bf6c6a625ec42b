"""Running a network on whole images of any size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from srexp.degradations.base import Degradation
from srexp.models.base import Model
from srexp.models.tiles import Forward
from srexp.models.upscaler import Upscaler

if TYPE_CHECKING:
    import keras


def upscaler(
    network: keras.Model, model: Model, degradation: Degradation, channels: int
) -> Upscaler:
    """What enlarges images by a network.

    Args:
        network: As `model.build` made it.
        model: Its options.
        degradation: What made LR.
        channels: Of the network.
    """

    def one_by_one(*inputs: np.ndarray) -> np.ndarray:
        return np.asarray(network(inputs if len(inputs) > 1 else inputs[0], training=False))

    return Upscaler(model, degradation, channels, forward(network), one_by_one)


def forward(network: keras.Model) -> Forward:
    """`[N, h, w, C]` of each input -> `[N, H, W, C]` float32, compiled once for all sizes.

    Without XLA, which would compile anew for every image size.
    """
    import tensorflow as tf

    signature = [
        tf.TensorSpec((None, None, None, tensor.shape[-1]), tf.float32) for tensor in network.inputs
    ]

    @tf.function(input_signature=signature, autograph=False)
    def run(*inputs: tf.Tensor) -> tf.Tensor:
        given = inputs if len(inputs) > 1 else inputs[0]
        return tf.cast(network(given, training=False), tf.float32)

    def forward(*inputs: np.ndarray) -> np.ndarray:
        with _no_tensor_float_32():
            return np.asarray(run(*(np.ascontiguousarray(i, np.float32) for i in inputs)))

    return forward


@contextmanager
def _no_tensor_float_32() -> Iterator[None]:
    """A GPU multiplies float32 with 10 of its 23 bits, which training bears and scores show."""
    from tensorflow.config import experimental

    before = experimental.tensor_float_32_execution_enabled()
    experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        experimental.enable_tensor_float_32_execution(before)
