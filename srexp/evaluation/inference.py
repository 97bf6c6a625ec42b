"""Running a network on whole images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

    from srexp.models.tiles import Forward


def forward(network: keras.Model) -> Forward:
    """`[N, h, w, C]` -> `[N, H, W, C]` float32, compiled once for all sizes.

    Without XLA, which would compile anew for every image size.
    """
    import tensorflow as tf

    channels = network.input_shape[-1]

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32)], autograph=False
    )
    def run(inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(network(inputs, training=False), tf.float32)

    return lambda inputs: np.asarray(run(np.ascontiguousarray(inputs, np.float32)))
