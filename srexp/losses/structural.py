"""Losses that compare structure: SSIM and MS-SSIM as networks can lower them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from srexp.losses.base import Loss
from srexp.metrics.ms_ssim import WEIGHTS
from srexp.metrics.ssim import K1, K2, WINDOW, window

# What a scale's contrast and structure count at least in MS-SSIM: negative numbers have no such
# power, and at 0 its slope is infinite.
_LEAST = 1e-6


@dataclass(kw_only=True)
class SSIM(Loss, name="ssim"):
    """1 - SSIM, with the window and constants of `srexp.metrics.ssim`. Zhao et al., 2017."""

    @property
    def minimum_side(self) -> int:
        return WINDOW

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        luminance, rest = _similarity(hr, sr)
        return 1 - ops.mean(luminance * rest)


@dataclass(kw_only=True)
class MSSSIM(Loss, name="ms_ssim"):
    """1 - MS-SSIM of `srexp.metrics.ms_ssim`, over as many scales as a patch has.

    Five scales need patches of 176 pixels; with fewer scales their exponents are made to sum to 1.
    """

    @property
    def minimum_side(self) -> int:
        return WINDOW

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        weights = WEIGHTS[: _scales(min(hr.shape[1:3]))]
        product = 1.0
        for scale, weight in enumerate(weights, 1):
            luminance, rest = _similarity(hr, sr)
            last = scale == len(weights)
            mean = ops.mean(luminance * rest if last else rest, axis=(1, 2))  # of each channel
            product *= ops.maximum(mean, _LEAST) ** (weight / sum(weights))
            if not last:
                hr, sr = _halved(hr), _halved(sr)
        return 1 - ops.mean(product)


def _scales(side: int) -> int:
    """How many times, and once more, a patch can be halved until it is below the window."""
    count = 0
    while side >= WINDOW and count < len(WEIGHTS):
        count += 1
        side = -(-side // 2)
    return count


def _similarity(hr: Any, sr: Any) -> tuple[Any, Any]:
    """Luminance, and contrast times structure, `[N, H - 10, W - 10, C]`. Wang et al., 2004."""
    from keras import ops

    channels = hr.shape[-1]
    filtered = ops.concatenate([hr, sr, hr * hr + sr * sr, hr * sr], axis=-1)
    for shape in ((WINDOW, 1, 1, 1), (1, WINDOW, 1, 1)):
        kernel = ops.tile(ops.reshape(ops.convert_to_tensor(window(), "float32"), shape),
                          (1, 1, 4 * channels, 1))  # fmt: skip
        filtered = ops.depthwise_conv(filtered, kernel, padding="valid")
    mean_hr, mean_sr, squares, products = ops.split(filtered, 4, axis=-1)
    both, either = mean_hr * mean_sr, mean_hr * mean_hr + mean_sr * mean_sr
    c1, c2 = K1**2, K2**2  # images in [0, 1]: L = 1
    luminance = (2 * both + c1) / (either + c1)
    return luminance, (2 * (products - both) + c2) / (squares - either + c2)


def _halved(image: Any) -> Any:
    """Means of 2x2 pixels; an odd side repeats its last row or column."""
    from keras import ops

    odd = [side % 2 for side in image.shape[1:3]]
    if any(odd):
        image = ops.pad(image, [[0, 0], [0, odd[0]], [0, odd[1]], [0, 0]], mode="symmetric")
    return ops.average_pool(image, 2)
