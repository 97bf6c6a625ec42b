"""A sweep whose processes are killed; and what other tests show of several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from commands import test_sweep
from reliability import kept
from reliability.conftest import Row
from tests_environment import command_environment
from training import test_strategies

pytestmark = pytest.mark.slow

JOBS = ("-m", "trainer.steps=600", "seed=0,1,2", "tracking=none", "hydra.launcher.n_jobs=2")


def _start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A launcher with a forkserver of its own, as everybody's."""
    return subprocess.Popen(
        [sys.executable, "-m", "srexp", "train", *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        env=command_environment(folder),
    )  # fmt: skip


def _children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _forkserver(launcher: int) -> int:
    (server,) = [
        pid
        for pid in _children(launcher)
        if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    return server


@pytest.fixture(scope="module")
def uncut(
    quick: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory, command: Any
) -> dict[str, Path]:
    """Title -> run, of a sweep to which nothing happened."""
    folder = tmp_path_factory.mktemp("uncut")
    done = command(folder, "train", *JOBS, *quick)
    assert done.code == 0, done.stderr
    return _by_title(folder)


def _by_title(folder: Path) -> dict[str, Path]:
    runs = [path.parent for path in folder.glob("outputs/*/run.json")]
    found = {kept.info(run)["title"]: run for run in runs}
    assert len(found) == len(runs), "a job was made twice"
    return found


@pytest.mark.fault("A sweep: launcher, its forkserver and all jobs killed")
def test_all_killed(
    tmp_path: Path, quick: tuple[str, ...], uncut: dict[str, Path], row: Row, command: Any
) -> None:
    lost = 0
    with _start(tmp_path, *JOBS, *quick) as process:
        test_sweep.wait_for_steps(tmp_path, 2)
        server = _forkserver(process.pid)
        victims = [process.pid, server, *_children(server)]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        process.communicate()
    runs = _by_title(tmp_path)
    lost = max(kept.last_step(run) - kept.saved_step(run) for run in runs.values())
    again = command(tmp_path, "train", *JOBS, *quick)
    assert again.code == 0, again.stderr
    for title, run in _by_title(tmp_path).items():
        kept.assert_same(run, uncut[title])
    assert {run.name for run in runs.values()} <= {p.name for p in _by_title(tmp_path).values()}
    row(
        f"kill -9 of {len(victims)} processes while two of three jobs ran",
        1,
        f"{lost} logged steps a job, computed again",
        "the same typed again: jobs resumed, the rest begun; bit for bit the same weights",
    )


@pytest.mark.fault("A sweep: its forkserver killed")
def test_forkserver_killed(
    tmp_path: Path, quick: tuple[str, ...], uncut: dict[str, Path], row: Row
) -> None:
    with _start(tmp_path, *JOBS, *quick) as process:
        test_sweep.wait_for_steps(tmp_path, 2)
        os.kill(_forkserver(process.pid), signal.SIGKILL)
        said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    for title, run in _by_title(tmp_path).items():
        kept.assert_same(run, uncut[title])
    row("kill -9 while two of three jobs ran", 1, "nothing", "the sweep went on and finished")


@pytest.mark.elsewhere
@pytest.mark.fault("A sweep: only its launcher killed")
def test_launcher_killed(tmp_path: Path, row: Row, command: Any) -> None:
    assert command(tmp_path / "uncut", "train", *test_sweep.LONG).code == 0
    test_sweep.test_a_sweep_that_was_cut_off_goes_on(
        tmp_path, command, tmp_path / "uncut", signal.SIGKILL
    )
    row(
        "kill -9 in the second of three jobs (a test of tests/commands)", 1,
        "nothing: the job saw it, saved and stopped",
        "the same typed again: bit for bit the same weights",
    )  # fmt: skip


@pytest.mark.elsewhere
@pytest.mark.fault("Two sweeps in the same folder")
def test_two_sweeps(tmp_path: Path, row: Row) -> None:
    test_sweep.test_two_sweeps_in_one_folder_share_the_work(tmp_path)
    row("the same typed twice at once (a test of tests/commands)", 1, "nothing", "each job once")


@pytest.mark.elsewhere
@pytest.mark.fault("A worker of a two-process training killed")
def test_worker_killed(tmp_path: Path, row: Row) -> None:
    began = time.monotonic()
    test_strategies.test_a_worker_that_is_killed_ends_the_chief_with_one_line_and_all_can_go_on(
        tmp_path
    )
    assert time.monotonic() - began < 200
    row(
        "kill -9 (a test of tests/training)", 1, "the steps since the last checkpoint",
        "the chief ends with one line and exit code 1; both processes started again go on",
    )  # fmt: skip
