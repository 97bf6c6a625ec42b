"""`srexp train` as it is typed, in a process that is ready in no time and can really be killed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests_environment import command_environment
from tests_forked import Process, ready


class Typed(Process):
    """A command that was started; `folder` is where it was typed.

    Args:
        folder: Made where it is not there.
        arguments: The command line.
        stops_at: As for `Forks.start`.
        environment: Variables that it gets.
    """

    def __init__(
        self, folder: Path, *arguments: str, stops_at: str | None = None, **environment: str
    ) -> None:
        self.folder = folder
        started = ready().start(
            folder, *arguments, timeout=400, stops_at=stops_at,
            environment=command_environment(folder, **environment),
        )  # fmt: skip
        super().__init__(started.pid, ready(), started.printed)
        self.began = time.monotonic()

    def go_on(self) -> None:
        """After a stop."""
        self.signal(signal.SIGCONT)

    def wait(self) -> int:
        """The exit code, as a shell gives it."""
        code = super().wait()
        return code if code >= 0 else 128 - code
