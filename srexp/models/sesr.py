"""SESR.

K. Bhardwaj, M. Milosavljevic, L. O'Neil, D. Gope, R. Matas, A. Chalfin, N. Suda, L. Meng, D. Loh:
Collapsible linear blocks for super-efficient super resolution. MLSys 2022. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import repeated, shuffle
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class SESR(Model, name="sesr"):
    """Linear blocks on LR that collapse into plain convolutions, then one pixel shuffle.

    Attributes:
        blocks: 3x3 layers between the 5x5 ones, m in the paper.
        filters: Channels, f in the paper.
        expansion: Channels inside a block while it is trained, p in the paper.
    """

    published = tuple(
        Published(
            count, "weights", scale=2, channels=1, settings={"blocks": blocks, "filters": filters}
        )
        for blocks, filters, count in (
            (3, 16, 8912), (5, 16, 13520), (7, 16, 18128), (11, 16, 27344), (11, 32, 105376),
        )
    )  # fmt: skip

    blocks: int = bounded(1, 1000)
    filters: int = bounded(1, 4096)
    expansion: int = bounded(1, 4096)

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        from srexp.models.layers.collapsible import LinearBlock

        def block(filters: int, size: int, name: str, dtype: str | None = None) -> LinearBlock:
            return LinearBlock(
                filters,
                size,
                expansion=self.expansion,
                shortcut=size == 3,
                use_bias=False,
                name=name,
                dtype=dtype,
            )

        inputs = keras.Input((None, None, channels))
        x = head = block(self.filters, 5, "head")(inputs)
        for index in range(self.blocks):
            x = act.build()(block(self.filters, 3, f"conv_{index + 1}")(x))
        x = keras.layers.Add(name="body")([head, x])
        x = block(channels * scale**2, 5, "tail", dtype="float32")(x)
        x = keras.layers.Add(dtype="float32", name="residual")([repeated(inputs, scale), x])
        return keras.Model(inputs, shuffle(x, scale), name="sesr")
