"""ESPCN.

W. Shi et al.: Real-time single image and video super-resolution using an efficient sub-pixel
convolutional neural network. CVPR 2016. Section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import Model
from srexp.models.parts import check_kernels, hidden_layers, shuffle
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class ESPCN(Model, name="espcn"):
    """Convolutions on LR, then one pixel shuffle.

    Attributes:
        filters: Channels of every layer but the last; the paper's are [64, 32].
        kernel_sizes: Side of each layer's kernel, odd, one more than `filters`.
        last_layer_rate: What the last layer's learning rate is multiplied by.
    """

    filters: list[int] = bounded(1, 4096)
    kernel_sizes: list[int] = bounded(1, 31)
    last_layer_rate: float = bounded(above=0, high=1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernels(self.filters, self.kernel_sizes, "follow from the scale")

    @property
    def rates(self) -> Mapping[str, float]:
        last = f"conv_{len(self.kernel_sizes)}"
        return {last: self.last_layer_rate} if self.last_layer_rate != 1 else {}

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        x = inputs = keras.Input((None, None, channels))
        x = hidden_layers(x, self.filters, self.kernel_sizes[:-1], act)
        x = keras.layers.Conv2D(
            channels * scale**2,
            self.kernel_sizes[-1],
            padding="same",
            dtype="float32",
            name=f"conv_{len(self.kernel_sizes)}",
        )(x)
        return keras.Model(inputs, shuffle(x, scale), name="espcn")
