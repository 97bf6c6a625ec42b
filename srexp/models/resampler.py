"""The classical resamplers as models without weights: the baseline is treated like the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from srexp.images.resize import INTERPOLATIONS
from srexp.models.base import Model
from srexp.options import choice


@dataclass(kw_only=True)
class Resampler(Model, name="resampler"):
    """Enlarging by a fixed kernel: nearest, bilinear, bicubic, lanczos and the rest.

    Attributes:
        interpolation: The kernel.
    """

    trainable: ClassVar[bool] = False
    upsampling: ClassVar[str] = "post"

    interpolation: str = choice(*INTERPOLATIONS)

    @property
    def receptive_field(self) -> int:
        # Full width of the kernel in LR pixels, when enlarging.
        widths = {"nearest": 1, "box": 1, "bilinear": 2, "hamming": 2, "bicubic": 4, "lanczos": 6}
        return widths[self.interpolation]
