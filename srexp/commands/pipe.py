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
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
