"""What every activation is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from srexp.options import Options

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class Activation(Options, group="act"):
    """An activation function with its own numbers.

    Attributes:
        rectifies: Whether it holds back what is below 0, so that a unit may fall silent.
    """

    rectifies: ClassVar[bool] = False

    def build(self) -> keras.layers.Layer:
        """A new layer; one a place in the network, since PReLU has weights of its own."""
        raise NotImplementedError


class KerasActivation(Activation):
    """One of Keras' own functions, by the name that both have for it; it has no numbers."""

    def build(self) -> keras.layers.Layer:
        import keras

        return keras.layers.Activation(self.name)
