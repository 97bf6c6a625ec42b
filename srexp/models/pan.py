"""PAN.

H. Zhao, X. Kong, J. He, Y. Qiao, C. Dong: Efficient image super-resolution using pixel attention.
ECCV workshops 2020. Section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from srexp.activations.base import Activation
from srexp.models.base import PreUpsampling, Published
from srexp.models.parts import conv, factors, repeated, shuffle
from srexp.options import OptionError, bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class PAN(PreUpsampling, name="pan"):
    """Blocks in two halves, one with a factor in (0, 1) for each value; plus the enlarged image.

    Attributes:
        blocks: Self-calibrated blocks with pixel attention.
        filters: Channels, an even number.
        upsampling_filters: Channels after the image has become larger, by the nearest pixel.
    """

    inputs: ClassVar[tuple[str, ...]] = ("lr", "enlarged")
    published = tuple(
        Published(
            count, "weights+bias", scale=scale, channels=3,
            settings={"blocks": 16, "filters": 40, "upsampling_filters": 24},
        )
        for scale, count in ((2, 261403), (3, 261403), (4, 272419))
    )  # fmt: skip

    blocks: int = bounded(1, 1000)
    filters: int = bounded(2, 4096)
    upsampling_filters: int = bounded(1, 4096)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filters % 2:
            raise OptionError(f"filters={self.filters}: must be even", "filters")

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        def attended(x: Any, given: Any, name: str) -> Any:
            factor = conv(given, x.shape[-1], f"{name}_attention", 1, activation="sigmoid")
            return keras.layers.Multiply()([x, factor])

        def block(x: Any, name: str) -> Any:
            def plain(x: Any, part: str, size: int = 3, filters: int = self.filters // 2) -> Any:
                return conv(x, filters, f"{name}_{part}", size, use_bias=False)

            a, b = (act.build()(plain(x, f"{half}_in", 1)) for half in "ab")
            a = act.build()(plain(a, "a_conv"))
            b = act.build()(plain(attended(plain(b, "b_conv_1"), b, name), "b_conv_2"))
            y = plain(keras.layers.Concatenate()([a, b]), "fusion", 1, self.filters)
            return keras.layers.Add(name=name)([x, y])

        lr = keras.Input((None, None, channels), name="lr")
        enlarged = keras.Input((None, None, channels), name="enlarged")
        x = head = conv(lr, self.filters, "head")
        for index in range(self.blocks):
            x = block(x, f"block_{index + 1}")
        x = keras.layers.Add(name="body")([head, conv(x, self.filters, "body_conv")])
        for index, factor in enumerate(factors(scale)):
            name = f"upsample_{index + 1}"
            x = shuffle(repeated(x, factor, f"{name}_repeated"), factor)  # the nearest pixel
            x = conv(x, self.upsampling_filters, name)
            x = act.build()(attended(x, x, name))
            x = act.build()(conv(x, self.upsampling_filters, f"{name}_conv"))
        x = conv(x, channels, "tail", dtype="float32")
        return keras.Model(
            [lr, enlarged], keras.layers.Add(dtype="float32")([enlarged, x]), name="pan"
        )
