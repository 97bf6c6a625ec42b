"""Rectified linear units and their leaky kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class ReLU(Activation, name="relu"):
    """max(0, x)."""

    rectifies = True

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.ReLU()


@dataclass(kw_only=True)
class LeakyReLU(Activation, name="leaky_relu"):
    """x for x > 0, negative_slope * x otherwise. Maas et al., 2013."""

    rectifies = True

    negative_slope: float = bounded(0, 1)

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.LeakyReLU(negative_slope=self.negative_slope)


@dataclass(kw_only=True)
class PReLU(Activation, name="prelu"):
    """Leaky ReLU with a learned slope for each channel. He et al., 2015, equation 1."""

    rectifies = True

    initial_slope: float = bounded(-1, 1)

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.PReLU(
            alpha_initializer=keras.initializers.Constant(self.initial_slope),
            # One slope a channel: any image size, as in the paper.
            shared_axes=[1, 2],
        )
