"""Runs and tables of other methods, read and put side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.comparison.results import Results, RunResults, read_files, read_run
from srexp.comparison.tasks import common_tasks, with_todays_names
from srexp.tracking.record import RunFolder

if TYPE_CHECKING:
    from srexp.comparison.methods import ComparedMethod
    from srexp.comparison.tables import Metric, TaskTable


@dataclass(frozen=True)
class SideBySide:
    """A comparison.

    Attributes:
        tables: One a task.
        methods: What is compared.
        remarks: What a reader must know.
    """

    tables: list[TaskTable]
    methods: list[ComparedMethod]
    remarks: list[str]


def read(runs: Sequence[RunFolder], files: Sequence[Path] = ()) -> list[Results]:
    """What runs, and per-image tables of other methods, were scored.

    Raises:
        RunError: A table cannot be read.
    """
    results: list[Results] = [read_run(run) for run in runs]
    return with_todays_names([*results, *read_files(files)])


def put_side_by_side(
    results: Sequence[Results],
    *,
    metric: Metric = "psnr",
    benchmarks: Sequence[str] = (),
    protocols: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
) -> SideBySide:
    """Compare on the tasks that all have in common.

    Args:
        results: What `read` found.
        metric: Of gains and differences.
        benchmarks: Image sets, by name; empty for all.
        protocols: By name; empty for all.
        names: As `methods.group` takes them.

    Raises:
        RunError: They cannot be compared, in one line.
    """
    tasks, remarks = common_tasks(results, benchmarks, protocols)
    # NumPy: only once there is something to compute.
    from srexp.comparison.methods import BICUBIC, group
    from srexp.comparison.tables import make_table

    names = names or {}
    methods, repeated = group(results, names)
    bicubic = names.get(BICUBIC, BICUBIC)
    tables = [make_table(task, methods, metric, bicubic) for task in tasks]
    return SideBySide(tables, methods, [*remarks, *repeated, *_about_runs(results)])


def _about_runs(results: Sequence[Results]) -> list[str]:
    trained = [result for result in results if isinstance(result, RunResults)]
    states = [(result.name, result.run.info["status"]) for result in trained]
    unfinished = [f"{name} is {status}" for name, status in states if status != "FINISHED"]
    return unfinished + [fault for result in trained for fault in result.faults]
