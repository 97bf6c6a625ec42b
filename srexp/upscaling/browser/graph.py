"""A Keras network as what TensorFlow.js loads: a graph as JSON, and its weights."""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter
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
    traced = tf.function(lambda lr: tf.identity(network(lr), name="sr")).get_concrete_function(
        given
    )
    frozen = convert_variables_to_constants_v2(traced)
    definition = _folded(frozen.graph.as_graph_def(), frozen.outputs[0].op.name)
    constants = {n.name: tf.make_ndarray(n.attr["value"].tensor) for n in _of(definition, "Const")}
    for node in _of(definition, "Const"):
        node.attr["value"].tensor.Clear()
        node.attr["value"].tensor.dtype = node.attr["dtype"].type
    output = frozen.outputs[0].op.name
    nodes = [_plain(MessageToDict(node)) for node in definition.node]
    nodes = _fused(_slopes(nodes, constants), output)
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


def _plain(node: Node) -> Node:
    """Without what only orders it after others."""
    return {**node, "input": [name for name in node.get("input", ()) if name[0] != "^"]}


class _Nodes:
    """Nodes by their names."""

    def __init__(self, nodes: list[Node]) -> None:
        self._of = {node["name"]: node for node in nodes}

    def needed(self, output: str) -> list[Node]:
        """What an output depends on, itself included, in the order of the nodes."""
        seen: set[str] = set()
        waiting = [output]
        while waiting:
            name = waiting.pop().partition(":")[0]  # `split:1` is the second output of `split`
            if name not in seen:
                seen.add(name)
                waiting += self._of[name]["input"]
        return [node for name, node in self._of.items() if name in seen]

    def read(self, node: Node | None, index: int, op: str) -> Node | None:
        """The node of this kind whose only output another one reads, if there is one."""
        if node is None or index >= len(node["input"]):
            return None
        found = self._of.get(node["input"][index])
        return found if found is not None and found["op"] == op else None


def _slopes(nodes: list[Node], constants: dict[str, np.ndarray]) -> list[Node]:
    """With `relu(x) + c * relu(-x)`, which is how Keras writes it, as PReLU of slope -c."""
    known = _Nodes(nodes)
    added: list[Node] = []
    orders = [(0, 1), (1, 0)]
    for node in (node for node in nodes if node["op"] == "AddV2"):
        for (relu, product), (factor, rest) in itertools.product(orders, orders):
            positive, scaled = known.read(node, relu, "Relu"), known.read(node, product, "Mul")
            slope, negative = known.read(scaled, factor, "Const"), known.read(scaled, rest, "Relu")
            turned = known.read(negative, 0, "Neg")
            if positive and slope and turned and turned["input"] == positive["input"]:
                name = f"{node['name']}/slope"
                constants[name] = -constants[slope["name"]]
                added.append({**slope, "name": name})
                node.update(op="Prelu", input=[*positive["input"], name], attr={})
                break
    return nodes + added


def _fused(nodes: list[Node], output: str) -> list[Node]:
    """With a convolution, its bias and its activation as one operation."""
    for ending in ("Prelu", "Relu", "BiasAdd"):  # first what has both
        known = _Nodes(nodes)
        nodes = known.needed(output)
        readers = Counter(name for node in nodes for name in node["input"])
        for node in (node for node in nodes if node["op"] == ending):
            bias = node if ending == "BiasAdd" else known.read(node, 0, "BiasAdd")
            convolution = known.read(bias, 0, "Conv2D")
            inner = [one["name"] for one in (bias, convolution) if one and one is not node]
            if bias is None or convolution is None or any(readers[name] > 1 for name in inner):
                continue
            operations = ["BiasAdd"] if bias is node else ["BiasAdd", ending]
            more = [] if bias is node else node["input"][1:]
            attributes = {
                **convolution["attr"],
                "fused_ops": {
                    "list": {"s": [base64.b64encode(o.encode()).decode() for o in operations]}
                },
                "num_args": {"i": str(1 + len(more))},
            }
            inputs = [*convolution["input"], bias["input"][1], *more]
            node.update(op="_FusedConv2D", input=inputs, attr=attributes)
    return _Nodes(nodes).needed(output)
