"""Bars that show how far getting and checking image sets is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from srexp.terminal.console import make_console

# Seconds between the lines that tell of a transfer where there is no terminal for a bar.
_TELL_EVERY = 30


class Transfer:
    """A bar on a terminal; a line now and then elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._console = make_console()
        self._bar: Progress | None = None
        self._stage = ""
        self._spoke = 0.0

    def __enter__(self) -> Transfer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, stage: str, done: int, total: int | None) -> None:
        """See `srexp.data.fetch.Progress`."""
        if stage != self._stage:
            self._begin(stage)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        elif time.monotonic() - self._spoke > _TELL_EVERY:
            self._spoke = time.monotonic()
            of = "" if total is None else f" of {total:,}"
            self._console.out(f"{self._name}: {done:,}{of} {stage}", highlight=False)

    def _begin(self, stage: str) -> None:
        self._stage = stage
        if not self._console.is_terminal:
            return
        if self._bar is not None:
            self._bar.stop()
        columns: list[ProgressColumn] = (
            [DownloadColumn(), TransferSpeedColumn()]
            if stage == "bytes"
            else [MofNCompleteColumn(), TextColumn(stage)]
        )
        name = f"{self._name}{', unpacking' if stage == 'images' else ''}"
        self._bar = _bar(self._console, name, *columns)
        self._bar.start()


@contextmanager
def counted(*, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar that counts pictures, on a terminal."""
    console = make_console()
    if not (shown and console.is_terminal):
        yield None
        return
    with _bar(console, "check", MofNCompleteColumn(), TextColumn("pictures")) as bar:
        yield lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)


def _bar(console: Console, name: str, *columns: ProgressColumn) -> Progress:
    bar = Progress(
        TextColumn(name),
        BarColumn(bar_width=24),
        *columns,
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    bar.add_task("", total=None)
    return bar
