"""Methods side by side on the same images: means, gains over bicubic, paired differences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from srexp.comparison.methods import BICUBIC, ComparedMethod
from srexp.comparison.results import Evaluation, ImageScores, TaskKey, weights_kind
from srexp.evaluation.statistics import (
    Interval,
    PairedDifference,
    holm,
    paired_differences,
    spread,
    t_interval,
)
from srexp.tracking.record import RunError

Metric = Literal["psnr", "ssim"]
# Bicubic is computed anew with each run; other processors differ in the last bits.
_SAME_PSNR = 1e-4
# Of so many methods every two are compared; of more, each with the one of the highest mean.
EVERY_TWO = 200


@dataclass(frozen=True)
class MethodRow:
    """One method's line.

    Attributes:
        method: None for bicubic.
        name: Of the method.
        psnr, ssim: Mean over the counted images; of replicates, of the mean over seeds.
        gain: Over bicubic in the table's metric, image by image; None for bicubic.
        over_seeds: Mean of the replicates' mean gains and its interval; None for fewer than two.
        seed_spread: Their standard deviation, NaN for fewer than two.
        weights: What was scored, without the step: `best on val, raw`.
        halves: Half of the 95 % interval of mean PSNR and of mean SSIM: over `images`, where it is
            the mean gain's, bicubic being what it is; over `seeds`. NaN where there is none.
    """

    method: ComparedMethod | None
    name: str
    psnr: float
    ssim: float
    gain: PairedDifference | None
    over_seeds: Interval | None
    seed_spread: float
    weights: str
    halves: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two methods: `result` is of `first` less `second`, `p_holm` is corrected over all pairs."""

    first: str
    second: str
    result: PairedDifference
    p_holm: float


@dataclass(frozen=True)
class TaskTable:
    """One image set under one degradation and protocol.

    Attributes:
        task: Which.
        metric: What gains and differences are of.
        images: The counted images.
        left_out: Images that count for no method, because the PSNR of one is infinite.
        rows: Bicubic first, then the methods as they were named.
        pairs: Every two methods; of more than `EVERY_TWO`, those with the highest mean.
        scores: `[methods, counted images]` of `metric`, of the rows but bicubic's.
    """

    task: TaskKey
    metric: Metric
    images: tuple[str, ...]
    left_out: tuple[str, ...]
    rows: tuple[MethodRow, ...]
    pairs: tuple[Pair, ...]
    scores: np.ndarray

    @property
    def label(self) -> str:
        """What all its numbers belong to."""
        return self.task.label(len(self.images) + len(self.left_out))

    @property
    def tests(self) -> int:
        """How many pairs p is corrected for: all that there are, shown or not."""
        return math.comb(len(self.rows) - 1, 2)

    @property
    def smallest_p(self) -> float:
        """The smallest p-value that any pair could have with this many images; NaN without one."""
        return min((pair.result.smallest_p for pair in self.pairs), default=math.nan)

    @property
    def smallest_p_holm(self) -> float:
        """The smallest that Holm's correction could leave of it; NaN without a pair."""
        smallest = self.smallest_p * self.tests
        return smallest if math.isnan(smallest) else min(1.0, smallest)


