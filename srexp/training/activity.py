"""How much of a network is at work: units of rectifiers that fell silent ("dying ReLU")."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from srexp.activations.base import Activation

# Of the batch: their pixels are thousands of chances to be above 0.
_PATCHES = 16


class Activity:
    """The rectifiers of a network, watched on one batch.

    A unit is a channel of an activation, in each place where the network applies it. It is dead
    where it is above 0 at no pixel of any patch: a ReLU then gives 0 and passes no gradient, and
    does not come back; a leaky one does.
    """

    def __init__(self, network: keras.Model, act: Activation, inputs: Any) -> None:
        """Args:
        network: Whose weights may change meanwhile.
        act: Its activation, one that `rectifies`.
        inputs: What it gets, `[N, h, w, C]`; several are a tuple. The first patches are enough.
        """
        kind = type(act.build())
        # By its places in the graph: a layer that is shared by several branches has several inputs.
        watched = [
            node.input_tensors[0]
            for nodes in network._nodes_by_depth.values()
            for node in nodes
            if isinstance(node.operation, kind)
        ]
        several = isinstance(inputs, (list, tuple))
        given = network.inputs if several else network.inputs[0]
        self._before = keras.Model(given, watched) if watched else None
        first = [array[:_PATCHES] for array in (inputs if several else [inputs])]
        self._inputs = first if several else first[0]

    def dead(self) -> float | None:
        """The share of dead units among all, in [0, 1]; None where there is no such activation."""
        if self._before is None:
            return None
        values = self._before(self._inputs, training=False)
        fires = [
            np.asarray(value).reshape(-1, value.shape[-1]).max(axis=0) > 0
            for value in (values if isinstance(values, list) else [values])
        ]
        return 1 - float(np.concatenate(fires).mean())
