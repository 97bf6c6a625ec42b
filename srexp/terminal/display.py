"""The screen of a training: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

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

from srexp.evaluation.scoring import Report
from srexp.running.job import Job
from srexp.training.loop import Window
from srexp.words import beside_bicubic

# Seconds between two plain lines where there is no terminal.
_QUIET = 10.0
# Seconds between two words to a sweep's screen.
_TELL = 0.2


class TrainingDisplay:
    """Loss, validation PSNR, images per second, time left. Use as a context."""

    def __init__(self, console: Console, last: int, job: Job | None) -> None:
        """Args:
        console: Where to draw.
        last: Steps in all.
        job: Of a sweep that is to be told too, or None.
        """
        self.console = console
        self.first, self.last = 0, last
        self._job = job
        self._bar: Progress | None = None
        self._task: TaskID = TaskID(0)
        self._began = self._spoke = self._told = time.monotonic()
        self._psnr = ""
        self._stepped = False
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
            )
            self._task = self._bar.add_task("", total=last, figures="compiling")

    def begin(self, run: str, first: int) -> None:
        """Which run, and the steps that it has done already."""
        self.first = first
        if self._bar is not None:
            self._bar.update(self._task, completed=first)
        self._tell("run", run)
        self._tell("step", (first, self.last))

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
        now = time.monotonic()
        if now - self._told >= _TELL or step == self.last:
            self._told = now
            self._tell("step", (step, self.last))

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
            self.console.print(f"step {window.step}/{self.last}  {figures}  left {left:.0f} s")

    def evaluated(self, step: int, reports: list[Report]) -> None:
        """The validation images were scored."""
        report = reports[0]
        psnr = report.mean(lambda row: row.score.psnr)
        self._psnr = f"  val {psnr:.2f} dB"
        self._tell("evaluated", (step, psnr))
        self.console.print(
            f"step {step}/{self.last}  {report.task.key}: {psnr:.2f} dB, "
            f"{beside_bicubic(report.gain.mean)}",
            highlight=False,
        )

    def _tell(self, kind: str, value: object) -> None:
        if self._job is not None:
            self._job.tell(kind, value)
