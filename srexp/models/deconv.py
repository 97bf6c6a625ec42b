"""The deconvolution network of the 2018 tutorial, in its three ways to get larger.

A stack of transposed convolutions with an activation after each but the last. At stride 1 a
transposed convolution is a convolution with its kernel turned, which is why only the strided one
shows a checkerboard (Odena et al.: Deconvolution and checkerboard artifacts. Distill, 2016).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Model, PreUpsampling
from srexp.models.parts import repeated, shuffle, transposed
from srexp.options import OptionError, bounded, choice

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class _Stack(Model):
    """What the three have in common.

    Attributes:
        depth: Number of stride-1 layers, the last included.
        filters: Channels of every layer but the last.
        kernel_size: Side of every kernel, odd.
        output_activation: After the last layer, on the network's own branch: `linear` or `tanh`.
        value_range: What [0, 1] becomes inside the network; the tutorial's tanh wants [-1, 1].
    """

    depth: int = bounded(2, 100)
    filters: int = bounded(1, 4096)
    kernel_size: int = bounded(1, 31)
    output_activation: str = choice("linear", "tanh")
    value_range: list[float] = bounded(-1000, 1000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise OptionError(f"kernel_size={self.kernel_size}: must be odd", "kernel_size")
        if len(self.value_range) != 2 or self.value_range[0] >= self.value_range[1]:
            raise OptionError(
                f"value_range={self.value_range}: must be two rising numbers such as [-1,1]",
                "value_range",
            )

    def _enlarged(self, x: Any, scale: int, act: Activation) -> Any:
        """What the stack gets larger by, inside of it."""
        raise NotImplementedError

    def _built(
        self, *, scale: int, channels: int, act: Activation, lr_depth: int | None, residual: bool
    ) -> keras.Model:
        """The network.

        Args:
            scale: As `build`.
            channels: As `build`.
            act: As `build`.
            lr_depth: Layers before it gets larger; None where it does not.
            residual: Add the image; the last layer then starts at zero.
        """
        import keras

        low, high = self.value_range
        inputs = keras.Input((None, None, channels))
        # In mixed precision the image itself stays in float32: float16 has too few digits for it.
        image = keras.layers.Rescaling(high - low, low, dtype="float32", name="to_value_range")(
            inputs
        )
        x = image
        for index in range(self.depth - 1):
            if index == lr_depth:
                x = self._enlarged(x, scale, act)
            x = keras.layers.Conv2DTranspose(
                self.filters,
                self.kernel_size,
                padding="same",
                kernel_initializer="he_normal",
                name=f"deconv_{index + 1}",
            )(x)
            x = act.build()(x)
        if lr_depth == self.depth - 1:
            x = self._enlarged(x, scale, act)
        x = keras.layers.Conv2DTranspose(
            channels,
            self.kernel_size,
            padding="same",
            activation=self.output_activation,
            kernel_initializer="zeros" if residual else "glorot_uniform",
            # In mixed precision float16 would round what nothing is added to.
            dtype=None if residual else "float32",
            name=f"deconv_{self.depth}",
        )(x)
        if residual:
            x = keras.layers.Add(dtype="float32")([image, x])
        outputs = keras.layers.Rescaling(
            1 / (high - low), -low / (high - low), dtype="float32", name="to_unit_range"
        )(x)
        return keras.Model(inputs, outputs, name=self.name)


@dataclass(kw_only=True)
class Deconv(_Stack, PreUpsampling, name="deconv"):
    """The image is enlarged first; every layer has stride 1.

    Attributes:
        residual: Add the enlarged input to the result. The last layer then starts at zero, so
            that training starts from the interpolated image.
    """

    residual: bool

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        return self._built(
            scale=scale, channels=channels, act=act, lr_depth=None, residual=self.residual
        )


@dataclass(kw_only=True)
class _Inside(_Stack):
    """Gets larger between its layers.

    Attributes:
        lr_depth: How many of the `depth` layers work on LR, before it gets larger.
    """

    lr_depth: int = bounded(0, 99)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lr_depth >= self.depth:
            raise OptionError(
                f"lr_depth={self.lr_depth}: must be less than depth={self.depth}, which counts "
                "the layers on the enlarged image too",
                "lr_depth",
            )

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        return self._built(
            scale=scale, channels=channels, act=act, lr_depth=self.lr_depth, residual=False
        )


@dataclass(kw_only=True)
class DeconvStrided(_Inside, name="deconv_strided"):
    """LR gets larger by a strided transposed convolution, with an activation after it.

    Attributes:
        upscale_kernel: Side of its kernel; a checkerboard is likely unless the stride divides it.
        upscale_stride: What it enlarges by; the scale must be a power of it, and has as many such
            layers. None for one layer with the scale as its stride.
    """

    upscale_kernel: int = bounded(1, 31)
    upscale_stride: int | None = bounded(2, 8)

    def check(self, *, scale: int, channels: int) -> None:
        super().check(scale=scale, channels=channels)
        stride = self.upscale_stride or scale
        if stride ** self._count(scale) != scale:
            raise OptionError(
                f"model.upscale_stride={stride}: degradation.scale={scale} is no power of it; "
                "null takes the scale",
                "model.upscale_stride",
            )
        if self.upscale_kernel < stride:
            raise OptionError(
                f"model.upscale_kernel={self.upscale_kernel}: must be at least the stride, "
                f"{stride}, or pixels between are never written",
                "model.upscale_kernel",
            )

    def _count(self, scale: int) -> int:
        """How many strided layers there are."""
        return max(1, round(math.log(scale, self.upscale_stride or scale)))

    def _enlarged(self, x: Any, scale: int, act: Activation) -> Any:
        for index in range(self._count(scale)):
            x = transposed(
                x,
                self.filters,
                self.upscale_kernel,
                self.upscale_stride or scale,
                kernel_initializer="he_normal",
                name=f"enlarge_{index + 1}",
            )
            x = act.build()(x)
        return x


@dataclass(kw_only=True)
class DeconvResize(_Inside, name="deconv_resize"):
    """LR gets larger by resizing, inside the network; the layers after it smooth what it leaves.

    Attributes:
        upscale_by: How it is resized: `nearest` or `bilinear`.
    """

    upscale_by: str = choice("nearest", "bilinear")

    def _enlarged(self, x: Any, scale: int, act: Activation) -> Any:
        import keras

        if self.upscale_by == "nearest":
            # UpSampling2D repeats rows and columns; TensorFlow then no longer knows the number of
            # channels, without which LiteRT cannot run the convolution that follows.
            return shuffle(repeated(x, scale), scale)
        return keras.layers.UpSampling2D(scale, interpolation=self.upscale_by)(x)
