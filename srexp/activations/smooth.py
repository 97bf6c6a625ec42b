"""Activations without a kink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class ELU(Activation, name="elu"):
    """x for x > 0, alpha (e^x - 1) otherwise. Clevert et al., 2016, equation 15."""

    alpha: float = bounded(above=0)

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.ELU(alpha=self.alpha)


@dataclass(kw_only=True)
class SELU(Activation, name="selu"):
    """Scaled ELU with the fixed numbers of Klambauer et al., 2017, equation 2."""

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.Activation("selu")


@dataclass(kw_only=True)
class GELU(Activation, name="gelu"):
    """x times the normal distribution function of x. Hendrycks and Gimpel, 2016."""

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.Activation("gelu")


@dataclass(kw_only=True)
class SiLU(Activation, name="silu"):
    """x times the logistic function of x (Swish). Elfwing et al., 2018."""

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.Activation("silu")


@dataclass(kw_only=True)
class Tanh(Activation, name="tanh"):
    """Hyperbolic tangent."""

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.Activation("tanh")
