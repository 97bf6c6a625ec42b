"""What every metric beyond PSNR and SSIM is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from srexp.options import OptionError, Options
from srexp.quiet import quiet_import


@dataclass(kw_only=True)
class Metric(Options, group="metric"):
    """A further column of an evaluation: one number for an image and its reference.

    PSNR and SSIM stand in every evaluation; these are asked for.

    Attributes:
        label: Heads its columns in tables.
        digits: Behind the point, in tables.
        higher_is_better: Whether more of it is better.
    """

    label: ClassVar[str]
    digits: ClassVar[int] = 4
    higher_is_better: ClassVar[bool] = True

    @property
    def minimum_side(self) -> int:
        """The smallest side that it can judge, in pixels; smaller images have no value."""
        return 1

    @property
    def note(self) -> str:
        """What a reader of the table has to know, such as a unit; or empty."""
        return ""

    @property
    def weights(self) -> str:
        """Which weights it judges with, where it has any: equal for equal weights."""
        return ""

    def prepare(self) -> None:
        """Read what it needs, before anything is scored.

        Raises:
            OptionError: What it needs is not there or does not do.
        """

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        """Judge `image` by `reference`: `[H, W, C]`, cropped, as the protocol compares them.

        They are uint8; float64 in the same levels 0..255, neither rounded nor clipped, under
        protocols with `rounding: none`.
        C is 1 under protocols that compare luma. Neither may be changed; several threads may call.
        """
        raise NotImplementedError


def prepare_all(metrics: dict[str, Metric]) -> None:
    """Raises OptionError: A metric lacks what it needs."""
    # Otherwise LPIPS without a run takes all memory of a GPU that others may be using.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    for name, metric in metrics.items():
        fault: OptionError | None = None
        with quiet_import():
            try:
                metric.prepare()
            except OptionError as error:
                fault = error
        if fault is not None:
            raise OptionError(f"metric.{name}.{fault}", f"metric.{name}.{fault.key}") from fault
