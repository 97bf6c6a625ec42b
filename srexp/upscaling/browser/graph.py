"""A Keras network as what TensorFlow.js loads: a graph as JSON, and its weights."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

Node = dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """What `tf.io.fromMemory` takes.

    Attributes:
        topology: A GraphDef; `lr` goes in, `output` comes out.
        specs: Name, shape and type of each weight, in the order of `weights`.
        weights: Their bytes.
        output: Name of the last node.
    """

    topology: dict[str, Any]
    specs: list[dict[str, Any]]
    weights: bytes
    output: str

    def as_json(self) -> str:
        """All of it."""
        return json.dumps(
            {
                "topology": self.topology,
                "specs": self.specs,
                "weights": base64.b64encode(self.weights).decode(),
                "output": self.output,
            },
            separators=(",", ":"),
        )


def graph_of(network: keras.Model, weights: str) -> Graph:
    """Trace, freeze, fold constants, and fuse what TensorFlow.js has as one operation.

    Args:
        network: `[N, h, w, C]` -> `[N, H, W, C]`, of Keras' own layers.
        weights: `float32`, or `float16`: read as float32.
    """
    import tensorflow as tf
    from google.protobuf.json_format import MessageToDict
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    channels = network.input_shape[-1]
    given = tf.TensorSpec([None, None, None, channels], tf.float32, name="lr")
    traced = tf.function(lambda lr: tf.identity(network(lr), name="sr")).get_concrete_function(given)
    frozen = convert_variables_to_constants_v2(traced)
    definition = _folded(frozen.graph.as_graph_def(), frozen.outputs[0].op.name)
    constants = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in _of(definition, "Const")}
    for node in _of(definition, "Const"):
        node.attr["value"].tensor.Clear()
        node.attr["value"].tensor.dtype = node.attr["dtype"].type
    nodes = [MessageToDict(node) for node in definition.node if node.op != "NoOp"]
    output = frozen.outputs[0].op.name
    nodes = _fused(nodes, constants, output)
    used = {name for node in nodes for name in node.get("input", ())}
    nodes = [node for node in nodes if node["op"] != "Const" or node["name"] in used]
    specs, content = [], []
    for node in nodes:
        if node["op"] != "Const":
            continue
        array = constants[node["name"]]
        spec: dict[str, Any] = {"name": node["name"], "shape": list(array.shape)}
        if array.dtype != np.float32:
            specs.append({**spec, "dtype": "int32"})
            content.append(array.astype("<i4").tobytes())
        elif weights == "float16" and array.size > 1:
            specs.append({**spec, "dtype": "float32", "quantization": {"dtype": "float16"}})
            content.append(array.astype("<f2").tobytes())
        else:
            specs.append({**spec, "dtype": "float32"})
            content.append(array.astype("<f4").tobytes())
    topology = {"node": nodes, "versions": {"producer": definition.versions.producer}}
    return Graph(topology, specs, b"".join(content), output)


def _of(definition: Any, op: str) -> list[Any]:
    return [node for node in definition.node if node.op == op]


def _folded(definition: Any, output: str) -> Any:
    """With what depends on constants alone computed, by TensorFlow's own optimizer."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2
    from tensorflow.python.grappler import tf_optimizer

    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
        graph.add_to_collection("train_op", graph.get_tensor_by_name(f"{output}:0"))
        whole = tf.compat.v1.train.export_meta_graph(graph=graph)
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.optimizers.extend(["constfold", "pruning", "dependency"])
    config.graph_options.rewrite_options.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, whole)


def _fused(nodes: list[Node], constants: dict[str, np.ndarray], output: str) -> list[Node]:
    """PReLU as one operation, and one operation for a convolution, its bias and its activation."""
    by_name = {node["name"]: node for node in nodes}
    readers: dict[str, int] = {output: 1}
    for node in nodes:
        for name in node.get("input", ()):
            readers[name] = readers.get(name, 0) + 1

    def given(node: Node, op: str, index: int = 0) -> Node | None:
        """The node of this kind that another one reads, if there is one."""
        inputs = node.get("input", ())
        found = by_name.get(inputs[index]) if index < len(inputs) else None
        return found if found is not None and found["op"] == op else None

    def prelu(node: Node) -> tuple[str, str] | None:
        """Of `relu(x) + c * relu(-x)`: x and c."""
        for first, second in ((0, 1), (1, 0)):
            positive, product = given(node, "Relu", first), given(node, "Mul", second)
            if positive is None or product is None:
                continue
            for factor, rest in ((0, 1), (1, 0)):
                slope, negative = given(product, "Const", factor), given(product, "Relu", rest)
                turned = given(negative, "Neg") if negative is not None else None
                if slope and turned and turned["input"][0] == positive["input"][0]:
                    return positive["input"][0], slope["name"]
        return None

    added: list[Node] = []
    for node in nodes:
        if node["op"] == "AddV2" and (found := prelu(node)) is not None:
            value, slope = found
            name = f"{node['name']}/slope"
            constants[name] = -constants[slope]
            added.append({**by_name[slope], "name": name})
            node.update(op="Prelu", input=[value, name], attr={})
    nodes = nodes + added
    by_name.update((node["name"], node) for node in added)
    gone: set[str] = set()
    readers = {output: 1}
    for node in _needed(nodes, by_name, output):
        for name in node.get("input", ()):
            readers[name] = readers.get(name, 0) + 1
    for node in nodes:
        if node["op"] not in ("BiasAdd", "Prelu", "Relu"):
            continue
        bias = node if node["op"] == "BiasAdd" else given(node, "BiasAdd")
        convolution = given(bias, "Conv2D") if bias is not None else None
        if bias is None or convolution is None or readers[convolution["name"]] > 1:
            continue
        if bias is node:
            # Left to its activation, where that is the only one that reads it.
            if readers.get(bias["name"], 0) == 1 and any(
                other["op"] in ("Prelu", "Relu") and other["input"][0] == bias["name"]
                for other in nodes
            ):
                continue
            operations, more = ["BiasAdd"], []
        elif readers[bias["name"]] > 1:
            continue
        else:
            operations, more = ["BiasAdd", node["op"]], node["input"][1:]
        attributes = {
            **convolution["attr"],
            "fused_ops": {"list": {"s": [base64.b64encode(o.encode()).decode() for o in operations]}},
            "num_args": {"i": str(1 + len(more))},
        }
        inputs = [*convolution["input"], bias["input"][1], *more]
        node.update(op="_FusedConv2D", input=inputs, attr=attributes)
        gone |= {convolution["name"], bias["name"]} - {node["name"]}
    return [n for n in _needed(nodes, by_name, output) if n["name"] not in gone]


def _needed(nodes: list[Node], by_name: dict[str, Node], output: str) -> Iterator[Node]:
    """What the output depends on, in the order of `nodes`."""
    seen: set[str] = set()
    open_ = [output]
    while open_:
        name = open_.pop()
        if name not in seen:
            seen.add(name)
            open_ += by_name[name].get("input", ())
    return (node for node in nodes if node["name"] in seen)
