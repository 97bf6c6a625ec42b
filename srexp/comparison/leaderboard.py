"""Finished runs ranked, one table for each task: which network is worth its cost?"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from srexp.comparison.index import Entry
from srexp.comparison.methods import group_runs
from srexp.comparison.results import TaskKey, is_ensemble, read_run
from srexp.comparison.summary import Summary, cost_of, summarize
from srexp.comparison.tasks import VALIDATION, check_known
from srexp.config.names import DEFAULTS
from srexp.evaluation.statistics import t_interval
from srexp.tracking.record import RunError, RunFolder


@dataclass(frozen=True)
class RankedRun:
    """One run on one task. NaN where a number is not known.

    Attributes:
        run: Its id.
        title: What was typed; of an older run nothing, if that was not noted.
        summary: Its scores.
        parameters: Trained ones.
        multiply_adds: For an SR image of 1280x720.
        minutes: Spent training.
    """

    run: str
    title: str
    summary: Summary
    parameters: float
    multiply_adds: float
    minutes: float

    @property
    def ms_per_megapixel(self) -> float:
        """Of output."""
        return self.summary.timing.ms_per_megapixel if self.summary.timing else math.nan


@dataclass(frozen=True)
class Board:
    """All runs that were scored on one task: the same images, degradation and protocol.

    Attributes:
        task: Which.
        images: How many images it has, with those that do not count.
        left_out: Images on which some run's PSNR is infinite; they count for none.
        rows: One a run.
    """

    task: TaskKey
    images: int
    left_out: tuple[str, ...]
    rows: list[RankedRun]

    @property
    def label(self) -> str:
        """What all its numbers belong to."""
        return self.task.label(self.images)


# What a board can be sorted by; of costs the lowest is on top, of the rest the highest.
SORTS: dict[str, Callable[[RankedRun], float]] = {
    "gain": lambda row: -row.summary.gain.mean,
    "psnr": lambda row: -row.summary.psnr,
    "ssim": lambda row: -row.summary.ssim,
    "parameters": lambda row: row.parameters,
    "multiply_adds": lambda row: row.multiply_adds,
    "ms": lambda row: row.ms_per_megapixel,
    "minutes": lambda row: row.minutes,
}


def make_boards(
    entries: Iterable[Entry],
    *,
    benchmarks: Sequence[str] = (),
    scales: Sequence[int] = (),
    protocols: Sequence[str] = (),
    sort: str = "gain",
) -> list[Board]:
    """Every task on which finished runs were scored; on the most images first.

    Without `benchmarks` the validation images are left out, unless there is nothing else.

    Args:
        entries: Runs with their scores; those that are not finished are passed over.
        benchmarks: Image sets, by name; empty for all.
        scales: Empty for all.
        protocols: By name; empty for all.
        sort: One of `SORTS`.

    Raises:
        RunError: Nothing was scored so, and what was.
    """
    scored = [
        (entry, summary)
        for entry in entries
        if entry.run.info["status"] == "FINISHED"
        for summary in entry.summaries
    ]
    tasks = {summary.task for _, summary in scored}
    wanted = _wanted(tasks, benchmarks, scales, protocols)
    groups: dict[tuple[TaskKey, int], list[tuple[Entry, Summary]]] = {}
    for entry, summary in scored:
        if summary.task in wanted:
            groups.setdefault((summary.task, summary.images), []).append((entry, summary))
    # The number of images is in the digest; a table that lost lines stands for itself.
    order = sorted(groups, key=lambda key: (*_place(key[0]), -key[1]))
    return [_board(task, images, groups[task, images], sort) for task, images in order]


def pooled(
    board: Board, runs: Mapping[str, RunFolder], names: Mapping[str, str] | None = None
) -> Board:
    """The same with one row a method: runs that differ in seed alone are one.

    Its gain is the mean over seeds with the 95 % interval over seeds; of one seed as it was, over
    images.

    Args:
        board: One row a run.
        runs: Id -> run.
        names: Id of a run -> what its method is called; None for what sets it apart.
    """
    known = [row for row in board.rows if _readable(runs[row.run])]
    known.sort(key=lambda row: math.isnan(row.parameters))  # of a run and its repetition
    found, _ = group_runs([runs[row.run] for row in known], names)
    by_id = {row.run: row for row in known}
    rows = [row for row in board.rows if row.run not in by_id]
    for method in found:
        kinds: dict[str, list[RankedRun]] = {}
        for run in method.runs:  # a network and its self-ensemble are two
            kinds.setdefault(by_id[run.id].summary.method, []).append(by_id[run.id])
        for kind, members in kinds.items():
            ensemble = len(kinds) > 1 and is_ensemble(kind, "")
            rows.append(_mean_row(f"{method.name}+" if ensemble else method.name, members))
    return replace(board, rows=rows)


def _readable(run: RunFolder) -> bool:
    try:
        return bool(run.config)
    except RunError:  # of a newer srexp, or damaged: it stands for itself
        return False


def _mean_row(name: str, rows: Sequence[RankedRun]) -> RankedRun:
    first = replace(rows[0], title=name)
    if len(rows) == 1:
        return first
    gain = t_interval([row.summary.gain.mean for row in rows])
    return replace(first, summary=replace(first.summary, gain=gain))


def pareto(rows: Sequence[RankedRun], cost: Callable[[RankedRun], float]) -> list[RankedRun]:
    """The rows that no other one beats in both gain and cost, the cheapest first."""
    best, front = -math.inf, []
    known = [row for row in rows if math.isfinite(cost(row) + row.summary.gain.mean)]
    for row in sorted(known, key=lambda row: (cost(row), -row.summary.gain.mean)):
        if row.summary.gain.mean > best:
            best = row.summary.gain.mean
            front.append(row)
    return front


def _place(task: TaskKey) -> tuple[str, int, str, str]:
    return task.images, task.scale, task.protocol, task.digest


def _wanted(
    tasks: Collection[TaskKey],
    benchmarks: Sequence[str],
    scales: Sequence[int],
    protocols: Sequence[str],
) -> set[TaskKey]:
    if not tasks:
        return set()
    check_known("benchmark", benchmarks, {task.images for task in tasks})
    check_known("scale", map(str, scales), {str(task.scale) for task in tasks})
    check_known("protocol", protocols, {task.protocol for task in tasks})
    found = {
        task
        for task in tasks
        if (not benchmarks or task.images in benchmarks)
        and (not scales or task.scale in scales)
        and (not protocols or task.protocol in protocols)
    }
    if not found:
        there = ", ".join(sorted({task.name for task in tasks}))
        raise RunError(f"no finished run was scored on all of that at once (there are {there})")
    tested = {task for task in found if task.images != VALIDATION}
    return found if benchmarks or not tested else tested


def _board(task: TaskKey, images: int, scored: Sequence[tuple[Entry, Summary]], sort: str) -> Board:
    left_out = frozenset(image for _, summary in scored for image in summary.infinite)
    rows = [_row(entry, _without(entry, summary, left_out)) for entry, summary in scored]
    key = SORTS[sort]

    def place(row: RankedRun) -> tuple[bool, float, float]:
        value = key(row)
        unknown = math.isnan(value)
        return unknown, 0.0 if unknown else value, -row.summary.gain.mean

    return Board(task, images, tuple(sorted(left_out)), sorted(rows, key=place))


def _without(entry: Entry, summary: Summary, left_out: frozenset[str]) -> Summary:
    """A run's means without the images that count for none; they are read again if need be."""
    if left_out == set(summary.infinite):
        return summary
    return summarize(read_run(entry.run).evaluations[summary.task], left_out, summary.timing)


def _row(entry: Entry, summary: Summary) -> RankedRun:
    info = entry.run.info
    cost = cost_of(info)
    times = 8 if is_ensemble(summary.method, summary.weights) else 1
    seconds = (info.get("progress") or {}).get("seconds", math.nan)
    return RankedRun(
        entry.run.id,
        info.get("title") or info.get("typed") or (DEFAULTS if "typed" in info else ""),
        summary,
        cost.parameters if cost else math.nan,
        cost.multiply_adds * times if cost else math.nan,
        seconds / 60,
    )
