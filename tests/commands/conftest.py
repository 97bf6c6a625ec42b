"""Runs that several tests look at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment

# A network that trains in seconds; everything else is the default.
TINY = (
    "model.depth=3",
    "model.filters=8",
    "trainer.steps=60",
    "trainer.eval_every=20",
    "trainer.batch_size=4",
    "trainer.hr_patch_size=24",
    "trainer.sample_grids=1",
)


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


def run_command(folder: Path, *arguments: str, timeout: float = 300) -> Finished:
    done = subprocess.run(
        [sys.executable, "-m", "srexp", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
        env=command_environment(folder),
    )
    return Finished(folder, done.stdout, done.stderr, done.returncode)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    return TINY


@pytest.fixture(scope="session")
def command() -> Callable[..., Finished]:
    return run_command


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One tiny training with MLflow, from beginning to end."""
    done = run_command(tmp_path_factory.mktemp("trained"), "train", *TINY)
    assert done.code == 0, done.stderr
    return done


@pytest.fixture
def call(
    main: Callable[..., None], output: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a command prints; it must end well. `main` is a fixture of each module's own."""

    def run(*arguments: str) -> str:
        main([*arguments, "--output-dir", str(output)])
        return capsys.readouterr().out

    return run


@pytest.fixture
def refused(
    main: Callable[..., None], output: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The one line of a command that ends with exit code 2."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as caught:
            main([*arguments, "--output-dir", str(output)])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


@pytest.fixture
def completed() -> Callable[[str, Path], str]:
    """What completion offers for a line that was begun, in a folder with `outputs`."""

    def run(line: str, folder: Path) -> str:
        variables = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
        done = subprocess.run(
            [sys.executable, "-m", "srexp", "-sc", "query=bash"],
            capture_output=True,
            text=True,
            env=command_environment(folder, **variables, SREXP_OUTPUT_DIR=str(folder / "outputs")),
            check=True,
        )
        return done.stdout.strip()

    return run


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[Callable[[int], Finished]]:
    """Start a long tiny training, send a signal after its first checkpoint."""

    def run(number: int) -> Finished:
        arguments = [*TINY, "trainer.steps=100000", "tracking=none"]
        with subprocess.Popen(
            [sys.executable, "-m", "srexp", "train", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=command_environment(tmp_path),
        ) as process:
            deadline = time.monotonic() + 120
            while not list(tmp_path.glob("outputs/*/checkpoints/step-*.npz")):
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
            os.kill(process.pid, number)
            stdout, stderr = process.communicate(timeout=60)
        code = process.returncode
        return Finished(tmp_path, stdout, stderr, code if code >= 0 else 128 - code)

    yield run
    assert signal.getsignal(signal.SIGINT) is not None
