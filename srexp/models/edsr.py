"""EDSR.

B. Lim, S. Son, H. Kim, S. Nah, K. M. Lee: Enhanced deep residual networks for single image
super-resolution. CVPR workshops 2017. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import enlarging_layers
from srexp.options import OptionError, bounded

if TYPE_CHECKING:
    import keras

# ITU-R BT.601 in studio swing, for networks of luma alone: weights of R, G, B and offset.
_LUMA, _OFFSET = (65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255


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
        if len(self.mean) != 3:
            raise OptionError(f"mean={self.mean}: must be three numbers, of R, G and B", "mean")

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        mean = self.mean
        if channels == 1:
            mean = [_OFFSET + sum(w * m for w, m in zip(_LUMA, mean, strict=True))]

        def conv(filters: int, name: str, **more: Any) -> keras.layers.Layer:
            return keras.layers.Conv2D(filters, 3, padding="same", name=name, **more)

        inputs = keras.Input((None, None, channels))
        x = keras.layers.Rescaling(1.0, [-m for m in mean], dtype="float32", name="subtract_mean")(
            inputs
        )
        x = head = conv(self.filters, "head")(x)
        for index in range(self.blocks):
            y = conv(self.filters, f"block_{index + 1}_conv_1")(x)
            y = conv(self.filters, f"block_{index + 1}_conv_2")(act.build()(y))
            if self.residual_scale != 1:
                y = keras.layers.Rescaling(self.residual_scale, name=f"block_{index + 1}_scale")(y)
            x = keras.layers.Add(name=f"block_{index + 1}")([x, y])
        x = keras.layers.Add(name="body")([head, conv(self.filters, "body_conv")(x)])
        x = enlarging_layers(x, self.filters, scale)
        x = conv(channels, "tail", dtype="float32")(x)
        x = keras.layers.Rescaling(1.0, mean, dtype="float32", name="add_mean")(x)
        return keras.Model(inputs, x, name="edsr")
