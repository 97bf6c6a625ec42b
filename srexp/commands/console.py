"""Where commands print."""

from __future__ import annotations

import sys

from rich.console import Console


def make_console() -> Console:
    """As wide as the terminal; elsewhere wide enough for every table."""
    terminal = sys.stdout.isatty()
    return Console(highlight=False, width=None if terminal else 120, soft_wrap=not terminal)
