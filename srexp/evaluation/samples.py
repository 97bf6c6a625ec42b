"""What a run keeps to be looked at: of a few images one square, from HR, bicubic and the model.

The square is where bicubic errs most, so it is the same one for every network, and pictures of
different runs can be laid side by side.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srexp.evaluation.grids import worst_window
from srexp.evaluation.scoring import Case, ImageResult, Score, Task
from srexp.files import file_name, write_atomically
from srexp.images.io import ImageFileError, read_image, to_png
from srexp.images.quantize import to_uint8, unpack

SIDE = 192  # of a square in HR pixels: some 70 kB as a PNG in colour
_INDEX = "samples.json"
_PICTURES = ("hr", "bicubic", "sr")
_SCORES = ("score", "bicubic_score")


@dataclass(frozen=True, eq=False)
class Sample:
    """One square of one image.

    Attributes:
        task: `Task.key` of what it was scored on.
        digest: `Task.digest`.
        image: Its name.
        method: What made `sr`.
        score: Of the whole image: PSNR in dB and SSIM.
        bicubic_score: Likewise.
        crop: Left, top, width and height in the HR image.
        size: Width and height of the HR image.
        hr: `[height, width, C]` uint8, as are the others.
        bicubic: What bicubic made.
        sr: What the method made.
    """

    task: str
    digest: str
    image: str
    method: str
    score: Score
    bicubic_score: Score
    crop: tuple[int, int, int, int]
    size: tuple[int, int]
    hr: np.ndarray
    bicubic: np.ndarray
    sr: np.ndarray

    @property
    def gain(self) -> float:
        """PSNR over bicubic in dB."""
        return self.score.psnr - self.bicubic_score.psnr


class Extremes:
    """Of the images of a task, as they come, those with the least and the greatest gain."""

    def __init__(self, task: Task, method: str, count: int) -> None:
        """Args:
        task: What is scored.
        method: What is scored.
        count: How many to keep, half of either kind; all if there are no more.
        """
        self.samples: list[Sample] = []  # the least gain first
        self._task, self._method, self._count = task, method, count

    def see(self, result: ImageResult, case: Case, sr: np.ndarray) -> None:
        """Keep a square of an image, if it is among them so far (`scoring.evaluate`)."""
        if not self._count or not result.finite:
            return
        rank = sum(kept.gain <= result.gain for kept in self.samples)
        full = len(self.samples) == self._count
        # Of those in order and this one, the first of the upper half has to go.
        drop = self._count // 2
        if full and rank == drop:
            return
        self.samples.insert(rank, self._sample(result, case, sr))
        if full:
            del self.samples[drop]

    def _sample(self, result: ImageResult, case: Case, sr: np.ndarray) -> Sample:
        hr, base = unpack(case.hr), unpack(case.bicubic)
        height, width = hr.shape[:2]
        side = min(SIDE, height, width)
        top, left = worst_window(np.abs(base - hr).mean(axis=2, keepdims=True), side)
        square = (slice(top, top + side), slice(left, left + side))
        return Sample(
            self._task.key,
            self._task.digest,
            result.image,
            self._method,
            result.score,
            result.bicubic,
            (left, top, side, side),
            (width, height),
            *(to_uint8(image[square]) for image in (hr, base, sr)),
        )


def keep(folder: Path, samples: Sequence[Sample]) -> None:
    """Write samples under a run folder, in place of those of before.

    Raises:
        OSError: The disk is full; then there are none.
    """
    kept = folder / "samples"
    shutil.rmtree(kept, ignore_errors=True)
    if not samples:
        return
    index = []
    for number, sample in enumerate(samples, 1):
        stem = f"{sample.task}/{number}_{file_name(sample.image, 60)}"
        (kept / stem).parent.mkdir(parents=True, exist_ok=True)
        for name in _PICTURES:
            write_atomically(kept / f"{stem}_{name}.png", to_png(getattr(sample, name)))
        index.append({**_described(sample), "files": stem})
    write_atomically(kept / _INDEX, (json.dumps(index, indent=2) + "\n").encode())


def _described(sample: Sample) -> dict[str, Any]:
    about = {k: v for k, v in vars(sample).items() if k not in _PICTURES}
    return about | {name: list(vars(about[name]).values()) for name in _SCORES}


def kept_samples(folder: Path) -> list[Sample]:
    """The samples under a run folder, in the order they were kept; none where it has none.

    A run that ended before it was scored has none, nor has one of an older srexp; what is damaged
    costs that sample alone.
    """
    try:
        index = json.loads((folder / "samples" / _INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = []
    for about in index if isinstance(index, list) else ():
        try:
            found.append(_read(folder / "samples", about))
        except (ImageFileError, OSError, TypeError, KeyError, ValueError):
            continue
    return found


def _read(kept: Path, about: dict[str, Any]) -> Sample:
    about = dict(about)
    stem = about.pop("files")
    pictures = {name: to_uint8(read_image(kept / f"{stem}_{name}.png")[0]) for name in _PICTURES}
    scores = {name: _score(*about[name]) for name in _SCORES}
    left, top, width, height = map(int, about["crop"])
    columns, rows = map(int, about["size"])
    squares = {"crop": (left, top, width, height), "size": (columns, rows)}
    return Sample(**{**about, **squares, **scores, **pictures})


def _score(psnr: Any, ssim: Any, *further: Any) -> Score:
    return Score(float(psnr), float(ssim), *further)
