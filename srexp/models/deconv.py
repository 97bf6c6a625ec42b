"""The deconvolution network of the 2018 tutorial that srexp comes from.

Seven stride-1 transposed convolutions over the image already enlarged, with an activation after
each but the last. At stride 1 a transposed convolution is a convolution with its kernel turned,
which is why it shows no checkerboard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.activations.base import Activation
from srexp.models.base import PreUpsampling
from srexp.options import OptionError, bounded, choice

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class Deconv(PreUpsampling, name="deconv"):
    """Stack of stride-1 transposed convolutions.

    Attributes:
        depth: Number of layers, the last included.
        filters: Channels of every layer but the last.
        kernel_size: Side of every kernel, odd.
        output_activation: After the last layer, on the network's own branch: `linear` or `tanh`.
        value_range: What [0, 1] becomes inside the network; the tutorial's tanh wants [-1, 1].
        residual: Add the enlarged input to the result. The last layer then starts at zero, so
            that training starts from the interpolated image.
    """

    depth: int = bounded(2, 100)
    filters: int = bounded(1, 4096)
    kernel_size: int = bounded(1, 31)
    output_activation: str = choice("linear", "tanh")
    value_range: list[float] = bounded(-1000, 1000)
    residual: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise OptionError(f"kernel_size={self.kernel_size}: must be odd", "kernel_size")
        if len(self.value_range) != 2 or self.value_range[0] >= self.value_range[1]:
            raise OptionError(
                f"value_range={self.value_range}: must be two rising numbers such as [-1,1]",
                "value_range",
            )

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        low, high = self.value_range
        inputs = keras.Input((None, None, channels))
        # In mixed precision the image itself stays in float32: float16 has too few digits for it.
        image = keras.layers.Rescaling(high - low, low, dtype="float32", name="to_value_range")(
            inputs
        )
        x = image
        for index in range(self.depth - 1):
            x = keras.layers.Conv2DTranspose(
                self.filters,
                self.kernel_size,
                padding="same",
                kernel_initializer="he_normal",
                name=f"deconv_{index + 1}",
            )(x)
            x = act.build()(x)
        x = keras.layers.Conv2DTranspose(
            channels,
            self.kernel_size,
            padding="same",
            activation=self.output_activation,
            kernel_initializer="zeros" if self.residual else "glorot_uniform",
            name=f"deconv_{self.depth}",
        )(x)
        if self.residual:
            x = keras.layers.Add(dtype="float32")([image, x])
        outputs = keras.layers.Rescaling(
            1 / (high - low), -low / (high - low), dtype="float32", name="to_unit_range"
        )(x)
        return keras.Model(inputs, outputs, name="deconv")
