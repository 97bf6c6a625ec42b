"""SRCNN.

C. Dong, C. C. Loy, K. He, X. Tang: Image super-resolution using deep convolutional networks.
IEEE TPAMI 38(2), 2016 (the ECCV 2014 paper's network is 9-1-5). Section 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import PreUpsampling, Published
from srexp.models.parts import check_kernels, hidden_layers
from srexp.options import bounded

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class SRCNN(PreUpsampling, name="srcnn"):
    """Patch extraction, non-linear mapping, reconstruction.

    The paper trains on valid convolutions; here every layer is padded with zeros ("same").

    Attributes:
        filters: Channels of every layer but the last; the paper's are [64, 32].
        kernel_sizes: Side of each layer's kernel, odd: [9, 1, 5] or [9, 5, 5].
        residual: Add the enlarged input to the result (not in the paper); the last layer then
            starts at zero.
        last_layer_rate: What the last layer's learning rate is multiplied by; the paper's is 0.1.
    """

    published = (
        Published(8032, "weights", scale=3, channels=1, settings={"kernel_sizes": [9, 1, 5]}),
        Published(24416, "weights", scale=3, channels=1, settings={"kernel_sizes": [9, 3, 5]}),
        Published(57184, "weights", scale=3, channels=1, settings={"kernel_sizes": [9, 5, 5]}),
    )

    filters: list[int] = bounded(1, 4096)
    kernel_sizes: list[int] = bounded(1, 31)
    residual: bool
    last_layer_rate: float = bounded(above=0, high=1000, default=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernels(self.filters, self.kernel_sizes, "are the image's channels")

    @property
    def rates(self) -> Mapping[str, float]:
        last = f"conv_{len(self.kernel_sizes)}"
        return {last: self.last_layer_rate} if self.last_layer_rate != 1 else {}

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        inputs = keras.Input((None, None, channels))
        x = inputs
        x = hidden_layers(x, self.filters, self.kernel_sizes[:-1], act)
        x = keras.layers.Conv2D(
            channels,
            self.kernel_sizes[-1],
            padding="same",
            kernel_initializer="zeros" if self.residual else "glorot_uniform",
            dtype="float32",
            name=f"conv_{len(self.kernel_sizes)}",
        )(x)
        if self.residual:
            x = keras.layers.Add(dtype="float32")([inputs, x])
        return keras.Model(inputs, x, name="srcnn")
