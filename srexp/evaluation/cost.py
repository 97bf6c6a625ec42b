"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.words import count

if TYPE_CHECKING:
    import keras

# The size of the SR image for which the field states multiply-adds.
WIDTH, HEIGHT = 1280, 720


@dataclass(frozen=True)
class Cost:
    """Attributes:
    parameters: Trained ones.
    multiply_adds: Of the convolutions and matrix products, for an SR image of 1280x720.
    """

    parameters: int
    multiply_adds: int

    def __str__(self) -> str:
        return (
            f"{count(self.parameters, 'parameter')}, "
            f"{self.multiply_adds / 1e9:.3g} G multiply-adds for {WIDTH}x{HEIGHT}"
        )


def measure(network: keras.Model, *, scale: int, upsampling: str) -> Cost:
    """Count a network's parameters and multiply-adds.

    The network is traced (not run) on one small image, and the convolutions and matrix products
    of the traced graph are counted, so this holds for any layer, ours or not.

    Args:
        network: `[N, h, w, C]` -> `[N, H, W, C]`.
        scale: HR over LR.
        upsampling: `pre` or `post`: whether the input has the size of HR or of LR.
    """
    import tensorflow as tf

    side = 16 * scale
    input_side = side if upsampling == "pre" else side // scale
    channels = network.input_shape[-1]
    spec = tf.TensorSpec((1, input_side, input_side, channels), tf.float32)
    traced = tf.function(lambda x: network(x, training=False), autograph=False)
    graph = traced.get_concrete_function(spec).graph
    total = sum(_multiply_adds(operation) for operation in graph.get_operations())
    parameters = sum(math.prod(v.shape) for v in network.trainable_variables)
    return Cost(parameters, round(total * WIDTH * HEIGHT / side**2))


def _multiply_adds(operation) -> int:  # type: ignore[no-untyped-def]
    if operation.type in ("Conv2D", "DepthwiseConv2dNative"):
        kernel = operation.inputs[1].shape
        per_output = math.prod(kernel[:3]) if operation.type == "Conv2D" else math.prod(kernel[:2])
        return int(math.prod(operation.outputs[0].shape) * per_output)
    if operation.type == "Conv2DBackpropInput":  # a transposed convolution, seen from its input
        kernel = operation.inputs[1].shape
        out_channels = kernel[2]
        return int(math.prod(operation.inputs[2].shape) * math.prod(kernel[:2]) * out_channels)
    if operation.type in ("MatMul", "BatchMatMulV2"):
        return int(math.prod(operation.outputs[0].shape) * operation.inputs[0].shape[-1])
    return 0
