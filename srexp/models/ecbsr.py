"""ECBSR.

X. Zhang, H. Zeng, L. Zhang: Edge-oriented convolution block for real-time super resolution on
mobile devices. ACM Multimedia 2021. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import Model
from srexp.models.parts import repeated, shuffle
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class ECBSR(Model, name="ecbsr"):
    """Edge-oriented blocks on LR that collapse into plain 3x3 layers, then one pixel shuffle.

    Attributes:
        blocks: Layers between the first and the last one, M in the paper.
        filters: Channels, C in the paper.
        widening: Channels inside the branch of two convolutions over those of its layer.
        identity: Add a layer's input, where it has as many channels as its output.
    """

    blocks: int = bounded(1, 1000)
    filters: int = bounded(1, 4096)
    widening: float = bounded(above=0, high=64)
    identity: bool

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        from srexp.models.layers.collapsible import EdgeBlock

        def block(filters: int, name: str, dtype: str | None = None) -> EdgeBlock:
            return EdgeBlock(
                filters, widening=self.widening, identity=self.identity, name=name, dtype=dtype
            )

        x = inputs = keras.Input((None, None, channels))
        for index in range(self.blocks + 1):
            x = act.build()(block(self.filters, f"conv_{index + 1}")(x))
        x = block(channels * scale**2, f"conv_{self.blocks + 2}", dtype="float32")(x)
        x = keras.layers.Add(dtype="float32", name="residual")([repeated(inputs, scale), x])
        return keras.Model(inputs, shuffle(x, scale), name="ecbsr")
