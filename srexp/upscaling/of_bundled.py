"""A bundled network in Keras, built as its experiment says, with the weights of its LiteRT file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from srexp.options import OptionError
from srexp.quiet import quiet_import
from srexp.upscaling import bundled
from srexp.upscaling.export import Exported, exported


def keras_network(kind: str, scale: int) -> tuple[Exported, dict[str, Any], dict[str, Any]]:
    """The network, its configuration, and what stands beside its file.

    Args:
        kind: One of `bundled.KINDS`.
        scale: One that the kind has.

    Raises:
        OptionError: The kind has no such scale.
    """
    from srexp.config.compose import compose
    from srexp.config.settings import experiment_of

    file = bundled.FOLDER / f"tiny_{kind}_x{scale}.tflite"
    if not file.is_file():
        has = ", ".join(map(str, bundled.method(kind).scales))
        raise OptionError(f"-s {scale}: the networks of --kind {kind} enlarge by {has}")
    facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    config = compose("train", [f"experiment=tiny_{kind}_x{scale}"])
    experiment = experiment_of(config)
    with quiet_import():
        network = experiment.model.build(
            scale=scale, channels=experiment.channels, act=experiment.act
        )
        layers = [layer for layer in network.layers if layer.weights]
        for layer, arrays in zip(layers, _weights(file), strict=True):
            layer.set_weights(
                [a.reshape(w.shape) for a, w in zip(arrays, layer.weights, strict=True)]
            )
    return exported(network, experiment, facts["step"], facts["running_average"]), config, facts


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
