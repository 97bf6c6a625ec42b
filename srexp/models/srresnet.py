"""SRResNet.

C. Ledig et al.: Photo-realistic single image super-resolution using a generative adversarial
network. CVPR 2017. Sections 2.1 and 3.2, figure 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Model, Published
from srexp.models.parts import conv, enlarging_layers, residual_block
from srexp.options import OptionError, bounded, choice

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class SRResNet(Model, name="srresnet"):
    """Residual blocks with batch normalisation on LR, then convolutions with pixel shuffles.

    Attributes:
        blocks: Residual blocks.
        filters: Channels.
        end_kernel: Side of the first and the last layer's kernel, odd.
        norm: After each convolution of the blocks and the one behind them: `batch` or `none`.
    """

    published = (
        Published(1542528, "weights", scale=4, channels=3),
        Published(1545219, "weights+bias", scale=4, channels=3),
    )

    blocks: int = bounded(1, 1000)
    filters: int = bounded(1, 4096)
    end_kernel: int = bounded(1, 31)
    norm: str = choice("none", "batch")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.end_kernel % 2 == 0:
            raise OptionError(f"end_kernel={self.end_kernel}: must be odd", "end_kernel")

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        def normalised(x: Any, name: str) -> Any:
            # Keras' momentum of 0.99 lags behind in trainings of a few hundred steps.
            layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-4, name=name)
            return layer(x) if self.norm == "batch" else x

        inputs = keras.Input((None, None, channels))
        x = head = act.build()(conv(inputs, self.filters, "head", self.end_kernel))
        for index in range(self.blocks):
            name = f"block_{index + 1}"
            x = residual_block(
                x, act, name, lambda y, number, name=name: normalised(y, f"{name}_norm_{number}")
            )
        x = normalised(conv(x, self.filters, "body_conv"), "body_norm")
        x = keras.layers.Add(name="body")([head, x])
        x = enlarging_layers(x, self.filters, scale, act)
        x = conv(x, channels, "tail", self.end_kernel, dtype="float32")
        return keras.Model(inputs, x, name="srresnet")
