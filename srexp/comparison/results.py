"""What a run scored, image by image, read back from its folder.

`evaluations/SET_xSCALE/PROTOCOL/*.csv` are written by `evaluation/tables.py`; nothing but the
standard library is needed to read them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srexp import words
from srexp.tracking.record import RunError, RunFolder

# What `srexp evaluate ensemble=true` says of the weights.
SELF_ENSEMBLE = "mean of 8 flips and rotations"
# In every line of a table, and the same in all of them.
_SAME = ("set", "scale", "degradation", "protocol", "digest", "method", "weights")
_SCORES = ("psnr", "ssim", "psnr_bicubic", "ssim_bicubic", "psnr_gain")
_COLUMNS = (*_SAME, "image", *_SCORES)
_STAMP = re.compile(r"20\d\d-[01]\d-[0-3]\d_[0-2]\d-[0-5]\d-[0-5]\d")


@dataclass(frozen=True)
class TaskKey:
    """What scores must agree in to stand in one column.

    Attributes:
        images: Name of the image set: `set5`.
        scale: Of the degradation.
        protocol: Its name: `y_paper`.
        degradation: In words: `x2 matlab bicubic`.
        digest: Stands for the images' content, the degradation and the protocol.
    """

    images: str
    scale: int
    protocol: str
    degradation: str
    digest: str

    @property
    def name(self) -> str:
        """`set5_x2/y_paper`, as in the metrics' names."""
        return f"{self.images}_x{self.scale}/{self.protocol}"

    def label(self, count: int) -> str:
        """All of it in words, as `scoring.Task.label` has it; `count` images."""
        images = words.count(count, "image")
        return f"{self.images} ({images}), {self.degradation}, {self.protocol} [{self.digest}]"


@dataclass(frozen=True)
class ImageScores:
    """One image of an evaluation.

    Attributes:
        image: Its name.
        psnr, ssim: Of the method; PSNR in dB, `inf` for identical images.
        psnr_bicubic, ssim_bicubic: Of bicubic on the same image.
        more: Further columns of numbers (`ms_ssim`), by name.
    """

    image: str
    psnr: float
    ssim: float
    psnr_bicubic: float
    ssim_bicubic: float
    more: dict[str, float] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether neither PSNR is infinite; else the image enters no mean."""
        return math.isfinite(self.psnr) and math.isfinite(self.psnr_bicubic)


@dataclass(frozen=True)
class Evaluation:
    """One per-image table.

    Attributes:
        task: What the scores belong to.
        method: `deconv`, or a resampler's name.
        weights: Which: `best on val (step 500), raw`; empty where there are none.
        rows: One an image, in the order of the file.
        path: The file.
    """

    task: TaskKey
    method: str
    weights: str
    rows: tuple[ImageScores, ...]
    path: Path

    @property
    def images(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(row.image for row in self.rows)

    @property
    def rank(self) -> tuple[bool, bool]:
        """Of several evaluations of a run on one task the one with the lowest counts.

        A network alone before its self-ensemble (`deconv+`), the best weights before the last.
        """
        return is_ensemble(self.method, self.weights), self.weights.startswith("last")

    @property
    def document(self) -> dict[str, Any]:
        """What `srexp evaluate` wrote beside the table; empty where there is nothing to read."""
        try:
            content = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
            return content if content["digest"] == self.task.digest else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def weights_kind(weights: str) -> str:
    """`best on val (step 300), raw` without the step, in which runs may differ."""
    return re.sub(r" \(step \d+\)|step \d+", "", weights)


def is_ensemble(method: str, weights: str) -> bool:
    """Whether an image is the mean of eight."""
    return method.endswith("+") or SELF_ENSEMBLE in weights


def is_special(weights: str) -> bool:
    """Whether they are not the best ones, used once: a table must say so."""
    return weights.startswith("last") or SELF_ENSEMBLE in weights


@dataclass(frozen=True)
class RunResults:
    """All that a run scored.

    Attributes:
        run: The run.
        evaluations: The newest whole one of the lowest rank of each task (name and digest).
        faults: One line for each file that was passed over because it is cut or altered.
    """

    run: RunFolder
    evaluations: dict[TaskKey, Evaluation]
    faults: list[str]

    @property
    def name(self) -> str:
        """The run's id."""
        return self.run.id


