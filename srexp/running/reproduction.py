"""A published table, measured again: bicubic, and networks by runs that fit or are trained."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from srexp.config.reproduction import ReproduceSettings, difference, training_of
from srexp.config.settings import experiment_of
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
from srexp.running.ends import RunFailed
from srexp.running.job import Job, RunningElsewhere
from srexp.tracking.record import RunFolder, find_run, runs
from srexp.words import count


@dataclass
class Reproduction:
    """A table on its way.

    Attributes:
        settings: What was asked for.
        folders: Where runs and image sets lie: `paths` of a configuration.
        show: Prints a line or a table.
        train: Trains a network, from its configuration, as `srexp train` would.
        notes: What a reader of the table should know; printed as it is learnt.
        measured: The rows that are done, and the results of their images.
    """

    settings: ReproduceSettings
    folders: dict[str, Any]
    show: Callable[[Any], None]
    train: Callable[[dict[str, Any], Job], Any]
    notes: list[str] = field(default_factory=list)
    measured: list[tuple[Measured, Report]] = field(default_factory=list)

    def note(self, line: str) -> None:
        """Print it, once, and keep it for the table."""
        if line not in self.notes:
            self.notes.append(line)
            self.show(f"note: {line}")

    def measure(self, given: Sequence[str]) -> None:
        """Every row whose images are here, and for which there is a network.

        Args:
            given: What was typed: a set that is asked for by name must be there.

        Raises:
            OptionError, RunError, CheckpointError: Bad input; nothing was written.
            RunFailed: A training failed, or a network gives what is no number.
        """
        tasks = dict(self._tasks(given))
        found: dict[str, RunFolder | None] = {}
        for key, task in tasks.items():
            row = self.settings.table.rows[key]
            if row.train is None:
                report = bicubic_report(task)
                self.measured.append((Measured.of(key, row, report), report))
                continue
            if row.train not in found:
                found[row.train] = self._run_for(row, task)
            run = found[row.train]
            if run is not None:
                report = _kept(run, task) or _scored(run, task, row, self.folders)
                self.measured.append((Measured.of(key, row, report, run.id), report))
        if not self.measured:
            name = self.settings.table.name
            raise OptionError(f"table={name}: nothing could be measured; {self.notes[-1]}")

    def _tasks(self, given: Sequence[str]) -> Iterator[tuple[str, Task]]:
        """What each row whose images are here belongs to."""
        settings = self.settings
        ((protocol_name, protocol),) = settings.protocol.items()
        for key, row in settings.table.rows.items():
            if protocol_name != row.protocol:
                self.note(f"measured under {protocol_name}; the table is of {row.protocol}")
            images = self._images(row, given)
            if images is not None:
                degradation = replace(settings.degradation, scale=row.scale)
                yield key, Task(images, degradation, protocol_name, protocol)

    def _images(self, row: PublishedRow, given: Sequence[str]) -> ImageSet | None:
        """The images of a row; None for a set that is not here and that nobody asked for."""
        option = self.settings.benchmark[row.set]
        asked = any(o.startswith(("benchmark=", f"benchmark.{row.set}.")) for o in given)
        folder = getattr(option, "dir", None)
        if (
            not asked
            and folder is not None
            and not checked(f"benchmark.{row.set}.dir", folder).exists()
        ):
            self.note(
                f"{row.set} was skipped: no folder {folder}. To get it: srexp data fetch "
                f"{row.set}; or say where it is: benchmark.{row.set}.dir=DIR"
            )
            return None
        with caching(cache_of(self.settings.paths.data_dir)):
            images = load_for_scale(option, row.set, row.scale)
        for remark in images.remarks:
            self.note(remark)
        return images

    def _run_for(self, row: PublishedRow, task: Task) -> RunFolder | None:
        """The run that is scored for a row; None, with a word about it, where there is none."""
        settings = self.settings
        assert row.train is not None
        folders = (settings.paths.output_dir, settings.paths.data_dir)
        wanted = training_of(row.train, *map(str, folders))
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
                self.note(f"{row.method} x{row.scale}: run {run.id} is of another network ({why})")
                return None
            return self._told(row, run)
        fitting = _finished(settings.paths.output_dir, wanted)
        if fitting is None and settings.train:
            self._train(row, wanted)
            fitting = _finished(settings.paths.output_dir, wanted)
        if fitting is not None:
            return self._told(row, fitting)
        self.note(
            f"{row.method} x{row.scale} was skipped: no finished run in "
            f"{settings.paths.output_dir} fits. To train it: srexp train {row.train}; or "
            "train=true here"
        )
        return None

    def _told(self, row: PublishedRow, run: RunFolder) -> RunFolder:
        steps = run.info.get("progress", {}).get("step")
        self.note(f"{row.method} x{row.scale}: run {run.id}, {count(steps, 'step')}")
        return run

    def _train(self, row: PublishedRow, wanted: dict[str, Any]) -> None:
        """Train, going on with what was cut off."""
        self.show(f"training {row.method} x{row.scale}: srexp train {row.train}")
        try:
            self.train(wanted, Job(f"{row.method} x{row.scale}", sweep=""))
        except RunningElsewhere as error:
            raise RunFailed(f"{row.method} x{row.scale} {error}") from None

    def conclude(self) -> str | None:
        """Print the table, look for the reason of what misses, keep everything.

        Returns:
            How many values miss, in a line; None where none does.
        """
        from srexp.evaluation import reproduction

        name = self.settings.table.name
        measured = [m for m, _ in self.measured]
        task = measured[0].task
        degradation = task.degradation.label.removeprefix(f"x{task.degradation.scale} ")
        title = f"table={name}, {degradation}, {task.protocol_name}"
        self.show(reproduction.table(title, measured))
        for line in reproduction.sources(measured):
            self.show(line)
        for m in measured:
            if m.infinite:
                self.note(
                    f"{m.key}: left out of the means, identical to HR (PSNR infinite): "
                    f"{', '.join(m.infinite)}"
                )
        self._explain([m for m in measured if m.row.train is None])
        values, missed = reproduction.counts(measured)
        left = len(self.settings.table.rows) - len(measured)
        skipped = f"; {count(left, 'row was', 'rows were')} skipped" if left else ""
        summary = f"{values - missed} of {values} values are within their tolerance{skipped}"
        folder = self._keep(title, [*self.notes, summary])
        self.show(f"kept in {folder}")
        if missed:
            return f"table={name}: {missed} of {values} values miss{skipped}"
        self.show(summary)
        return None

    def _explain(self, bicubic: list[Measured]) -> None:
        from srexp.evaluation.alternatives import explain
        from srexp.evaluation.reproduction import explanation_lines

        if all(m.passes for m in bicubic):
            return
        self.show("looking for the setting that would give the published values ...")
        for line in explanation_lines(explain(bicubic), bicubic):
            self.notes.append(line)
            self.show(line)

    def _keep(self, title: str, notes: list[str]) -> Path:
        from srexp.evaluation import reproduction

        name = self.settings.table.name
        measured = [m for m, _ in self.measured]
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        # The random end keeps those of the same second apart.
        made = f"{stamp}_{name}_{secrets.token_hex(2)}"
        folder = self.settings.paths.output_dir / "reproductions" / made
        (folder / "per_image").mkdir(parents=True)
        contents = {
            "table.csv": reproduction.to_csv(measured),
            "table.json": reproduction.to_json(name, measured, notes),
            "table.md": reproduction.to_markdown(title, measured, notes),
        }
        for m, report in self.measured:
            contents[f"per_image/{re.sub(r'[^A-Za-z0-9._-]', '_', m.key)}.csv"] = to_csv(report)
        for path, content in contents.items():
            write_atomically(folder / path, content.encode())
        return folder


def _finished(output_dir: Path, wanted: dict[str, Any]) -> RunFolder | None:
    """The newest finished run that fits: not the best one, which would be chosen by its score."""
    for run in reversed(runs(output_dir)):
        if run.info["status"] == "FINISHED" and difference(run.config, wanted) is None:
            return run
    return None


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
        raise RunFailed(str(error)) from None
