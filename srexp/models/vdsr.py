"""VDSR.

J. Kim, J. K. Lee, K. M. Lee: Accurate image super-resolution using very deep convolutional
networks. CVPR 2016. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import PreUpsampling
from srexp.models.parts import hidden_layers
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class VDSR(PreUpsampling, name="vdsr"):
    """Many 3x3 convolutions of the enlarged image, which is added to their result.

    Attributes:
        depth: Number of layers, the last included.
        filters: Channels of every layer but the last.
    """

    depth: int = bounded(2, 100)
    filters: int = bounded(1, 4096)

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        x = inputs = keras.Input((None, None, channels))
        hidden = self.depth - 1
        x = hidden_layers(x, [self.filters] * hidden, [3] * hidden, act)
        x = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            kernel_initializer="he_normal",
            dtype="float32",
            name=f"conv_{self.depth}",
        )(x)
        return keras.Model(inputs, keras.layers.Add(dtype="float32")([inputs, x]), name="vdsr")