@dataclass(frozen=True)
class FileResults:
    """Tables of what is no run: of a resampler, or of images that another program made.

    Attributes:
        name: The method's, as the tables have it.
        evaluations: Its tables.
    """

    name: str
    evaluations: dict[TaskKey, Evaluation]


Results = RunResults | FileResults


def read_run(run: RunFolder, files: Sequence[Path] | None = None) -> RunResults:
    """Of each task of a run, the evaluation that counts: see `Evaluation.rank`.

    Args:
        run: The run.
        files: What `find_files` found, where it was called already.
    """
    files = find_files(run.folder) if files is None else files
    found: dict[TaskKey, Evaluation] = {}
    faults = []
    for path in _newest_first(run, files):
        try:
            evaluation = read_evaluation(path)
            _check_place(evaluation)
            _check_noted(run, evaluation)
        except RunError as error:
            faults.append(str(error))
            continue
        if evaluation.rank < found.setdefault(evaluation.task, evaluation).rank:
            found[evaluation.task] = evaluation
    order = sorted(found, key=lambda task: (task.images, task.scale, task.protocol, task.digest))
    return RunResults(run, {task: found[task] for task in order}, faults)


def read_files(paths: Sequence[Path]) -> list[FileResults]:
    """Per-image tables by method, in the order in which the methods are first named.

    Raises:
        RunError: One cannot be read, is cut short or was altered; two of one method and task.
    """
    found: dict[str, dict[TaskKey, Evaluation]] = {}
    for path in dict.fromkeys(paths):
        evaluation = read_evaluation(path)
        tables = found.setdefault(evaluation.method, {})
        other = tables.setdefault(evaluation.task, evaluation)
        if other is not evaluation:
            raise RunError(
                f"{path} and {other.path} are both of {evaluation.method} on "
                f"{evaluation.task.name}: name one of them"
            )
    return [FileResults(name, tables) for name, tables in found.items()]


def find_files(folder: Path) -> list[Path]:
    """The files of a run's evaluations that count: per-image tables, and JSON beside them.

    The final scores of a training and those of a later `srexp evaluate` count alike; the curve's
    points (`step-*.csv`) do not.
    """
    return [
        Path(path)
        for images in _below(f"{folder}/evaluations")
        for protocol in _below(images)
        for path in _below(protocol)
        if path.endswith((".csv", ".json"))
        and not os.path.basename(path).startswith(("step-", "."))
    ]


def _below(folder: str) -> list[str]:
    """What is in a folder; in a tenth of the time that `Path.glob` takes."""
    try:
        return [f"{folder}/{name}" for name in sorted(os.listdir(folder))]
    except OSError:  # there is none, or it is a file
        return []


def read_evaluation(path: Path) -> Evaluation:
    """One per-image table.

    Raises:
        RunError: It cannot be read, is cut short or was altered.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({_reason(error)})") from None
    if not text.endswith("\n"):
        raise RunError(f"{path}: is cut short (it ends in the middle of a line)")
    try:
        header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        evaluation = _parse(path, header, lines)
        noted = evaluation.document.get("means", {}).get("psnr_gain")
        _check_gain(evaluation, noted, "the document beside it has")
        return evaluation
    except (csv.Error, ValueError) as error:
        raise RunError(f"{path}: is cut short or was altered ({error})") from None


def _newest_first(run: RunFolder, files: Sequence[Path]) -> list[Path]:
    """The tables. Copying a folder changes the files' own times, so it is read in them."""
    tables = [path for path in files if path.suffix == ".csv"]
    beside = Counter(path.parent for path in tables)

    def written(path: Path) -> tuple[float, str]:
        if beside[path.parent] == 1:
            return 0.0, path.name
        try:
            return float(
                json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["created"]
            ), path.name
        except (OSError, ValueError, KeyError, TypeError):
            named = _STAMP.search(path.stem)
        if named is not None:
            return time.mktime(time.strptime(named[0], "%Y-%m-%d_%H-%M-%S")), path.name
        return float(run.info.get("updated", 0.0)), path.name  # final.csv: when the training ended

    return sorted(tables, key=written, reverse=True)


