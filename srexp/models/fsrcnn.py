"""FSRCNN.

C. Dong, C. C. Loy, X. Tang: Accelerating the super-resolution convolutional neural network. ECCV
2016. Section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import transposed
from srexp.options import bounded

if TYPE_CHECKING:
    import keras

# Of the transposed convolution.
_KERNEL = 9


@dataclass(kw_only=True)
class FSRCNN(Model, name="fsrcnn"):
    """Features, shrinking, mapping, expanding, and a transposed convolution that enlarges.

    Attributes:
        features: Channels of the features, d in the paper.
        shrunk: Channels of the mapping, s in the paper.
        mappings: 3x3 layers of the mapping, m in the paper.
        last_layer_rate: What the last layer's learning rate is multiplied by.
    """

    published = (
        Published(
            12464, "weights", scale=3, channels=1,
            settings={"features": 56, "shrunk": 12, "mappings": 4},
        ),
        Published(
            3937, "weights", scale=3, channels=1,
            settings={"features": 32, "shrunk": 5, "mappings": 1},
        ),
    )  # fmt: skip

    features: int = bounded(1, 4096)
    shrunk: int = bounded(1, 4096)
    mappings: int = bounded(1, 100)
    last_layer_rate: float = bounded(above=0, high=1000)

    @property
    def rates(self) -> Mapping[str, float]:
        return {"enlarge": self.last_layer_rate} if self.last_layer_rate != 1 else {}

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        layers = [("features", self.features, 5), ("shrink", self.shrunk, 1)]
        layers += [(f"map_{index + 1}", self.shrunk, 3) for index in range(self.mappings)]
        layers += [("expand", self.features, 1)]
        x = inputs = keras.Input((None, None, channels))
        for name, filters, size in layers:
            x = keras.layers.Conv2D(
                filters, size, padding="same", kernel_initializer="he_normal", name=name
            )(x)
            x = act.build()(x)
        x = transposed(
            x,
            channels,
            _KERNEL,
            scale,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.001),
            dtype="float32",
            name="enlarge",
        )
        return keras.Model(inputs, x, name="fsrcnn")
