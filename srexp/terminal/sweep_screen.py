"""The screen of a sweep: a bar for every running job in a terminal, lines elsewhere."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class SweepScreen:
    """Draws while jobs run; lines are printed above the bars."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._overall = TaskID(0)
        self._jobs: dict[int, TaskID] = {}
        self._share: dict[int, float] = {}  # of each job that is done, 0 to 1
        self._total = self._ended = 0
        if console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._overall = self._bars.add_task("all jobs", total=0, figures="")

    def expect(self, jobs: int) -> None:
        """How many jobs there are in all."""
        self._total = jobs
        self._draw_overall()

    def start(self) -> None:
        """Begin to draw."""
        if self._bars is not None:
            self._bars.start()

    def stop(self) -> None:
        """Draw no more."""
        if self._bars is not None:
            self._bars.stop()

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.print(line, soft_wrap=True)

    def started(self, number: int, name: str) -> None:
        """A job began."""
        if self._bars is not None:
            self._jobs[number] = self._bars.add_task(escape(name), total=None, figures="starting")

    def begun(self, number: int, what: str) -> None:
        """A job is new or goes on with a run."""
        self.say(f"job {number} of {self._total} ({what}")

    def stepped(self, number: int, step: int, last: int) -> None:
        """A job has done so many of its steps."""
        self._share[number] = step / last
        if self._bars is not None and number in self._jobs:
            self._bars.update(self._jobs[number], completed=step, total=last)
            if step == last:
                self._bars.update(self._jobs[number], figures="scoring")
            self._draw_overall()

    def evaluated(self, number: int, step: int, psnr: float) -> None:
        """A job's validation images were scored."""
        if self._bars is not None and number in self._jobs:
            self._bars.update(self._jobs[number], figures=f"val {psnr:.2f} dB")

    def ended(self, number: int, line: str) -> None:
        """A job is over."""
        self._share[number] = 1.0
        self._ended += 1
        if self._bars is not None and number in self._jobs:
            self._bars.remove_task(self._jobs.pop(number))
        self._draw_overall()
        self.say(line)

    def _draw_overall(self) -> None:
        if self._bars is not None:
            self._bars.update(
                self._overall,
                completed=sum(self._share.values()),
                total=self._total,
                figures=f"{self._ended} of {self._total}",
            )