def _parse(path: Path, header: list[str], lines: list[list[str]]) -> Evaluation:
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ValueError(f"no column {missing[0]}")
    if not lines:
        raise ValueError("no images")
    at = {name: index for index, name in enumerate(header)}
    further = [name for name in header if name not in _COLUMNS]
    same = [at[name] for name in _SAME]
    about = [lines[0][index] for index in same] if len(lines[0]) == len(header) else []
    rows = []
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(f"line {number} has {len(line)} of {len(header)} fields")
        if [line[index] for index in same] != about:
            raise ValueError(f"line {number} belongs to another table")
        rows.append(_row(number, line, at, further))
    if len({row.image for row in rows}) < len(rows):
        raise ValueError("an image stands in it twice")
    said = dict(zip(_SAME, about, strict=True))
    task = TaskKey(
        said["set"], int(said["scale"]), said["protocol"], said["degradation"], said["digest"]
    )
    return Evaluation(task, said["method"], said["weights"], tuple(rows), path)


def _row(number: int, line: list[str], at: dict[str, int], further: list[str]) -> ImageScores:
    psnr, ssim, psnr_bicubic, ssim_bicubic, gain = [float(line[at[name]]) for name in _SCORES]
    # Written with all digits, so that this holds exactly; of infinities it is NaN or infinite.
    if math.isfinite(gain) and gain != psnr - psnr_bicubic:
        raise ValueError(f"line {number}: psnr - psnr_bicubic is not psnr_gain")
    if not (psnr > -math.inf and psnr_bicubic > -math.inf):
        wrong = psnr_bicubic if psnr > -math.inf else psnr
        raise ValueError(f"line {number}: {wrong} is no PSNR")
    if not (-1 <= ssim <= 1 and -1 <= ssim_bicubic <= 1):
        wrong = ssim_bicubic if -1 <= ssim <= 1 else ssim
        raise ValueError(f"line {number}: {wrong} is no SSIM")
    more = dict(_numbers(line, at, further)) if further else {}
    return ImageScores(line[at["image"]], psnr, ssim, psnr_bicubic, ssim_bicubic, more)


def _numbers(line: list[str], at: dict[str, int], names: list[str]) -> Iterator[tuple[str, float]]:
    for name in names:
        try:
            yield name, float(line[at[name]])
        except ValueError:
            continue  # text, or a metric that this image has none of


def _check_place(evaluation: Evaluation) -> None:
    """In a run folder a table lies where its task says."""
    path, name = evaluation.path, evaluation.task.name
    if name != f"{path.parent.parent.name}/{path.parent.name}":
        raise RunError(f"{path}: is cut short or was altered (it holds scores of {name})")


def _check_noted(run: RunFolder, evaluation: Evaluation) -> None:
    """A finished run notes its mean gains."""
    if evaluation.path.name == "final.csv" and run.info["status"] == "FINISHED":
        noted = (run.info.get("gains") or {}).get(evaluation.task.name)
        _check_gain(evaluation, noted, "the run noted")


def _check_gain(evaluation: Evaluation, noted: object, where: str) -> None:
    """A table that lost lines does not agree with the mean gain that was noted elsewhere."""
    gains = [row.psnr - row.psnr_bicubic for row in evaluation.rows]
    finite = [gain for gain in gains if math.isfinite(gain)]
    if not isinstance(noted, float) or not finite:
        return
    mean = sum(finite) / len(finite)
    if not math.isclose(mean, noted, rel_tol=0, abs_tol=1e-9):
        raise RunError(
            f"{evaluation.path}: is cut short or was altered (mean gain {mean:.6f} dB, {where} "
            f"{noted:.6f})"
        )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "it is no text"
