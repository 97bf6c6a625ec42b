"""What is made for the cache of images: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from srexp.data import cache

# Seconds between two lines where there is no terminal.
_QUIET = 10.0


@contextmanager
def preparing(console: Console) -> Iterator[cache.Progress]:
    """Shows what is told within; nothing where all is in memory, or kept already."""
    bar: Progress | None = None
    stage, spoke, ended = "", time.monotonic(), False

    def stop() -> None:
        nonlocal bar
        if bar is not None:
            bar.stop()
            bar = None

    def tell(what: str, done: int, total: int) -> None:
        nonlocal bar, stage, spoke
        if ended:
            return
        if not console.is_terminal:
            if what != stage or time.monotonic() - spoke > _QUIET:
                stage, spoke = what, time.monotonic()
                console.print(f"{what}, kept for later runs: {done} of {total}")
            return
        if what != stage:
            stop()
            stage = what
            bar = Progress(
                TextColumn(f"{what}, kept for later runs"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            bar.add_task("", total=total)
            bar.start()
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done)

    try:
        yield tell
    finally:
        ended = True
        stop()
