"""How long an upscaler takes, and what memory of the host."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from srexp.evaluation.scoring import Case
from srexp.images.quantize import unpack
from srexp.models.upscaler import Enlarge

# Linux counts kibibytes, macOS bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Timing:
    """Attributes:
    ms_per_megapixel: Of output: the medians of all images over all their pixels.
    repeats: How often each image was timed, after a warm-up.
    images: How many.
    peak_memory: The largest resident set of this process so far, in bytes: of the host, not of a
        GPU, and with all that the process did before; None where unknown.
    device: What it ran on, in words.
    """

    ms_per_megapixel: float
    repeats: int
    images: int
    peak_memory: int | None
    device: str

    def __str__(self) -> str:
        memory = (
            ""
            if self.peak_memory is None
            else f", peak host memory of the process so far {self.peak_memory / 1e6:.0f} MB"
        )
        return (
            f"{self.ms_per_megapixel:.4g} ms per megapixel of output (median of {self.repeats} "
            f"after a warm-up, n = {self.images}){memory}; on {self.device}"
        )


@dataclass
class Stopwatch:
    """Times an upscaler on cases: from LR in memory to SR in memory, unrounded.

    Attributes:
        upscaler: What is timed. Scoring the case first is its warm-up.
        eight_bit: As the protocol wants it.
        repeats: How often.
    """

    upscaler: Enlarge
    eight_bit: bool
    repeats: int
    _seconds: list[float] = field(default_factory=list)
    _pixels: int = 0

    def time(self, case: Case) -> None:
        """Time one image."""
        lr = unpack(case.lr)
        taken = []
        for _ in range(self.repeats):
            began = time.perf_counter()
            sr = self.upscaler(lr, eight_bit=self.eight_bit)
            taken.append(time.perf_counter() - began)
        self._seconds.append(statistics.median(taken))
        self._pixels += sr.shape[0] * sr.shape[1]

    def result(self, device: str) -> Timing:
        """What was measured; `device` in words."""
        per_megapixel = 1e3 * sum(self._seconds) / (self._pixels / 1e6)
        return Timing(per_megapixel, self.repeats, len(self._seconds), peak_memory(), device)


def peak_memory() -> int | None:
    """The largest resident set that this process has had, in bytes; None where unknown."""
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` counts what the parent had, too
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT
