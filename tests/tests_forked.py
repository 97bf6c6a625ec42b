"""Commands of srexp, each in a process forked from one that has imported what they need.

A process of its own has its own exit code, signals and folder. Importing TensorFlow in each would
be most of the time of the tests. What is to be seen of a start itself needs a fresh process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests_environment import command_environment

# What no command that only looks at what was typed may import.
HEAVY = ("tensorflow", "keras", "mlflow", "sklearn", "matplotlib")
# What TensorFlow, imported already, would not read anew.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass
class Process:
    """A command at work."""

    pid: int
    forks: Forks
    folder: Path

    def wait(self) -> int:
        """Its exit code; negative, the number of the signal that ended it."""
        return self.forks.ask(wait=self.pid)

    @property
    def ended(self) -> bool:
        return (self.folder / "imported").exists()

    @property
    def stdout(self) -> str:
        return (self.folder / "stdout").read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @property
    def imported(self) -> list[str]:
        """Which of `HEAVY` it had imported at its end."""
        return json.loads((self.folder / "imported").read_text())


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

    def ask(self, **request: Any) -> int:
        assert self.parent.stdin is not None and self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(request) + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def start(
        self, folder: Path, *arguments: str, timeout: int = 300,
        environment: Mapping[str, str] | None = None,
    ) -> Process:  # fmt: skip
        """Begin `python -m srexp ARGUMENTS` in a folder; after `timeout` seconds it is ended."""
        self.count += 1
        printed = self.folder / str(self.count)
        printed.mkdir()
        pid = self.ask(
            folder=str(folder), printed=str(printed), arguments=arguments, timeout=timeout,
            environment={**(environment or command_environment(folder)), **ENVIRONMENT},
        )  # fmt: skip
        return Process(pid, self, printed)

    def close(self) -> None:
        assert self.parent.stdin is not None and self.parent.stdout is not None
        self.parent.stdin.close()
        self.parent.stdout.close()
        self.parent.wait()


def _serve() -> dict[str, Any] | None:
    """Fork for each request; in the child, return it. None at the end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    import importlib

    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if not answer:
                os.close(answers.fileno())
                with suppress(OSError):
                    answers.close()
                return request
        print(answer, file=answers, flush=True)
    return None


def _become(request: dict[str, Any]) -> None:
    """`python -m srexp` as if it had just been started."""
    import runpy
    import signal

    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(os.path.join(request["printed"], name), os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.alarm(request["timeout"])
    sys.argv = ["srexp", *request["arguments"]]
    try:
        runpy.run_module("srexp", run_name="__main__", alter_sys=True)
    finally:
        heavy = [name for name in HEAVY if name in sys.modules]
        with open(os.path.join(request["printed"], "imported"), "w") as file:
            json.dump(heavy, file)


if __name__ == "__main__":
    # Not the folder of the tests, whose `tests_...` no command is to see.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _given = _serve()
    if _given is not None:
        _become(_given)
