"""Where commands print."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has gone (`| head -1`): go on in silence, what is trained is kept."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; elsewhere wide enough for every table. Text is never markup."""
    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")  # a name that the terminal cannot show
    return _Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        width=None if terminal else 120,
        soft_wrap=not terminal,
    )
