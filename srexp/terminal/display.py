"""The screen of a run: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from srexp.terminal.preparing import preparing
from srexp.words import beside_bicubic

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from srexp.data import cache
    from srexp.evaluation.cost import Cost
    from srexp.evaluation.scoring import Report
    from srexp.evaluation.timing import Timing
    from srexp.training.experiment import Experiment
    from srexp.training.loop import Window
    from srexp.training.materials import Materials

# Seconds between two plain lines where there is no terminal.
_QUIET = 10.0


class Lines:
    """Lines of text: a `running.display.Said`."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str, *, whole: bool = False) -> None:
        """Print a line."""
        self.console.print(text, soft_wrap=whole or None)

    def note(self, text: str, *, whole: bool = False) -> None:
        """Print what a person should know."""
        self.say(f"note: {text}", whole=whole)


class EvaluationLines(Lines):
    """The tables of an evaluation: a `running.display.EvaluationDisplay`."""

    def found(self, report: Report, cost: Cost | None, timing: Timing | None) -> None:
        """Print a table."""
        print_report(self.console, report, cost)
        if timing is not None:
            self.console.print(str(timing))


class NotesAlone(Lines):
    """The notes of an evaluation whose scores are printed as JSON."""

    def say(self, text: str, *, whole: bool = False) -> None:
        """Nothing."""

    def note(self, text: str, *, whole: bool = False) -> None:
        """Print what a person should know."""
        super().say(f"note: {text}", whole=whole)

    def found(self, report: Report, cost: Cost | None, timing: Timing | None) -> None:
        """Nothing."""


class TrainingDisplay(Lines):
    """Loss, validation PSNR, images per second, time left: a `running.display.RunDisplay`."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.first = self.last = 0
        self._bar: Progress | None = None
        self._task: TaskID = TaskID(0)
        self._began = self._spoke = time.monotonic()
        self._psnr = ""
        self._stepped = False

    def describe(
        self, experiment: Experiment, materials: Materials, values: dict[str, Any]
    ) -> None:
        """Print what would be trained."""
        from srexp.terminal.messages import describe

        describe(self.console, experiment, materials, values)

    def preparing(self) -> AbstractContextManager[cache.Progress]:
        """Show what is made for the cache of images."""
        return preparing(self.console)

    def begin(self, first: int, last: int) -> None:
        """How many steps are done already, and how many there are in all."""
        self.first, self.last = first, last
        self._began = self._spoke = time.monotonic()
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._task = self._bar.add_task("", completed=first, total=last, figures="compiling")

    def __enter__(self) -> TrainingDisplay:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def stepped(self, step: int) -> None:
        """One step done."""
        if self._bar is not None:
            if not self._stepped:
                self._bar.update(self._task, figures="")
            self._bar.update(self._task, completed=step)
        self._stepped = True  # so it is compiled

    def window(self, window: Window) -> None:
        """A few steps done."""
        figures = f"loss {window.loss:.2e}  {window.images_per_second:.0f} images/s{self._psnr}"
        now = time.monotonic()
        if self._bar is not None:
            self._bar.update(self._task, figures=figures)
        elif now - self._spoke >= _QUIET or window.step == self.last:
            self._spoke = now
            done = window.step - self.first
            left = (now - self._began) / done * (self.last - window.step)
            self.say(f"step {window.step}/{self.last}  {figures}  left {left:.0f} s")

    def evaluated(self, step: int, reports: list[Report]) -> None:
        """The validation images were scored."""
        report = reports[0]
        psnr = report.mean(lambda row: row.score.psnr)
        self._psnr = f"  val {psnr:.2f} dB"
        self.say(
            f"step {step}/{self.last}  {report.task.key}: {psnr:.2f} dB, "
            f"{beside_bicubic(report.gain.mean)}"
        )

    def scored(self, reports: Sequence[Report], cost: Cost) -> None:
        """Print the tables."""
        for report in reports:
            self.console.print()
            print_report(self.console, report, cost)


def print_report(console: Console, report: Report, cost: Cost | None) -> None:
    """Print the scores of one task, and what they are of."""
    from srexp.evaluation.tables import caption, table

    console.print(table(report))
    console.print(caption(report, cost))
