"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.words import count

if TYPE_CHECKING:
    import keras

    from srexp.models.base import Model

# The size of the SR image for which the field states multiply-adds.
WIDTH, HEIGHT = 1280, 720


@dataclass(frozen=True)
class Cost:
    """Attributes:
    parameters: Trained ones, of the network as it is used (`Model.collapse`).
    multiply_adds: Of the convolutions and matrix products, for an SR image of 1280x720.
    """

    parameters: int
    multiply_adds: int

    def __str__(self) -> str:
        return (
            f"{count(self.parameters, 'parameter')}, "
            f"{self.multiply_adds / 1e9:.3g} G multiply-adds for {WIDTH}x{HEIGHT}"
        )


def measure(network: keras.Model, model: Model, scale: int) -> Cost:
    """Count a network's parameters and multiply-adds.

    The network is traced (not run) on one small image, and the convolutions and matrix products
    of the traced graph are counted, so this holds for any layer, ours or not.

    Args:
        network: As the model built it.
        model: Whose `inputs` and `size_multiple` count.
        scale: HR over LR.
    """
    import tensorflow as tf

    network = model.collapse(network)
    lr_side = 16 * model.size_multiple
    side = lr_side * scale
    specs = [
        tf.TensorSpec((1, lr_side * factor, lr_side * factor, tensor.shape[-1]), tf.float32)
        for tensor, factor in zip(network.inputs, model.input_factors(scale), strict=True)
    ]
    traced = tf.function(lambda x: network(x, training=False), autograph=False)
    graph = traced.get_concrete_function(specs if len(specs) > 1 else specs[0]).graph
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
