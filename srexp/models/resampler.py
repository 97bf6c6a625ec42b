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

    interpolation: str = choice(*INTERPOLATIONS)
