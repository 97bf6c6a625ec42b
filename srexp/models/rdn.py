"""RDN.

Y. Zhang, Y. Tian, Y. Kong, B. Zhong, Y. Fu: Residual dense network for image super-resolution.
CVPR 2018. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import conv, dense_block, enlarging_layers
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class RDN(Model, name="rdn"):
    """Residual dense blocks on LR, all of which are fused, then convolutions with pixel shuffles.

    Attributes:
        blocks: Residual dense blocks, D in the paper.
        layers: 3x3 convolutions of each, C in the paper.
        growth: Channels of each of these, G in the paper.
        filters: Channels between the blocks, G0 in the paper.
    """

    published = tuple(
        Published(
            count, "weights+bias", scale=scale, channels=3,
            settings={"blocks": 16, "layers": 8, "growth": 64, "filters": 64},
        )
        for scale, count in ((2, 22123395), (3, 22308035), (4, 22271107))
    )  # fmt: skip

    blocks: int = bounded(1, 1000)
    layers: int = bounded(1, 100)
    growth: int = bounded(1, 4096)
    filters: int = bounded(1, 4096)

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        inputs = keras.Input((None, None, channels))
        head = conv(inputs, self.filters, "head_1")
        x = conv(head, self.filters, "head_2")
        fused = []
        for index in range(self.blocks):
            x = dense_block(x, act, f"block_{index + 1}", self.layers, self.growth)
            fused.append(x)
        x = keras.layers.Concatenate()(fused) if len(fused) > 1 else x
        x = conv(conv(x, self.filters, "fusion", 1), self.filters, "body_conv")
        x = keras.layers.Add(name="body")([head, x])
        x = enlarging_layers(x, self.filters, scale)
        return keras.Model(inputs, conv(x, channels, "tail", dtype="float32"), name="rdn")
