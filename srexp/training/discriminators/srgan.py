"""SRGAN's discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.options import bounded
from srexp.training.discriminators.base import SLOPE, Discriminator, refuse

if TYPE_CHECKING:
    import keras

_SMALLEST = 16  # four layers halve it


@dataclass(kw_only=True)
class SRGANDiscriminator(Discriminator, name="srgan"):
    """Ledig et al., CVPR 2017, figure 4: eight convolutions, then two dense layers.

    One logit an image. The first dense layer sees all pixels, so the network is of one patch size.
    Convolutions before BatchNormalization have no bias, which it would take out again.

    Attributes:
        units: Of the first dense layer.
    """

    units: int = bounded(1, 8192)

    def check(self, side: int) -> None:
        if side < _SMALLEST:
            raise refuse(side, self.name, f"at least {_SMALLEST}")

    def build(self, *, side: int, channels: int) -> keras.Model:
        import keras
        from keras import layers

        inputs = keras.Input((side, side, channels))
        x = inputs
        for index, (factor, strides) in enumerate(
            (factor, strides) for factor in (1, 2, 4, 8) for strides in (1, 2)
        ):
            x = layers.Conv2D(
                factor * self.filters,
                3,
                strides,
                padding="same",
                use_bias=index == 0,
                name=f"conv_{index + 1}",
            )(x)
            if index:
                x = layers.BatchNormalization(name=f"norm_{index + 1}")(x)
            x = layers.LeakyReLU(SLOPE)(x)
        x = layers.Dense(self.units, name="dense_1")(layers.Flatten()(x))
        x = layers.Dense(1, dtype="float32", name="dense_2")(layers.LeakyReLU(SLOPE)(x))
        return keras.Model(inputs, x)
