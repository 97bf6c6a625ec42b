"""IMDN.

Z. Hui, X. Gao, Y. Yang, X. Wang: Lightweight image super-resolution with information
multi-distillation network. ACM Multimedia 2019. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import conv, gate, shuffle
from srexp.options import OptionError, bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class IMDN(Model, name="imdn"):
    """Blocks that lay a quarter of their channels aside after each convolution.

    Attributes:
        blocks: Distillation blocks.
        filters: Channels, a multiple of four.
        reduction: Of the channels inside the attention, which goes by each channel's contrast
            (standard deviation plus mean over the image).
    """

    sees_all = True
    published = tuple(
        Published(
            count, "weights+bias", scale=scale, channels=3,
            settings={"blocks": 6, "filters": 64, "reduction": 16},
        )
        for scale, count in ((2, 694404), (3, 703059), (4, 715176))
    )  # fmt: skip

    blocks: int = bounded(1, 1000)
    filters: int = bounded(4, 4096)
    reduction: int = bounded(1, 4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filters % 4:
            raise OptionError(f"filters={self.filters}: must be a multiple of 4", "filters")

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras
        from keras import ops

        aside = self.filters // 4

        def contrast(x: Any) -> Any:
            """`[N, 1, 1, C]`, in float32: squares of float16 overflow."""
            mean, variance = ops.moments(ops.cast(x, "float32"), axes=(1, 2), keepdims=True)
            return ops.sqrt(variance + 1e-10) + mean  # the root of 0 has no gradient

        def block(x: Any, name: str) -> Any:
            y, kept = x, []
            for index in range(3):
                y = act.build()(conv(y, self.filters, f"{name}_conv_{index + 1}"))
                kept.append(y[..., :aside])
                y = y[..., aside:]
            kept.append(conv(y, aside, f"{name}_conv_4"))
            y = keras.layers.Concatenate()(kept)
            y = gate(y, contrast(y), act, f"{name}_attention", self.reduction)
            return keras.layers.Add(name=name)([x, conv(y, self.filters, f"{name}_fusion", 1)])

        inputs = keras.Input((None, None, channels))
        x = head = conv(inputs, self.filters, "head")
        seen = []
        for index in range(self.blocks):
            x = block(x, f"block_{index + 1}")
            seen.append(x)
        x = keras.layers.Concatenate()(seen) if self.blocks > 1 else x
        x = act.build()(conv(x, self.filters, "fusion", 1))
        x = keras.layers.Add(name="body")([head, conv(x, self.filters, "body_conv")])
        x = conv(x, channels * scale**2, "tail", dtype="float32")
        return keras.Model(inputs, shuffle(x, scale), name="imdn")
