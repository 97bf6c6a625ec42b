"""What every loss is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srexp.options import Options

LossFunction = Callable[[Any, Any], Any]


@dataclass(kw_only=True)
class Loss(Options, group="loss"):
    """A loss on images in [0, 1], whatever range the network works in inside.

    So that the numbers of two runs can be compared: a network with outputs in [-1, 1] does not
    get a loss four times as large.
    """

    def build(self) -> LossFunction:
        """`loss(hr, sr)` of two `[N, H, W, C]` float32 tensors: a scalar, the mean over all."""
        raise NotImplementedError
