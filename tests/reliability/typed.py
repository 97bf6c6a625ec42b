"""`srexp train` as it is typed, in a process of its own that is ready in no time.

The processes are forked from one that has imported what a run needs (as a sweep's jobs are), so
that a test can afford to kill dozens of them. Everything from the command line on is what a user
gets, and each is a process that can really be killed.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests_environment import command_environment

_TICK = 0.0002
_FILES = ("open", "os.rename", "os.remove")  # audit events whose first arguments are paths


def _stop_at(path: str) -> None:
    """Stop this process, once, as it opens, renames or removes such a file: before it is done.

    A test that looked for the file would come too late on a quick machine.
    """
    fits = re.compile(path).search
    waits = [True]

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILES and waits and any(fits(str(name)) for name in arguments[:2]):
            waits.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(see)


def _command(
    arguments: list[str], folder: str, environment: dict[str, str], stops_at: str | None
) -> None:
    """The whole life of the process."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, stream)
        os.close(file)
    from srexp.cli import main

    sys.argv = ["srexp", *arguments]
    if stops_at is not None:
        _stop_at(stops_at)
    main()


class Typed:
    """A command that was started; `folder` is where it was typed.

    Args:
        folder: Made where it is not there.
        arguments: The command line.
        stops_at: The process stops (as by SIGSTOP) when it is about to open, rename or remove the
            first file whose path has a match of this regular expression.
        environment: Variables that it gets.
    """

    def __init__(
        self, folder: Path, *arguments: str, stops_at: str | None = None, **environment: str
    ) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["srexp.launching.preload", "srexp.cli", "reliability.typed"]
        )
        self.folder = folder
        self.began = time.monotonic()
        self.process: Any = context.Process(
            target=_command,
            args=(
                list(arguments),
                str(folder),
                command_environment(folder, **environment),
                stops_at,
            ),
        )
        self.process.start()

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    @property
    def ended(self) -> bool:
        return not self.process.is_alive()

    @property
    def stdout(self) -> str:
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        return self._read("stderr")

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    @property
    def age(self) -> float:
        """Seconds since it was typed."""
        return time.monotonic() - self.began

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def until(self, moment: Callable[[], Any], seconds: float = 400) -> bool:
        """Wait for a moment; False where the command ended before it."""
        deadline = time.monotonic() + seconds
        while not moment():
            if self.ended:
                return False
            assert time.monotonic() < deadline, self.stdout + self.stderr
            time.sleep(_TICK)
        return True

    def until_stopped(self) -> bool:
        """Wait until it stopped at its file; False where it ended before."""
        return self.until(lambda: self._state == "T")

    def go_on(self) -> None:
        """After a stop."""
        self.signal(signal.SIGCONT)

    @property
    def _state(self) -> str:
        """As Linux says it: T is stopped."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return ""

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""
        self.process.join(seconds)
        return self.ended

    def wait(self, seconds: float = 400) -> int:
        """The exit code, as a shell gives it."""
        self.process.join(seconds)
        if not self.ended:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"no end in {seconds} s: {self.stdout}{self.stderr}")
        code = int(self.process.exitcode)
        return code if code >= 0 else 128 - code
