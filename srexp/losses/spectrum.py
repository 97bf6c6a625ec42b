"""A loss that compares spectra."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from srexp.losses.base import Loss


@dataclass(kw_only=True)
class FFT(Loss, name="fft"):
    """Mean absolute error of the real and of the imaginary parts of the 2-D Fourier transforms.

    The transform is the unitary one (divided by the root of the number of pixels), so that the
    size of a patch does not hide in the learning rate. Cho et al., MIMO-UNet, ICCV 2021, eq. 3.
    """

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        error = ops.transpose(sr - hr, (0, 3, 1, 2))
        real, imaginary = ops.fft2((error, ops.zeros_like(error)))
        size = math.sqrt(hr.shape[1] * hr.shape[2])
        return (ops.mean(ops.abs(real)) + ops.mean(ops.abs(imaginary))) / size
