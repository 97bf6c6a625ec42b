"""`srexp reproduce`: a published table, measured again."""

from __future__ import annotations

import re
import secrets
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from srexp.config.catalogue import catalogue
from srexp.config.compose import compose_beside
from srexp.config.errors import readable
from srexp.config.reproduction import ReproduceSettings, difference, reproduce_settings
from srexp.config.settings import absolute_paths, experiment_of, plain
from srexp.config.typed import quoted
from srexp.data.cache import cache_of, caching
from srexp.data.per_scale import load_for_scale
from srexp.data.sets import ImageSet
from srexp.evaluation import scoring
from srexp.evaluation.published import Measured, PublishedRow, bicubic_report
from srexp.evaluation.scoring import Report, Task
from srexp.evaluation.tables import from_csv, to_csv
from srexp.files import write_atomically
from srexp.options import OptionError
from srexp.paths import checked
from srexp.quiet import quiet_import
from srexp.terminal.exit import CommandFailed
from srexp.terminal.front import run_hydra
from srexp.tracking.record import RunFolder, find_run, runs
from srexp.words import count

if TYPE_CHECKING:
    from rich.console import Console


def main() -> None:
    """The command."""
    run_hydra("reproduce", reproduce)


@dataclass
class _Reproduction:
    """A table on its way.

    Attributes:
        settings: What was asked for.
        paths: Overrides that say where runs and image sets lie.
        console: Where to print.
        notes: What a reader of the table should know; printed as it is learnt.
        measured: The rows that are done, and the results of their images.
    """

    settings: ReproduceSettings
    paths: list[str]
    console: Console
    notes: list[str] = field(default_factory=list)
    measured: list[tuple[Measured, Report]] = field(default_factory=list)

    def note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)
            self.console.print(f"note: {line}", soft_wrap=True)


def reproduce(config: DictConfig) -> None:
    """Measure what is asked for, print it beside the published values, keep both.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was written.
        CommandFailed: A value is further off than its tolerance.
    """
    from hydra.core.hydra_config import HydraConfig

    from srexp.terminal.console import make_console

    values = plain(config)
    name = str(HydraConfig.get().runtime.choices["table"])
    settings = reproduce_settings(values, name)
    folders = {"output_dir": settings.paths.output_dir, "data_dir": settings.paths.data_dir}
    paths = [f"paths.{key}={quoted(str(folder))}" for key, folder in folders.items()]
    work = _Reproduction(settings, paths, make_console())
    tasks = dict(_tasks(work, list(HydraConfig.get().overrides.task)))
    found: dict[str, RunFolder | None] = {}
    for key, task in tasks.items():
        row = settings.table.rows[key]
        if row.train is None:
            work.measured.append((Measured.of(key, row, report := bicubic_report(task)), report))
            continue
        if row.train not in found:
            found[row.train] = _run_for(work, row, task)
        run = found[row.train]
        if run is not None:
            report = _kept(run, task) or _scored(run, task, row, values["paths"])
            work.measured.append((Measured.of(key, row, report, run.id), report))
    if not work.measured:
        raise OptionError(f"table={name}: nothing could be measured; {work.notes[-1]}")
    _conclude(work)


def _tasks(work: _Reproduction, given: list[str]) -> Iterator[tuple[str, Task]]:
    """What each row whose images are here belongs to."""
    settings = work.settings
    ((protocol_name, protocol),) = settings.protocol.items()
    for key, row in settings.table.rows.items():
        if protocol_name != row.protocol:
            work.note(f"measured under {protocol_name}; the table is of {row.protocol}")
        images = _images(work, row, given)
        if images is not None:
            degradation = replace(settings.degradation, scale=row.scale)
            yield key, Task(images, degradation, protocol_name, protocol)


def _images(work: _Reproduction, row: PublishedRow, given: list[str]) -> ImageSet | None:
    """The images of a row; None for a set that is not here and that nobody asked for by name."""
    option = work.settings.benchmark[row.set]
    asked = any(o.startswith(("benchmark=", f"benchmark.{row.set}.")) for o in given)
    folder = getattr(option, "dir", None)
    if (
        not asked
        and folder is not None
        and not checked(f"benchmark.{row.set}.dir", folder).exists()
    ):
        work.note(
            f"{row.set} was skipped: no folder {folder}. To get it: srexp data fetch {row.set}; "
            f"or say where it is: benchmark.{row.set}.dir=DIR"
        )
        return None
    with caching(cache_of(work.settings.paths.data_dir)):
        images = load_for_scale(option, row.set, row.scale)
    for remark in images.remarks:
        work.note(remark)
    return images


def _run_for(work: _Reproduction, row: PublishedRow, task: Task) -> RunFolder | None:
    """The run that is scored for a row; None, with a word about it, where there is none."""
    settings = work.settings
    assert row.train is not None
    wanted = _training(row.train, work.paths)
    trained_for = experiment_of(wanted).degradation
    if trained_for != task.degradation:
        raise OptionError(
            f"degradation: {row.method} is trained for {trained_for.label}, not for "
            f"{task.degradation.label}; leave degradation out, but for its scale"
        )
    if settings.run is not None:
        run = find_run(str(settings.run), settings.paths.output_dir)
        why = difference(run.config, wanted)
        if why is not None:
            work.note(f"{row.method} x{row.scale}: run {run.id} is of another network ({why})")
            return None
        return _told(work, row, run)
    fitting = _finished(settings.paths.output_dir, wanted)
    if fitting is None and settings.train:
        _train(work, row, wanted)
        fitting = _finished(settings.paths.output_dir, wanted)
    if fitting is not None:
        return _told(work, row, fitting)
    work.note(
        f"{row.method} x{row.scale} was skipped: no finished run in {settings.paths.output_dir} "
        f"fits. To train it: srexp train {row.train}; or train=true here"
    )
    return None


