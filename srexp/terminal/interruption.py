"""Ctrl-C, SIGTERM and notices: the first asks training to save and stop.

A second Ctrl-C or SIGTERM stops at once. A closed terminal, Slurm's warning and a limit of CPU time
may tell it any number of times.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from srexp import signals
from srexp.terminal import pipe


class Interruption:
    """A context in which these signals are handled; elsewhere they act as always.

    Once a signal has stopped something, the next one waits until `let_go`, so that whoever says
    how it ended can do so. While something is held, the first two wait. A third one never does.

    Attributes:
        asked: Whether a signal has come.
        raised: Whether one has stopped something.
        graceful: While True the first signal only sets `asked`.
    """

    def __init__(self) -> None:
        self.asked = False
        self.raised = False
        self.graceful = False
        self.signal = signal.SIGINT
        self._held = False
        self._waiting = False
        self._count = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in signals.ENDING:
                if number in signals.NOTICE and signal.getsignal(number) != signal.SIG_DFL:
                    continue  # ignored, as `nohup` wants it, or a launcher's own, as submitit's
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def hold(self) -> None:
        """Let a signal wait from now on: what it would cut must be whole."""
        self._held = True

    def let_go(self) -> None:
        """End `hold`.

        Raises:
            KeyboardInterrupt: A signal has come meanwhile.
        """
        waiting, self._waiting = self._waiting, False
        self._held = waiting
        if waiting:
            self.raised = True
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            pipe.drop_hung_up()
        if self.asked and number in signals.NOTICE:
            return
        self.signal = signal.Signals(number)
        self.asked = True
        self._count += 1
        if self._held:
            self._waiting = True
            if self._count < 3:
                return
        elif self._count == 1 and self.graceful:
            return
        self._held = True
        self.raised = True
        raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """128 plus the signal's number, as shells expect."""
        return 128 + int(self.signal)
