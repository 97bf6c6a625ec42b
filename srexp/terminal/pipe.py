"""What is printed for another program to read."""

from __future__ import annotations

import os
import sys


def write(text: str) -> None:
    """To stdout; if whoever read has gone (`| head -1`), in silence."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        drop()


def drop() -> None:
    """Let go what is still to be printed, here and at the end of the process."""
    _drop(sys.stdout.fileno())


def drop_hung_up() -> None:
    """The same for a terminal that is gone, where each word would be an error (EIO)."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            _drop(stream)


def _drop(stream: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream)
    os.close(nothing)