def _training(typed: str, paths: list[str]) -> dict[str, Any]:
    """The configuration that `srexp train TYPED` composes."""
    try:
        return absolute_paths(compose_beside("train", [*shlex.split(typed), *paths]))
    except (HydraException, OmegaConfBaseException) as error:
        raise OptionError(f"table.train: {readable(error, catalogue('train'))}") from None


def _told(work: _Reproduction, row: PublishedRow, run: RunFolder) -> RunFolder:
    steps = run.info.get("progress", {}).get("step")
    work.note(f"{row.method} x{row.scale}: run {run.id}, {count(steps, 'step')}")
    return run


def _finished(output_dir: Path, wanted: dict[str, Any]) -> RunFolder | None:
    """The newest finished run that fits: not the best one, which would be chosen by its score."""
    for run in reversed(runs(output_dir)):
        if run.info["status"] == "FINISHED" and difference(run.config, wanted) is None:
            return run
    return None


def _train(work: _Reproduction, row: PublishedRow, wanted: dict[str, Any]) -> None:
    """Train as `srexp train` would, going on with what was cut off."""
    from srexp.commands.train import train_values
    from srexp.running.job import Job, RunningElsewhere

    work.console.print(f"training {row.method} x{row.scale}: srexp train {row.train}")
    try:
        train_values(wanted, Job(f"{row.method} x{row.scale}", sweep=""))
    except RunningElsewhere as error:
        raise CommandFailed(f"{row.method} x{row.scale} {error}", 1) from None


def _kept(run: RunFolder, task: Task) -> Report | None:
    """What the run was found to score at its end, if that was on this task."""
    path = run.folder / "evaluations" / task.key / "final.csv"
    if run.info["status"] != "FINISHED" or not path.is_file():
        return None
    return from_csv(path.read_text(encoding="utf-8"), task)


def _scored(run: RunFolder, task: Task, row: PublishedRow, paths: dict[str, Any]) -> Report:
    with quiet_import():
        import tensorflow  # noqa: F401
    from srexp.training.trained import load_upscaler

    # Its own folders may be of another machine.
    experiment = experiment_of({**run.config, "paths": paths})
    upscaler, weights, _ = load_upscaler(run, experiment, "best")
    try:
        return scoring.evaluate(task, upscaler, method=row.method, weights=weights)
    except scoring.NotFinite as error:
        raise CommandFailed(str(error), 1) from None


def _conclude(work: _Reproduction) -> None:
    """Print the table, look for the reason of what misses, keep everything."""
    from srexp.evaluation import reproduction

    name = work.settings.table.name
    measured = [m for m, _ in work.measured]
    task = measured[0].task
    degradation = task.degradation.label.removeprefix(f"x{task.degradation.scale} ")
    title = f"table={name}, {degradation}, {task.protocol_name}"
    work.console.print(reproduction.table(title, measured))
    for line in reproduction.sources(measured):
        work.console.print(line)
    for m in measured:
        if m.infinite:
            work.note(
                f"{m.key}: left out of the means, identical to HR (PSNR infinite): "
                f"{', '.join(m.infinite)}"
            )
    _explain(work, [m for m in measured if m.row.train is None])
    values, missed = reproduction.counts(measured)
    left = len(work.settings.table.rows) - len(measured)
    skipped = f"; {count(left, 'row was', 'rows were')} skipped" if left else ""
    summary = f"{values - missed} of {values} values are within their tolerance{skipped}"
    folder = _keep(work, title, [*work.notes, summary])
    work.console.print(f"kept in {folder}", soft_wrap=True)
    if missed:
        raise CommandFailed(f"table={name}: {missed} of {values} values miss{skipped}", 1)
    work.console.print(summary)


def _explain(work: _Reproduction, bicubic: list[Measured]) -> None:
    from srexp.evaluation.alternatives import explain
    from srexp.evaluation.reproduction import explanation_lines

    if all(m.passes for m in bicubic):
        return
    work.console.print("looking for the setting that would give the published values ...")
    for line in explanation_lines(explain(bicubic), bicubic):
        work.notes.append(line)
        work.console.print(line, soft_wrap=True)


def _keep(work: _Reproduction, title: str, notes: list[str]) -> Path:
    from srexp.evaluation import reproduction

    name = work.settings.table.name
    measured = [m for m, _ in work.measured]
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    # The random end keeps those of the same second apart.
    made = f"{stamp}_{name}_{secrets.token_hex(2)}"
    folder = work.settings.paths.output_dir / "reproductions" / made
    (folder / "per_image").mkdir(parents=True)
    contents = {
        "table.csv": reproduction.to_csv(measured),
        "table.json": reproduction.to_json(name, measured, notes),
        "table.md": reproduction.to_markdown(title, measured, notes),
    }
    for m, report in work.measured:
        contents[f"per_image/{re.sub(r'[^A-Za-z0-9._-]', '_', m.key)}.csv"] = to_csv(report)
    for path, content in contents.items():
        write_atomically(folder / path, content.encode())
    return folder
