"""CARN and CARN-M.

N. Ahn, B. Kang, K.-A. Sohn: Fast, accurate, and lightweight super-resolution with cascading
residual network. ECCV 2018. Section 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import check_mean, conv, factors, grouped_conv, shuffle, subtract_mean
from srexp.options import OptionError, bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class CARN(Model, name="carn"):
    """Cascades of residual blocks: each 1x1 convolution sees all that came before it.

    Attributes:
        blocks: Cascading blocks, and residual blocks in each.
        filters: Channels.
        groups: Of the 3x3 convolutions inside; from 2 on, a residual block ends with 1x1.
        shared: Whether the residual blocks of a cascading block are one, applied again and again.
        mean: Of red, green and blue in [0, 1], subtracted at the start and added at the end.
    """

    # The paper's 1,592 K and 412 K hold the enlarging layers of all three scales; these are the
    # sums over its layers with those of one scale.
    published = tuple(
        Published(count, "weights+bias", scale=scale, channels=3, settings=settings)
        for settings, totals in (
            ({"filters": 64, "groups": 1, "shared": False}, (964163, 1148803, 1111875)),
            ({"filters": 64, "groups": 4, "shared": True}, (257027, 303427, 294147)),
        )
        for scale, count in zip((2, 3, 4), totals, strict=True)
    )

    blocks: int = bounded(1, 100)
    filters: int = bounded(1, 4096)
    groups: int = bounded(1, 4096)
    shared: bool
    mean: list[float] = bounded(0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_mean(self.mean)
        if self.filters % self.groups:
            raise OptionError(f"groups={self.groups}: must divide filters={self.filters}", "groups")

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        def cascade(x: Any, name: str, parts: list[Callable[[Any], Any]]) -> Any:
            seen = y = x
            for index, part in enumerate(parts):
                seen = keras.layers.Concatenate()([seen, part(y)])
                y = act.build()(conv(seen, self.filters, f"{name}_fusion_{index + 1}", 1))
            return y

        def residual_part(name: str) -> Callable[[Any], Any]:
            layers: list[Callable[[Any], Any]] = [
                grouped_conv(self.filters, self.groups, f"{name}_conv_{index + 1}")
                for index in range(2)
            ]
            if self.groups > 1:
                layers.append(keras.layers.Conv2D(self.filters, 1, name=f"{name}_conv_3"))
            acts = [act.build() for _ in layers]

            def part(x: Any) -> Any:
                y = x
                for index, layer in enumerate(layers):
                    y = acts[index](y) if index else y
                    y = layer(y)
                return acts[0](keras.layers.Add()([x, y]))

            return part

        def cascading_part(name: str) -> Callable[[Any], Any]:
            names = [f"{name}_{index + 1}" for index in range(self.blocks)]
            if self.shared:
                parts = [residual_part(name)] * self.blocks
            else:
                parts = [residual_part(one) for one in names]
            return lambda x: cascade(x, name, parts)

        inputs = keras.Input((None, None, channels))
        x = conv(subtract_mean(inputs, self.mean), self.filters, "head")
        blocks = [cascading_part(f"block_{index + 1}") for index in range(self.blocks)]
        x = cascade(x, "body", blocks)
        for index, factor in enumerate(factors(scale)):
            layer = grouped_conv(self.filters * factor**2, self.groups, f"upsample_{index + 1}")
            x = shuffle(act.build()(layer(x)), factor)
        x = conv(x, channels, "tail", dtype="float32")
        return keras.Model(inputs, subtract_mean(x, self.mean, sign=1), name="carn")
