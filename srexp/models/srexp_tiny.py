"""A small network of ours: what 3x3 convolutions on LR add to the enlarged image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from srexp.activations.base import Activation
from srexp.models.base import PreUpsampling
from srexp.models.parts import hidden_layers, shuffle
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class SrexpTiny(PreUpsampling, name="srexp_tiny"):
    """3x3 convolutions on LR, a pixel shuffle, plus the enlarged image.

    The last layer starts at zero, so that training starts exactly at the interpolated image.

    Attributes:
        depth: Number of layers, the last included.
        filters: Channels of every layer but the last.
    """

    inputs: ClassVar[tuple[str, ...]] = ("lr", "enlarged")

    depth: int = bounded(2, 100)
    filters: int = bounded(1, 4096)

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        x = lr = keras.Input((None, None, channels), name="lr")
        enlarged = keras.Input((None, None, channels), name="enlarged")
        hidden = self.depth - 1
        x = hidden_layers(x, [self.filters] * hidden, [3] * hidden, act)
        x = keras.layers.Conv2D(
            channels * scale**2,
            3,
            padding="same",
            kernel_initializer="zeros",
            dtype="float32",
            name=f"conv_{self.depth}",
        )(x)
        x = keras.layers.Add(dtype="float32")([enlarged, shuffle(x, scale)])
        return keras.Model([lr, enlarged], x, name="srexp_tiny")
