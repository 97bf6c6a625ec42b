"""A small network of ours: what 3x3 convolutions on LR add to the enlarged image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from srexp.activations.base import Activation
from srexp.models.base import PreUpsampling
from srexp.models.parts import hidden_layers, shuffle
from srexp.options import bounded, choice

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class SrexpTiny(PreUpsampling, name="srexp_tiny"):
    """3x3 convolutions on LR, a pixel shuffle, plus the enlarged image.

    The last layer starts at zero, so that training starts exactly at the interpolated image.

    Attributes:
        depth: Number of layers, the last included.
        filters: Channels of every layer but the last.
        block: What a layer is while it is trained: a `plain` convolution, or a `collapsible` one,
            wide, with its input added, which collapses into a plain one.
        expansion: Channels inside a collapsible layer.
    """

    inputs: ClassVar[tuple[str, ...]] = ("lr", "enlarged")

    depth: int = bounded(2, 100)
    filters: int = bounded(1, 4096)
    block: str = choice("plain", "collapsible", default="plain")
    expansion: int = bounded(1, 4096, default=256)

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        return values if values.get("block") == "collapsible" else {**values, "expansion": 256}

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        x = lr = keras.Input((None, None, channels), name="lr")
        enlarged = keras.Input((None, None, channels), name="enlarged")
        count, last = channels * scale**2, f"conv_{self.depth}"
        if self.block == "plain":
            hidden = self.depth - 1
            x = hidden_layers(x, [self.filters] * hidden, [3] * hidden, act)
            x = keras.layers.Conv2D(
                count,
                3,
                padding="same",
                kernel_initializer="zeros",
                dtype="float32",
                name=last,
            )(x)
        else:
            from srexp.models.layers.collapsible import LinearBlock

            for index in range(self.depth - 1):
                block = LinearBlock(
                    self.filters, expansion=self.expansion, name=f"conv_{index + 1}"
                )
                x = act.build()(block(x))
            x = LinearBlock(
                count,
                expansion=self.expansion,
                shortcut=False,
                zero=True,
                dtype="float32",
                name=last,
            )(x)
        x = keras.layers.Add(dtype="float32")([enlarged, shuffle(x, scale)])
        return keras.Model([lr, enlarged], x, name="srexp_tiny")
