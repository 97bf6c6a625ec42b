"""EDSR.

B. Lim, S. Son, H. Kim, S. Nah, K. M. Lee: Enhanced deep residual networks for single image
super-resolution. CVPR workshops 2017. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import (
    check_mean,
    conv,
    enlarging_layers,
    residual_block,
    subtract_mean,
)
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class EDSR(Model, name="edsr"):
    """Residual blocks without normalisation on LR, then convolutions with pixel shuffles.

    Attributes:
        blocks: Residual blocks.
        filters: Channels.
        residual_scale: What a block adds is multiplied by it.
        mean: Of red, green and blue in [0, 1], subtracted at the start and added at the end; the
            paper's is of DIV2K.
    """

    published = tuple(
        Published(count, "weights+bias", scale=scale, channels=3, settings=settings)
        for settings, counts in (
            ({}, (1369859, 1554499, 1517571)),
            (
                {"blocks": 32, "filters": 256, "residual_scale": 0.1},
                (40729603, 43680003, 43089923),
            ),
        )
        for scale, count in zip((2, 3, 4), counts, strict=True)
    )

    blocks: int = bounded(1, 1000)
    filters: int = bounded(1, 4096)
    residual_scale: float = bounded(above=0, high=1)
    mean: list[float] = bounded(0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_mean(self.mean)

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        inputs = keras.Input((None, None, channels))
        x = head = conv(subtract_mean(inputs, self.mean), self.filters, "head")
        for index in range(self.blocks):
            x = residual_block(x, act, f"block_{index + 1}", scale=self.residual_scale)
        x = keras.layers.Add(name="body")([head, conv(x, self.filters, "body_conv")])
        x = enlarging_layers(x, self.filters, scale)
        x = conv(x, channels, "tail", dtype="float32")
        return keras.Model(inputs, subtract_mean(x, self.mean, sign=1), name="edsr")
