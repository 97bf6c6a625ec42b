"""Commands of srexp, each in a process forked from one that has imported what they need.

A process of its own has its own exit code, signals and folder, and can really be killed. Importing
TensorFlow in each would be most of the time of the tests. What is to be seen of a start itself
needs a fresh process.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests_environment import command_environment

# What no command that only looks at what was typed may import.
HEAVY = ("tensorflow", "keras", "mlflow", "sklearn", "matplotlib")
# What TensorFlow, imported already, would not read anew.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}
# Seconds between two looks at something, and at whether a process is still there.
_TICK, _ASK = 0.0002, 0.02
_FILES = ("open", "os.rename", "os.remove")  # audit events whose first arguments are paths


class Process:
    """A command that was started.

    Attributes:
        pid: Of the process, a group and session of its own.
        printed: The folder of what it prints.
        returncode: None until it is known to have ended; negative, the number of a signal.
    """

    def __init__(self, pid: int, forks: Forks, printed: Path) -> None:
        self.pid = pid
        self.printed = printed
        self.returncode: int | None = None
        self._forks = forks

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._forks.ask(ended=self.pid)
        return self.returncode

    @property
    def ended(self) -> bool:
        return self.poll() is not None

    def ends_within(self, seconds: float) -> bool:
        """Whether it has ended, after so many seconds at most."""
        deadline = time.monotonic() + seconds
        while not self.ended and time.monotonic() < deadline:
            time.sleep(_ASK)
        return self.ended

    def wait(self) -> int:
        """Its exit code; negative, the number of the signal that ended it."""
        while (code := self.poll()) is None:
            time.sleep(_ASK)
        return code

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """As the system does without memory; over when this returns."""
        self.signal(signal.SIGKILL)
        self.wait()

    def until(self, moment: Callable[[], Any], seconds: float = 400) -> bool:
        """Wait for a moment; False where the command ended before it."""
        deadline = time.monotonic() + seconds
        asked = 0.0
        while not moment():
            now = time.monotonic()
            if now - asked > _ASK:
                asked = now
                if self.ended:
                    return bool(moment())
            assert now < deadline, self.stdout + self.stderr
            time.sleep(_TICK)
        return True

    def until_stopped(self) -> bool:
        """Wait until it stopped at its file; False where it ended before."""
        return self.until(lambda: self._state == "T")

    @property
    def _state(self) -> str:
        """As Linux says it: T is stopped."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return ""

    def until_begun(self) -> bool:
        """Wait until it begins to do what was typed."""
        return self.until((self.printed / "begun").exists)

    @property
    def stdout(self) -> str:
        return self._read("stdout")

    @property
    def stderr(self) -> str:
        return self._read("stderr")

    def _read(self, name: str) -> str:
        path = self.printed / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def imported(self) -> list[str]:
        """Which of `HEAVY` it had imported at its end."""
        return json.loads((self.printed / "imported").read_text())


@dataclass
class Finished:
    """A command that ended, and where it ran."""

    folder: Path
    stdout: str
    stderr: str
    code: int

    @property
    def runs(self) -> list[Path]:
        return sorted(path.parent for path in self.folder.glob("outputs/*/run.json"))

    @property
    def run(self) -> Path:
        (only,) = self.runs
        return only

    def info(self) -> dict[str, Any]:
        return json.loads((self.run / "run.json").read_text())

    def points(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]


