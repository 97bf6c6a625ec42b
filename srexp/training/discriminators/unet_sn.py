"""A U-Net with spectral normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from srexp.training.discriminators.base import SLOPE, Discriminator, refuse

if TYPE_CHECKING:
    import keras

_MULTIPLE = 8  # three layers halve it, and their results are added on the way back


@dataclass(kw_only=True)
class UNet(Discriminator, name="unet_sn"):
    """Wang et al., Real-ESRGAN, ICCVW 2021, figure 6: a logit for each pixel, `[N, H, W, 1]`.

    With 64 filters and three channels it has 4,376,897 weights, as the authors' has.
    """

    def check(self, side: int) -> None:
        if side % _MULTIPLE:
            below, above = side - side % _MULTIPLE, side - side % _MULTIPLE + _MULTIPLE
            near = f"{below} or {above}" if below else str(above)
            raise refuse(side, self.name, f"a multiple of {_MULTIPLE}: {near} would do")

    def build(self, *, side: int, channels: int) -> keras.Model:
        import keras
        from keras import layers

        numbers = iter(range(1, 9))

        def normalised(x: Any, factor: int, size: int = 3, strides: int = 1) -> Any:
            layer = _spectral()(
                factor * self.filters,
                size,
                strides,
                padding="same",
                use_bias=False,
                kernel_initializer="he_uniform",
                name=f"conv_{next(numbers)}",
            )
            return layers.LeakyReLU(SLOPE)(layer(x))

        def twice(x: Any) -> Any:
            return layers.UpSampling2D(2, interpolation="bilinear")(x)

        inputs = keras.Input((None, None, channels))
        x = layers.Conv2D(self.filters, 3, padding="same", name="conv_0")(inputs)
        full = layers.LeakyReLU(SLOPE)(x)
        half = normalised(full, 2, 4, 2)
        quarter = normalised(half, 4, 4, 2)
        eighth = normalised(quarter, 8, 4, 2)
        x = normalised(twice(eighth), 4) + quarter
        x = normalised(twice(x), 2) + half
        x = normalised(twice(x), 1) + full
        x = normalised(normalised(x, 1), 1)
        x = layers.Conv2D(1, 3, padding="same", dtype="float32", name="conv_9")(x)
        return keras.Model(inputs, x)


@cache
def _spectral() -> type[keras.layers.Conv2D]:
    """The layer's class, which only exists with Keras."""
    import keras
    from keras import ops

    class SpectralConv2D(keras.layers.Conv2D):  # type: ignore[misc]
        """A convolution by its kernel over the kernel's spectral norm.

        Miyato et al., ICLR 2018, algorithm 1: the norm is the largest singular value of the kernel
        as a matrix, found by one power iteration a step from the vector of the step before. The
        gradient passes through the norm. (Keras' wrapper writes the divided kernel over the
        kernel, so that it does not.) The vector moves in training alone.
        """

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.vector = self.add_weight(
                shape=(1, self.filters),
                initializer=keras.initializers.RandomNormal(),
                trainable=False,
                dtype="float32",
                autocast=False,
                name="vector",
            )

        def call(self, inputs: Any, training: bool = False) -> Any:
            kernel = ops.cast(self.kernel, "float32")
            matrix = ops.reshape(kernel, (-1, self.filters))
            fixed = ops.stop_gradient(matrix)
            left = ops.normalize(ops.matmul(self.vector, ops.transpose(fixed)), epsilon=1e-12)
            right = ops.normalize(ops.matmul(left, fixed), epsilon=1e-12)
            if training:
                self.vector.assign(right)
            norm = ops.sum(ops.matmul(left, matrix) * right)
            kernel = ops.cast(kernel / norm, self.compute_dtype)
            return ops.conv(inputs, kernel, strides=list(self.strides), padding=self.padding)

    return SpectralConv2D
