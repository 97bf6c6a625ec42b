"""RCAN.

Y. Zhang, K. Li, K. Li, L. Wang, B. Zhong, Y. Fu: Image super-resolution using very deep residual
channel attention networks. ECCV 2018. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import (
    channel_attention,
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
class RCAN(Model, name="rcan"):
    """Groups of residual blocks with channel attention, then convolutions with pixel shuffles.

    Attributes:
        groups: Residual groups.
        blocks: Residual blocks of each.
        filters: Channels.
        reduction: Of the channels inside the attention.
        mean: Of red, green and blue in [0, 1], subtracted at the start and added at the end.
    """

    sees_all = True
    published = (
        Published(
            15592355, "weights+bias", scale=4, channels=3,
            settings={"groups": 10, "blocks": 20, "filters": 64, "reduction": 16},
        ),
    )  # fmt: skip

    groups: int = bounded(1, 1000)
    blocks: int = bounded(1, 1000)
    filters: int = bounded(1, 4096)
    reduction: int = bounded(1, 4096)
    mean: list[float] = bounded(0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_mean(self.mean)

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        def group(x: Any, name: str) -> Any:
            y = x
            for index in range(self.blocks):
                block = f"{name}_block_{index + 1}"

                def attended(y: Any, number: int, block: str = block) -> Any:
                    if number == 1:
                        return y
                    return channel_attention(y, act, f"{block}_attention", self.reduction)

                y = residual_block(y, act, block, attended)
            return keras.layers.Add(name=name)([x, conv(y, self.filters, f"{name}_conv")])

        inputs = keras.Input((None, None, channels))
        x = head = conv(subtract_mean(inputs, self.mean), self.filters, "head")
        for index in range(self.groups):
            x = group(x, f"group_{index + 1}")
        x = keras.layers.Add(name="body")([head, conv(x, self.filters, "body_conv")])
        x = enlarging_layers(x, self.filters, scale)
        x = conv(x, channels, "tail", dtype="float32")
        return keras.Model(inputs, subtract_mean(x, self.mean, sign=1), name="rcan")
