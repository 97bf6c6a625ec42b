"""Ctrl-C and SIGTERM: the first asks training to save and stop, the second stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interruption:
    """A context in which both signals are handled; elsewhere they act as always.

    Attributes:
        asked: Whether a signal has come.
        graceful: While True the first signal only sets `asked`.
    """

    def __init__(self) -> None:
        self.asked = False
        self.graceful = False
        self.signal = signal.SIGINT
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        first, self.asked = not self.asked, True
        if not (first and self.graceful):
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as shells expect."""
        return 128 + int(self.signal)
