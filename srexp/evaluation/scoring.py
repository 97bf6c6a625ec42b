"""Scoring an upscaler and bicubic on a set of images, under a protocol."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from srexp.data.cache import Cache, Made, caching, current, kept, made_by
from srexp.data.sets import DataError, ImageSet, size_of
from srexp.degradations.base import Degradation, Draw
from srexp.evaluation.statistics import Interval, t_interval
from srexp.images.quantize import pack, unpack
from srexp.metrics.base import Metric
from srexp.models.upscaler import Enlarge, bicubic
from srexp.protocol import Protocol, digest, options_digest
from srexp.words import count

# A dozen of Set14's images at once, but never two of 24 megapixels.
_AHEAD = 2**23
# dB: above what any image with an error of one level in one sample has, up to 50,000 samples; such
# errors are as good as none.
_EXACT = 100.0


class NotFinite(ArithmeticError):
    """A model's image holds NaN or infinite values, so it has no score."""


@dataclass(frozen=True)
class Score:
    """PSNR in dB (`inf` for identical images), SSIM, and further metrics by name (NaN: none)."""

    psnr: float
    ssim: float
    further: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One image of a benchmark, ready to be scored again and again. Images are packed."""

    name: str
    hr: np.ndarray
    lr: np.ndarray
    bicubic: np.ndarray
    bicubic_score: Score


@dataclass(frozen=True)
class ImageResult:
    """One row of a table."""

    image: str
    score: Score
    bicubic: Score

    @property
    def gain(self) -> float:
        """PSNR over bicubic in dB."""
        return self.score.psnr - self.bicubic.psnr

    @property
    def finite(self) -> bool:
        """Whether neither PSNR is infinite."""
        return math.isfinite(self.score.psnr) and math.isfinite(self.bicubic.psnr)


@dataclass(eq=False)
class Task:
    """(image set, degradation, protocol): what a score belongs to.

    Attributes:
        images: What is scored on.
        degradation: What makes LR.
        protocol_name: For tables and keys: `y_paper`.
        protocol: How it is scored.
        metrics: Columns beside PSNR and SSIM, ready to use; no part of what a score belongs to.
        keep: Whether HR, LR and bicubic are kept in memory, to be scored again.
        ahead: Pixels times channels of the images that are prepared while others are scored; 0
            for none, where something is timed.
        cache: Where what is kept lies if it is much.
    """

    images: ImageSet
    degradation: Degradation
    protocol_name: str
    protocol: Protocol
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    keep: bool = True
    ahead: int = _AHEAD
    cache: Cache | None = field(default_factory=current)

    def __post_init__(self) -> None:
        least = self.protocol.minimum_side(self.degradation.scale)
        small = [
            f"{name} ({size_of(shape)})"
            for name, shape in self.images.images.shapes.items()
            if min(shape[:2]) < least
        ]
        if small:
            raise DataError(
                f"{self.images.name}: images with a side below {least} pixels cannot be scored "
                f"at scale {self.degradation.scale}: {', '.join(small)}"
            )
        self.images.check_scale(self.degradation.scale)

    @property
    def key(self) -> str:
        """Prefix of metric names: `set5_x3/y_paper`."""
        return f"{self.images.name}_x{self.degradation.scale}/{self.protocol_name}"

    @cached_property
    def digest(self) -> str:
        """Stands for all three; numbers with different digests never share a column."""
        degradation: Any = options_digest(self.degradation)
        if self.images.lr is not None:  # nothing of it is used but what bicubic needs
            degradation = ["LR as given", self.degradation.scale, self.degradation.engine]
            if self.degradation.lr_8bit is not None:
                degradation.append(self.degradation.lr_8bit)
        protocol = self.protocol.at_scale(self.degradation.scale)
        return digest([self.images.digest, degradation, options_digest(protocol)])

    @property
    def has_8bit_lr(self) -> bool:
        """Whether LR is rounded to 8 bits."""
        return self.protocol.has_8bit_lr(self.degradation)

    @property
    def degradation_label(self) -> str:
        """How LR is made, in words."""
        if self.images.lr is not None:
            given = f"x{self.degradation.scale} {self.degradation.engine}, LR as given"
            return given + self.degradation.storage_label
        return self.degradation.label

    @property
    def label(self) -> str:
        """All three in words."""
        return (
            f"{self.images.name} ({count(len(self.images.images), 'image')}), "
            f"{self.degradation_label}, {self.protocol_name} [{self.digest}]"
        )

    @cached_property
    def cases(self) -> list[Case]:
        """HR, LR and bicubic of every image, made once."""
        names, make = list(self.images.images), self._maker()

        def made(name: str) -> Made:
            case = make(name)
            return (case.hr, case.lr, case.bicubic), asdict(case.bicubic_score)

        key = [
            "cases", [self.images.contents[name] for name in names],
            options_digest(self.degradation), options_digest(self.protocol),
            {name: [options_digest(one), one.weights] for name, one in self.metrics.items()},
            made_by(self.degradation, self.protocol, *self.metrics.values()),
        ]  # fmt: skip
        with caching(self.cache):
            found = kept(key, f"degrading {self.images.name}", names, made)
        return [
            Case(name, hr, lr, sr, Score(**score))
            for name, ((hr, lr, sr), score) in zip(names, found, strict=True)
        ]

    def _maker(self) -> Callable[[str], Case]:
        baseline = bicubic(self.degradation)
        given: Mapping[str, np.ndarray] = self.images.lr or {}
        digests = self.images.pixel_digests

        def make(name: str) -> Case:
            hr, lr = self.protocol.pair(
                self.images.images[name],
                self.degradation,
                draw=Draw(digests[name]),
                given=given.get(name),
            )
            sr = self.protocol.result(baseline(lr, eight_bit=self.has_8bit_lr))
            score = self._score(sr, hr)
            return Case(name, pack(hr), pack(lr), pack(sr), score)

        return make

    def _made(self) -> Iterator[Case]:
        """Several at a time where they are small, so that memory does not grow with the set."""
        make = self._maker()
        waiting: deque[Future[Case]] = deque()
        sizes: deque[int] = deque()
        with ThreadPoolExecutor() as pool:
            for name, shape in self.images.images.shapes.items():
                while waiting and sum(sizes) + math.prod(shape) > self.ahead:
                    sizes.popleft()
                    yield waiting.popleft().result()
                waiting.append(pool.submit(make, name))
                sizes.append(math.prod(shape))
            while waiting:
                yield waiting.popleft().result()

    def results(self, sr_of: Callable[[Case], np.ndarray]) -> Iterator[Scored]:
        """Score SR images.

        Args:
            sr_of: The SR image of a case, `[H, W, C]` float32, not rounded.

        Yields:
            Result, case and SR image (8-bit values) of each image.

        Raises:
            NotFinite: An SR image holds NaN or infinite values.
        """
        for case in self.cases if self.keep else self._made():
            raw = sr_of(case)
            if not np.isfinite(raw).all():  # rounding would make black pixels of them
                raise NotFinite(f"{case.name}: the model's image holds NaN or infinite values")
            sr = self.protocol.result(raw)
            del raw
            score = self._score(sr, unpack(case.hr))
            yield ImageResult(case.name, score, case.bicubic_score), case, sr

    def _score(self, sr: np.ndarray, hr: np.ndarray) -> Score:
        return Score(*self.protocol.score(sr, hr, self.degradation.scale, self.metrics))


# One image's result, its case, and its SR image.
Scored = tuple[ImageResult, Case, np.ndarray]


@dataclass
class Report:
    """All results of one task.

    Attributes:
        task: What was scored.
        rows: One an image.
        method: What the upscaler is called in the table.
        weights: Which weights these are: `best (step 300), EMA`; empty for a resampler.
    """

    task: Task
    rows: list[ImageResult]
    method: str
    weights: str

    @property
    def counted(self) -> list[ImageResult]:
        """The rows that enter means: both PSNRs finite, for every method alike."""
        return [row for row in self.rows if row.finite]

    @property
    def infinite(self) -> list[str]:
        """Images left out because a PSNR is infinite (identical images)."""
        return [row.image for row in self.rows if not row.finite]

    def mean(self, quantity: Callable[[ImageResult], float]) -> float:
        """Mean over the counted images; NaN where there are none."""
        values = [quantity(row) for row in self.counted]
        # The exact sum, so that the order of the images has no part in it.
        return math.fsum(values) / len(values) if values else math.nan

    def monitored(self, name: str) -> float:
        """What weights are chosen by: the mean over all images, whatever became of them.

        An image that is reproduced exactly counts as one of `_EXACT`, so that a better network is
        never one with fewer images.

        Args:
            name: `psnr`, `ssim` or a further metric; NaN where an image has none.
        """
        values = [
            row.score.further[name]
            if name in row.score.further
            else min(getattr(row.score, name), _EXACT)
            for row in self.rows
        ]
        return float(np.mean(values))

    def further(self, name: str) -> tuple[float, float]:
        """Means of a further metric, and of bicubic's; NaN if an image has none."""
        return (
            self.mean(lambda row: row.score.further[name]),
            self.mean(lambda row: row.bicubic.further[name]),
        )

    @property
    def gain(self) -> Interval:
        """Mean PSNR gain over bicubic and its 95 % interval."""
        return t_interval([row.gain for row in self.counted])

    def metrics(self) -> dict[str, float]:
        """Means for the log, by full key; NaNs left out."""
        gain = self.gain
        values = {
            "psnr": self.mean(lambda r: r.score.psnr),
            "ssim": self.mean(lambda r: r.score.ssim),
            "psnr_bicubic": self.mean(lambda r: r.bicubic.psnr),
            "ssim_bicubic": self.mean(lambda r: r.bicubic.ssim),
            "psnr_gain": gain.mean,
            "psnr_gain_low": gain.low,
            "psnr_gain_high": gain.high,
            "ssim_gain": self.mean(lambda r: r.score.ssim - r.bicubic.ssim),
        }
        for name in self.task.metrics:
            values[name], values[f"{name}_bicubic"] = self.further(name)
        return {f"{self.task.key}/{k}": v for k, v in values.items() if math.isfinite(v)}


def evaluate(
    task: Task,
    upscaler: Enlarge,
    *,
    method: str,
    weights: str = "",
    see: Callable[[ImageResult, Case, np.ndarray], Any] | None = None,
) -> Report:
    """Score an upscaler on a task.

    Args:
        task: What to score on.
        upscaler: What to score.
        method: Its name in the table.
        weights: Which weights it has.
        see: Called with each result, its case and its SR image.
    """
    return score(task, enlarged_by(upscaler, task), method=method, weights=weights, see=see)


def enlarged_by(upscaler: Enlarge, task: Task) -> Callable[[Case], np.ndarray]:
    """What `Task.results` wants to know of an upscaler."""
    return lambda case: upscaler(unpack(case.lr), eight_bit=task.has_8bit_lr)


def score(
    task: Task,
    sr_of: Callable[[Case], np.ndarray],
    *,
    method: str,
    weights: str = "",
    see: Callable[[ImageResult, Case, np.ndarray], Any] | None = None,
) -> Report:
    """Score SR images, wherever they come from; see `evaluate` and `Task.results`."""
    rows = []
    for row, case, sr in task.results(sr_of):
        rows.append(row)
        if see is not None:
            see(row, case, sr)
    return Report(task, rows, method, weights)
