"""Times as people read them."""

from __future__ import annotations

import time


def duration(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(seconds: float) -> str:
    """Seconds since 1970 as `2026-01-05 07:30`, by the local clock."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
