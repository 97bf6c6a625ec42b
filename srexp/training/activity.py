"""How much of a network is at work: units of rectifiers that fell silent ("dying ReLU")."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from srexp.activations.base import Activation


class Activity:
    """The rectifiers of a network, watched on one batch.

    A unit is a channel of an activation. It is dead where it is above 0 at no pixel of any patch:
    a ReLU then gives 0 and passes no gradient, and does not come back; a leaky one does.
    """

    def __init__(self, network: keras.Model, act: Activation, inputs: Any) -> None:
        """Args:
        network: Whose weights may change meanwhile.
        act: Its activation, one that `rectifies`.
        inputs: What it gets, `[N, h, w, C]`; several are a tuple.
        """
        kind = type(act.build())
        layers = [layer for layer in network._flatten_layers() if isinstance(layer, kind)]
        several = isinstance(inputs, (list, tuple))
        given = network.inputs if several else network.inputs[0]
        self._before = keras.Model(given, [layer.input for layer in layers])
        self._inputs = list(inputs) if several else inputs

    def dead(self) -> float:
        """The share of dead units among all, in [0, 1]."""
        values = self._before(self._inputs, training=False)
        fires = [
            np.asarray(value).reshape(-1, value.shape[-1]).max(axis=0) > 0
            for value in (values if isinstance(values, list) else [values])
        ]
        return 1 - float(np.concatenate(fires).mean())
