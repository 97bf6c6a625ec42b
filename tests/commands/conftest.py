"""Runs that several tests look at."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_environment import command_environment
from tests_forked import Finished, Forks

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


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    return TINY


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Finished]) -> Finished:
    """One tiny training with MLflow, from beginning to end."""
    done = command(tmp_path_factory.mktemp("trained"), "train", *TINY)
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
def completed(light_forks: Forks) -> Callable[[str, Path], str]:
    """What completion offers for a line that was begun, in a folder with `outputs`."""

    def run(line: str, folder: Path) -> str:
        environment = command_environment(
            folder, COMP_LINE=line, COMP_POINT=str(len(line)),
            SREXP_OUTPUT_DIR=str(folder / "outputs"),
        )  # fmt: skip
        process = light_forks.start(folder, "-sc", "query=bash", environment=environment)
        assert process.wait() == 0, process.stderr
        return process.stdout.strip()

    return run


@pytest.fixture
def interrupted(tmp_path: Path, forks: Forks) -> Callable[[int], Finished]:
    """Start a long tiny training, send a signal after its first checkpoint."""

    def run(number: int) -> Finished:
        arguments = [*TINY, "trainer.steps=100000", "trainer.jit_compile=false", "tracking=none"]
        process = forks.start(tmp_path, "train", *arguments)
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("outputs/*/checkpoints/step-*.npz")):
            assert time.monotonic() < deadline
            assert not process.ended, process.stderr
            time.sleep(0.02)
        os.kill(process.pid, number)
        code = process.wait()
        return Finished(tmp_path, process.stdout, process.stderr, code if code >= 0 else 128 - code)

    return run
