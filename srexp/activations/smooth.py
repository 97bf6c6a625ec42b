"""Activations without a kink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation, KerasActivation
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
class SELU(KerasActivation, name="selu"):
    """Scaled ELU with the fixed numbers of Klambauer et al., 2017, equation 2."""


@dataclass(kw_only=True)
class GELU(KerasActivation, name="gelu"):
    """x times the normal distribution function of x. Hendrycks and Gimpel, 2016."""


@dataclass(kw_only=True)
class SiLU(KerasActivation, name="silu"):
    """x times the logistic function of x (Swish). Elfwing et al., 2018."""


@dataclass(kw_only=True)
class Mish(KerasActivation, name="mish"):
    """x tanh(log(1 + e^x)). Misra, 2019."""


@dataclass(kw_only=True)
class Softplus(KerasActivation, name="softplus"):
    """log(1 + e^x). Dugas et al., 2001."""


@dataclass(kw_only=True)
class Squareplus(KerasActivation, name="squareplus"):
    """(x + sqrt(x² + 4)) / 2. Barron, 2021."""


@dataclass(kw_only=True)
class Softsign(KerasActivation, name="softsign"):
    """x / (1 + |x|). Bergstra et al., 2009."""


@dataclass(kw_only=True)
class Sigmoid(KerasActivation, name="sigmoid"):
    """The logistic function, 1 / (1 + e^-x)."""


@dataclass(kw_only=True)
class Tanh(KerasActivation, name="tanh"):
    """Hyperbolic tangent."""
