"""The networks that come with srexp, `srexp/weights/NAME.tflite`, as a training takes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parents[1] / "weights"


def names() -> list[str]:
    """As `init_from` takes them, such as `tiny_clean_x2`: each was trained by that experiment."""
    return sorted(path.stem for path in FOLDER.glob("*.tflite"))


def facts(name: str) -> dict[str, Any]:
    """What stands beside a network's file: its digest (`file`), reach, scores."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def set_weights(network: keras.Model, name: str) -> None:
    """Give a network the weights of a bundled one, which are those of float16.

    Args:
        network: Built as the experiment `name` says.
        name: One of `names`.
    """
    layers = [layer for layer in network.layers if layer.weights]
    for layer, arrays in zip(layers, _weights(FOLDER / f"{name}.tflite"), strict=True):
        layer.set_weights([a.reshape(w.shape) for a, w in zip(arrays, layer.weights, strict=True)])


def _weights(file: Path) -> list[list[np.ndarray]]:
    """Of each convolution and PReLU of a LiteRT file with float16 weights, in their order.

    The first convolution enlarges (`models.enlarge`) and is none of the network's.
    """
    from tensorflow.lite.python.schema_py_generated import BuiltinOperator
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(file))
    (graph,) = model.subgraphs
    # What is computed from halves -> where they are.
    halves: dict[int, int] = {}
    found = []

    def constant(index: int) -> np.ndarray:
        tensor = graph.tensors[halves[index]]
        data = np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(np.float16)
        return data.reshape(tensor.shape).astype(np.float32)

    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == BuiltinOperator.DEQUANTIZE:
            halves[operator.outputs[0]] = operator.inputs[0]
        elif code == BuiltinOperator.CONV_2D:
            # [out, height, width, in], as LiteRT has it.
            kernel, bias = (constant(index) for index in operator.inputs[1:])
            found.append([kernel.transpose(1, 2, 3, 0), bias])
        elif code == BuiltinOperator.PRELU:
            found.append([constant(operator.inputs[1])])
    return found[1:]