def make_table(
    task: TaskKey,
    methods: Sequence[ComparedMethod],
    metric: Metric,
    bicubic: str = BICUBIC,
    *,
    pairs: bool = True,
) -> TaskTable:
    """All methods that were scored on one task.

    Args:
        task: Which.
        methods: Of some, not all runs may have been.
        metric: Of gains and differences.
        bicubic: What it is called.
        pairs: Whether to compare them with one another.

    Raises:
        RunError: Tables of the same digest that do not agree in their images or in bicubic.
    """
    methods = [method.at(task) for method in methods if method.evaluations(task)]
    evaluations = [method.evaluations(task) for method in methods]
    first = evaluations[0][0]
    rows = [[_aligned(table, first) for table in tables] for tables in evaluations]
    infinite = _infinite(rows)
    counted = [index for index in range(len(first.rows)) if index not in infinite]

    def values(table: Sequence[ImageScores], name: str) -> np.ndarray:
        return np.array([getattr(table[index], name) for index in counted], dtype=np.float64)

    # [replicates, images] of bicubic, then of each method
    scores = {
        name: [values(first.rows, f"{name}_bicubic")[None]]
        + [np.array([values(table, name) for table in tables]) for tables in rows]
        for name in ("psnr", "ssim")
    }
    means = {name: np.array([one.mean(axis=0) for one in scores[name]]) for name in scores}
    gains = paired_differences(means[metric], [(i + 1, 0) for i in range(len(methods))])
    made = [
        MethodRow(
            None,
            bicubic,
            _mean(means["psnr"][0]),
            _mean(means["ssim"][0]),
            None,
            None,
            math.nan,
            "",
        )
    ]
    for index, (method, gain) in enumerate(zip(methods, gains, strict=True), start=1):
        kinds = [weights_kind(table.weights) for table in evaluations[index - 1]]
        of_seeds = [_mean(row - means[metric][0]) for row in scores[metric][index]]
        made.append(
            MethodRow(
                method,
                method.name,
                _mean(means["psnr"][index]),
                _mean(means["ssim"][index]),
                gain,
                t_interval(of_seeds) if len(of_seeds) > 1 else None,
                spread(of_seeds),
                " / ".join(dict.fromkeys(kinds)),
                {
                    "images": _halves(means[name][index] - means[name][0] for name in means),
                    "seeds": _halves(map(_mean, scores[name][index]) for name in scores),
                },
            )
        )
    names = [row.image for row in first.rows]
    return TaskTable(
        task,
        metric,
        tuple(names[index] for index in counted),
        tuple(names[index] for index in sorted(infinite)),
        tuple(made),
        tuple(_pairs(methods, means[metric][1:])) if pairs else (),
        means[metric][1:],
    )


def _halves(values: Iterable[Iterable[float]]) -> tuple[float, float]:
    psnr, ssim = (t_interval(list(of)) for of in values)
    return psnr.high - psnr.mean, ssim.high - ssim.mean


def _infinite(rows: Sequence[Sequence[Sequence[ImageScores]]]) -> set[int]:
    """Images that somebody, bicubic included, made identical to HR."""
    return {
        index
        for tables in rows
        for table in tables
        for index, row in enumerate(table)
        if math.isinf(row.psnr) or math.isinf(row.psnr_bicubic)
    }


def _pairs(methods: Sequence[ComparedMethod], scores: np.ndarray) -> list[Pair]:
    count = len(methods)
    if count <= EVERY_TWO:
        both = list(itertools.combinations(range(count), 2))
        results = paired_differences(scores, both)
        corrected = holm([result.p for result in results])
    else:  # the highest mean was chosen from all, so p must hold for all pairs: Bonferroni
        best = int(scores.mean(axis=1).argmax()) if scores.size else 0
        both = [(best, other) for other in range(count) if other != best]
        results = paired_differences(scores, both)
        corrected = [min(1.0, result.p * math.comb(count, 2)) for result in results]
    return [
        Pair(methods[i].name, methods[j].name, result, p)
        for (i, j), result, p in zip(both, results, corrected, strict=True)
    ]


def _aligned(table: Evaluation, first: Evaluation) -> list[ImageScores]:
    """A table's rows in the order of the first one's."""
    base = {row.image: row for row in first.rows}
    rows = {row.image: row for row in table.rows}
    if rows.keys() != base.keys():
        odd = sorted(rows.keys() ^ base.keys())
        where = table.path if odd[0] in rows else first.path
        other = first.path if odd[0] in rows else table.path
        raise RunError(
            f"{other}: image {odd[0]} is missing that {where} has, with the same digest: "
            "it is cut short or was altered"
        )
    for name, row in base.items():
        ours = rows[name].psnr_bicubic
        if ours != row.psnr_bicubic and not abs(ours - row.psnr_bicubic) <= _SAME_PSNR:
            raise RunError(
                f"bicubic has {ours:.4f} dB on image {name} in {table.path}, and "
                f"{row.psnr_bicubic:.4f} dB in {first.path}, with the same digest: one of them "
                "was altered"
            )
    return [rows[name] for name in base]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
