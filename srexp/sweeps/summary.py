"""A sweep's results over seeds: means, ranking, the best, and all of it as tables."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.console import Group, RenderableType
from rich.text import Text

from srexp import words
from srexp.config.names import short_keys
from srexp.evaluation.numbers import number
from srexp.evaluation.statistics import Interval, t_interval
from srexp.pages.table import DOCUMENTS, Cell, Table, to_rich_box
from srexp.sweeps.results import JobResult

SEED = "seed"
NOTHING = "–"
CSV_COLUMNS = ("number", "name", "state", "note", "run", "gain", "psnr", "task", "seconds")


@dataclass(frozen=True)
class Combination:
    """Jobs that differ in nothing but their seed.

    Attributes:
        choices: The swept keys but the seed, and their values.
        jobs: The replicates.
        gain: Mean over the replicates that count (`gain.n`) with its 95 % interval, in dB.
    """

    choices: dict[str, str]
    jobs: tuple[JobResult, ...]
    gain: Interval

    @property
    def best(self) -> JobResult | None:
        """The replicate with the highest gain; of equals, the earliest."""
        counted = [job for job in self.jobs if job.counts]
        return max(counted, key=lambda job: job.gain or 0.0, default=None)

    @property
    def replicates(self) -> str:
        """How many seeds are in the mean: `3`, or `2 of 3` where one is missing."""
        n, planned = self.gain.n, len(self.jobs)
        return str(n) if n == planned else f"{n} of {planned}"


@dataclass(frozen=True)
class Effect:
    """What one value of a swept key does on average.

    Attributes:
        key: The key.
        value: Its value.
        gain: Mean of the combinations' means with this value, in dB.
        combinations: How many they are.
    """

    key: str
    value: str
    gain: float
    combinations: int


def swept_keys(jobs: Iterable[JobResult]) -> list[str]:
    """What was swept besides the seed, in the order of the command line."""
    return [key for key in dict.fromkeys(k for job in jobs for k in job.choices) if key != SEED]


def combinations(jobs: Iterable[JobResult]) -> list[Combination]:
    """Jobs grouped over seeds, the highest mean gain first, those without any gain last.

    Of equal means the one with more replicates stands first, then the one that started earlier.
    """
    groups: dict[frozenset[tuple[str, str]], list[JobResult]] = {}
    for job in sorted(jobs, key=lambda job: job.number):
        choices = {key: value for key, value in job.choices.items() if key != SEED}
        groups.setdefault(frozenset(choices.items()), []).append(job)
    found = [
        Combination(
            {key: value for key, value in group[0].choices.items() if key != SEED},
            tuple(group),
            t_interval([job.gain for job in group if job.counts and job.gain is not None]),
        )
        for group in groups.values()
    ]
    return sorted(found, key=_rank)


def _rank(combination: Combination) -> tuple[float, int]:
    gain = combination.gain
    return (math.inf if gain.n == 0 else -gain.mean, -gain.n)


def best(jobs: Iterable[JobResult]) -> Combination | None:
    """The combination with the highest mean gain; None if no job has one."""
    ranked = combinations(jobs)
    return ranked[0] if ranked and ranked[0].gain.n else None


def main_effects(jobs: Sequence[JobResult]) -> list[Effect]:
    """The mean gain of each value of each swept key over everything else.

    Each combination weighs the same, however many seeds it has. A key is left out if it is the
    only one, or if its values were not all measured with the same others: the means would then
    differ by what they were measured with.
    """
    keys = swept_keys(jobs)
    effects: list[Effect] = []
    for key in keys if len(keys) > 1 else []:
        cells: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
        for combination in combinations(sorted(jobs, key=lambda job: job.number)):
            others = frozenset((k, v) for k, v in combination.choices.items() if k != key)
            value = combination.choices.get(key, "")
            cells.setdefault(value, {})[others] = combination.gain.mean
        designs = [cell.keys() for cell in cells.values()]
        complete = all(design == designs[0] for design in designs)
        if not complete or any(math.isnan(m) for cell in cells.values() for m in cell.values()):
            continue
        for value in ordered(cells):
            means = list(cells[value].values())
            effects.append(Effect(key, value, sum(means) / len(means), len(means)))
    return effects


def as_number(text: str) -> float | None:
    """The finite number that a value is, or None."""
    # float() alone would take 1_000 and the digits of other scripts.
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text, re.ASCII):
        return None
    return float(text) if math.isfinite(float(text)) else None


def ordered(values: Iterable[str]) -> list[str]:
    """Each value once: by size if all are numbers, else as they came."""
    distinct = list(dict.fromkeys(values))
    sizes = {value: as_number(value) for value in distinct}
    if any(size is None for size in sizes.values()):
        return distinct
    return sorted(distinct, key=lambda value: sizes[value] or 0.0)


def tasks(jobs: Iterable[JobResult]) -> list[str]:
    """What the gains were measured on."""
    return list(dict.fromkeys(job.task for job in jobs if job.counts and job.task))


def gain_text(gain: Interval) -> str:
    """`+1.234 ± 0.021`; without interval for one seed; a dash for none."""
    if gain.n == 0:
        return NOTHING
    mean = number(gain.mean, 3, "+")
    return mean if gain.n < 2 else f"{mean} ± {gain.high - gain.mean:.3f}"


def gain_in_words(gain: Interval) -> str:
    """`+1.234 ± 0.021 dB over bicubic`; without interval for one seed."""
    return words.beside_bicubic(gain.mean, 3, gain.high - gain.mean if gain.n > 1 else None)


def title(combination: Combination) -> str:
    """`depth=3 act=relu`; `all defaults` where nothing but the seed was swept."""
    short = short_keys(list(combination.choices))
    return " ".join(f"{short[k]}={v}" for k, v in combination.choices.items()) or "all defaults"


def count(jobs: Sequence[JobResult]) -> str:
    """`12 jobs: 10 finished, 1 failed, 1 pruned`."""
    states = [job.state for job in jobs]
    parts = [
        f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states, key=_order))
    ]
    return f"{words.count(len(jobs), 'job')}: {', '.join(parts) or 'none'}"


def _order(state: str) -> int:
    return ("finished", "failed", "pruned", "stopped", "running elsewhere", "not started").index(
        state
    )


def without_gain(jobs: Iterable[JobResult]) -> list[tuple[JobResult, str]]:
    """The jobs that are in no mean, and why."""
    return [(job, _reason(job)) for job in jobs if not job.counts]


def _reason(job: JobResult) -> str:
    if job.state == "finished":
        return "no finite gain: no image with a finite PSNR" if job.gain is not None else "no gain"
    return job.note


def remarks(jobs: Sequence[JobResult]) -> list[str]:
    """What a reader must know to read the table right."""
    found = combinations(jobs)
    told = []
    if any(combination.gain.n > 1 for combination in found):
        told.append("gain: mean over seeds ± half-width of the 95 % interval (Student's t)")
    elif any(combination.gain.n for combination in found):
        told.append("one seed each, so no intervals; sweep seed=0,1,2 to see the spread")
    if any(0 < c.gain.n < len(c.jobs) for c in found):
        told.append("means of fewer seeds than planned may flatter: what failed is not in them")
    measured = tasks(jobs)
    if len(measured) > 1:
        told.append(f"not measured on the same images: {', '.join(measured)}")
    if sum(combination.gain.n > 0 for combination in found) > 1:
        told.append("the best was chosen by these very scores, which flatters it a little")
    return told


def result_tables(jobs: Sequence[JobResult], heading: str, *, runs: bool = True) -> list[Table]:
    """Combinations by gain, and the jobs that have none, with the reason.

    Args:
        jobs: The sweep's.
        heading: Stands above.
        runs: Whether the best run of each combination is named.

    Returns:
        At least one; what a reader must know stands below the last.
    """
    keys = swept_keys(jobs)
    short = short_keys(keys)
    found = [combination for combination in combinations(jobs) if combination.gain.n]
    rows: list[list[Cell]] = [
        [
            *(combination.choices.get(key, NOTHING) for key in keys),
            gain_text(combination.gain),
            combination.replicates,
            *([(combination.best.run if combination.best else None) or NOTHING] if runs else []),
        ]
        for combination in found
    ]
    columns = [*(short[key] for key in keys), "gain over bicubic in dB", "seeds"]
    columns += ["best run"] if runs else []
    on = ", ".join(tasks(jobs))
    heading += (f", measured on {on}" if on else "") if found else ": no job has a gain"
    tables = [Table(columns, rows, len(keys), caption=heading)] if found else []
    missing: list[list[Cell]] = [
        [f"{job.number}: {job.name}", job.state, why] for job, why in without_gain(jobs)
    ]
    if missing:
        caption = "without a gain" if found else heading
        tables.append(Table(["job", "state", "why"], missing, 3, caption=caption))
    if not tables:
        tables = [Table(columns, [], len(keys), caption=heading)]
    return [*tables[:-1], replace(tables[-1], notes=remarks(jobs))]


def terminal(jobs: Sequence[JobResult], heading: str) -> RenderableType:
    """For the terminal."""
    tables = result_tables(jobs, heading, runs=False)
    return Group(*map(to_rich_box, tables), *map(Text, tables[-1].notes))


def markdown(jobs: Sequence[JobResult], heading: str) -> str:
    """For MLflow's description of the sweep's run."""
    return DOCUMENTS["markdown"](heading, result_tables(jobs, heading), [])


def latex(jobs: Sequence[JobResult], heading: str) -> str:
    """For a paper."""
    return DOCUMENTS["latex"](heading, result_tables(jobs, heading, runs=False), [])


def to_csv(jobs: Iterable[JobResult]) -> str:
    """All jobs, one a line, in full precision, with a column for each swept key."""
    jobs = list(jobs)
    keys = list(dict.fromkeys(key for job in jobs for key in job.choices))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *keys])
    for job in jobs:
        own = [getattr(job, column) for column in CSV_COLUMNS]
        cells = [repr(cell) if isinstance(cell, float) else cell for cell in own]
        writer.writerow([*cells, *(job.choices.get(key, "") for key in keys)])
    return text.getvalue()
