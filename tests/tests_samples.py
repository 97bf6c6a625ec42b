"""Pictures that runs kept, without a training."""

from __future__ import annotations

import numpy as np

from srexp.evaluation.samples import Sample
from srexp.evaluation.scoring import Report, Score


def noise(seed: int, side: int = 70) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def sample(report: Report, index: int, gain: float, seed: int, side: int = 70) -> Sample:
    """Of one image of a report, on which `seed` decides what the network made."""
    name = report.rows[index].image
    return Sample(
        report.task.key, report.task.digest, name, "net", Score(30.0 + gain, 0.9), Score(30.0, 0.8),
        (3, 4, side, side), (100, 90), noise(100 + index, side), noise(200 + index, side),
        noise(seed, side),
    )  # fmt: skip