class Forks:
    """The process that others are forked from.

    Args:
        folder: For what the commands print.
        preload: Modules that it imports.
    """

    def __init__(self, folder: Path, *preload: str) -> None:
        self.folder = folder
        self.count = 0
        self.parent = subprocess.Popen(
            [sys.executable, __file__, *preload],
            cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=command_environment(folder, **ENVIRONMENT),
        )  # fmt: skip

    def ask(self, **request: Any) -> Any:
        assert self.parent.stdin is not None and self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(request) + "\n")
        self.parent.stdin.flush()
        return json.loads(self.parent.stdout.readline())

    def start(
        self,
        folder: Path,
        *arguments: str,
        timeout: int = 300,
        environment: Mapping[str, str] | None = None,
        stops_at: str | None = None,
        program: Sequence[str] = ("-m", "srexp"),
    ) -> Process:
        """Begin `python -m srexp ARGUMENTS`.

        Args:
            folder: Where; made where it is not there.
            arguments: What is typed.
            timeout: Seconds after which it is ended.
            environment: In place of `command_environment`'s.
            stops_at: The process stops (as by SIGSTOP) when it is about to open, rename or remove
                the first file whose path has a match of this regular expression.
            program: Another one than srexp, as Python is given it.
        """
        folder.mkdir(exist_ok=True, parents=True)
        self.count += 1
        printed = self.folder / str(self.count)
        printed.mkdir()
        pid = self.ask(
            folder=str(folder), printed=str(printed), arguments=arguments, timeout=timeout,
            environment={**(environment or command_environment(folder)), **ENVIRONMENT},
            stops_at=stops_at, program=program,
        )  # fmt: skip
        return Process(pid, self, printed)

    def close(self) -> None:
        assert self.parent.stdin is not None and self.parent.stdout is not None
        self.parent.stdin.close()
        self.parent.stdout.close()
        self.parent.wait()


def ready() -> Forks:
    """Commands start at once: TensorFlow and all that a training needs is imported already."""
    return _forks("srexp.launching.preload")


def light() -> Forks:
    """Commands of which it matters that they import nothing heavy."""
    return _forks("srexp.commands.train")


@cache
def _forks(preload: str) -> Forks:
    folder = Path(tempfile.mkdtemp(prefix="srexp-forks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    forks = Forks(folder, preload)
    atexit.register(forks.close)
    return forks


def _serve() -> dict[str, Any] | None:
    """Fork for each request; in the child, return it. None at the end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    import importlib

    for name in sys.argv[1:]:
        importlib.import_module(name)
    _share_forkserver()
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            pid, status = os.waitpid(request["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                os.close(answers.fileno())
                with suppress(OSError):
                    answers.close()
                return request
        print(json.dumps(answer), file=answers, flush=True)
    return None


def _share_forkserver() -> None:
    """What the jobs of a sweep are forked from is forked from here, with all imports done.

    A sweep's launcher starts one of its own, which takes as long as the import of TensorFlow. Its
    jobs get their environment and folder from the launcher in either case.
    """
    from multiprocessing import forkserver

    address = f"\0srexp-tests-{os.getpid()}"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    theirs, ours = os.pipe()
    if not os.fork():
        os.close(ours)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        forkserver.main(listener.fileno(), theirs, [])
        os._exit(0)
    os.close(theirs)
    listener.close()
    server: Any = forkserver._forkserver  # type: ignore[attr-defined]
    server._forkserver_address, server._forkserver_alive_fd = address, ours
    server.ensure_running = lambda: None
    forkserver.ensure_running = server.ensure_running


def _become(request: dict[str, Any]) -> None:
    """`python -m srexp` as if it had just been started."""
    import runpy

    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.alarm(request["timeout"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(os.path.join(request["printed"], name), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    if request["stops_at"] is not None:
        _stop_at(request["stops_at"])
    *option, program = request["program"]
    sys.argv = ["srexp", *request["arguments"]]
    try:
        if option:
            _tell_when_begun(os.path.join(request["printed"], "begun"))
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program, run_name="__main__")
    finally:
        heavy = [name for name in HEAVY if name in sys.modules]
        with open(os.path.join(request["printed"], "imported"), "w") as file:
            json.dump(heavy, file)


def _tell_when_begun(path: str) -> None:
    """Once it looks after signals itself; what comes before is Python's, and none of the tests'."""
    import srexp.cli

    command = srexp.cli._main

    def main(arguments: list[str]) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        command(arguments)

    srexp.cli._main = main


def _stop_at(path: str) -> None:
    """Stop this process, once, as it opens, renames or removes such a file: before it is done.

    A test that looked for the file would come too late on a quick machine.
    """
    import re

    fits = re.compile(path).search
    waits = [True]

    def see(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILES and waits and any(fits(str(name)) for name in arguments[:2]):
            waits.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(see)


if __name__ == "__main__":
    # Not the folder of the tests, whose `tests_...` no command is to see.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _given = _serve()
    if _given is not None:
        _become(_given)
