"""Where commands print."""

from __future__ import annotations

import errno
import io
import sys

from rich.console import Console
from rich.text import Text

from srexp.pages.table import Table, to_rich, to_text
from srexp.terminal import pipe


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has gone (`| head -1`): go on in silence, what is trained is kept."""
        pipe.drop()

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            pipe.drop_hung_up()  # a terminal that was closed without a signal to us


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


def print_table(console: Console, table: Table) -> None:
    """Print a table: lines in one piece for a file or a pipe, folded for a narrow terminal."""
    header, *lines = to_text(table)
    if console.is_terminal and max(map(len, lines), default=0) > console.width:
        console.print(to_rich(table, console.width))
        return
    console.print(Text(header, style="bold"), soft_wrap=True)
    if lines:
        console.out("\n".join(lines), highlight=False)
