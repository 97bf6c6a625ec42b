"""LapSRN.

W.-S. Lai, J.-B. Huang, N. Ahuja, M.-H. Yang: Deep Laplacian pyramid networks for fast and accurate
super-resolution. CVPR 2017. Section 3; kernel sizes as in the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.activations.base import Activation
from srexp.models.base import Comparison, Model, Published
from srexp.models.enlarge import reduce_tensor
from srexp.models.parts import conv, transposed
from srexp.options import bounded

if TYPE_CHECKING:
    import keras

# Bilinear interpolation by 2 as a transposed convolution of 4x4.
_BILINEAR = np.array([1, 3, 3, 1], np.float32) / 4


@dataclass(kw_only=True)
class LapSRN(Model, name="lapsrn"):
    """Doubles the image, and what it knows of it, once for each octave.

    In training the result of each octave is compared with HR made as small by MATLAB's bicubic;
    each loss weighs as much as its share of HR's pixels, which is the paper's sum over pixels.

    Attributes:
        depth: 3x3 convolutions of each octave, before it gets larger.
        filters: Channels.
    """

    scales = (2, 4, 8)
    published = tuple(
        Published(count, counts, scale=scale, channels=1)
        for counts, totals in (("weights", (406672, 812768)), ("weights+bias", (407441, 814242)))
        for scale, count in zip((2, 4), totals, strict=True)
    )

    depth: int = bounded(1, 100)
    filters: int = bounded(1, 4096)

    def compared_side(self, hr_patch_size: int, scale: int) -> int:
        return hr_patch_size * 2 // scale

    def comparison(self, network: keras.Model) -> Comparison:
        import keras

        names = [layer.name for layer in network.layers if layer.name.startswith("octave_")]
        levels = keras.Model(network.input, [network.get_layer(name).output for name in names])

        def compare(inputs: Any, hr: Any) -> list[tuple[Any, Any, float]]:
            made = levels(inputs, training=True)
            made = made if isinstance(made, list) else [made]  # of one octave
            smaller = [2**octaves for octaves in reversed(range(len(made)))]
            return [
                (sr, reduce_tensor(hr, factor) if factor > 1 else hr, 1 / factor**2)
                for sr, factor in zip(made, smaller, strict=True)
            ]

        return compare

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        def bilinear(shape: Any, dtype: Any = None) -> Any:
            """`[4, 4, C, C]`, each channel for itself."""
            kernel = np.outer(_BILINEAR, _BILINEAR)[..., None, None] * np.eye(channels)
            return keras.ops.convert_to_tensor(kernel, dtype)

        he: dict[str, Any] = {"kernel_initializer": "he_normal"}
        image = inputs = keras.Input((None, None, channels))
        first = keras.initializers.RandomNormal(stddev=0.001)
        x = act.build()(conv(inputs, self.filters, "head", kernel_initializer=first))
        for octave in range(1, scale.bit_length()):
            for index in range(self.depth):
                x = act.build()(conv(x, self.filters, f"conv_{octave}_{index + 1}", **he))
            x = act.build()(transposed(x, self.filters, 3, 2, name=f"enlarge_{octave}", **he))
            residual = conv(x, channels, f"residual_{octave}", dtype="float32", **he)
            image = transposed(
                image, channels, 4, 2, use_bias=False, dtype="float32", name=f"image_{octave}",
            )  # fmt: skip
            image = keras.layers.Add(dtype="float32", name=f"octave_{octave}")([image, residual])
        network = keras.Model(inputs, image, name="lapsrn")
        for octave in range(1, scale.bit_length()):
            kernel = network.get_layer(f"image_{octave}").kernel
            kernel.assign(bilinear(kernel.shape))
        return network
