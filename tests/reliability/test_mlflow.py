"""MLflow that is away, hangs, fails, forgets its answers, or is locked: training never notices."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from reliability.gate import Gate
from reliability.typed import Typed
from tests_environment import command_environment

from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_view import MlflowView
from srexp.tracking.record import RunFolder

pytestmark = pytest.mark.slow

STEPS = 200
TIMEOUT = 2
NEXT = "`srexp sync`'s way (Mirror: connect, send, finish): everything there, once"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client sets for its process is undone after each test."""
    for name in ("DISABLE_TELEMETRY", "HTTP_REQUEST_MAX_RETRIES", "HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(f"MLFLOW_{name}", "1")


class Server:
    """A real MLflow server on SQLite."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.shown = kept.Shown(folder / "mlflow.db", folder / "artifacts")
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), "--workers",
                 "1", "--backend-store-uri", f"sqlite:///{self.shown.database}",
                 "--artifacts-destination", str(self.shown.artifacts)],
                cwd=self.folder, stdout=log, stderr=log, start_new_session=True,
                env=command_environment(
                    self.folder, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
                    MLFLOW_DISABLE_TELEMETRY="true",
                ),
            )  # fmt: skip

    def until_up(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline
                time.sleep(0.2)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    try:
        server.until_up()
        yield server
    finally:
        server.kill()


@pytest.fixture
def gate(server: Server) -> Iterator[Gate]:
    gate = Gate(server.port)
    yield gate
    gate.close()


def sync(run: Path) -> None:
    mirror = Mirror(RunFolder.open(run))
    mirror.connect(fresh=False)
    mirror.send()
    mirror.finish()
    assert mirror.unsent() == 0
    assert mirror.refused is None


def train(folder: Path, quick: tuple[str, ...], uri: str, *arguments: str) -> Typed:
    return Typed(
        folder, "train", *quick, f"trainer.steps={STEPS}", f"tracking.uri={uri}",
        f"tracking.timeout_seconds={TIMEOUT}", *arguments,
    )  # fmt: skip


def until_saved(typed: Typed, step: int) -> None:
    assert typed.until(
        lambda: next(typed.folder.glob(f"outputs/*/checkpoints/step-{step:07d}.npz"), None)
    ), typed.stderr


def seconds_after_training(typed: Typed) -> float:
    """From the scoring's last file to the end of the command."""
    assert typed.until(lambda: next(typed.folder.glob("outputs/*/model.keras"), None))
    scored = time.monotonic()
    assert typed.wait() == 0, typed.stdout + typed.stderr
    return time.monotonic() - scored


def not_sent(typed: Typed) -> int:
    """How many items the command said that MLflow does not have."""
    said = re.search(r"did not take everything \((.+)\): (\d+) items were not sent", typed.stdout)
    assert said, typed.stdout
    return int(said[2])


@pytest.mark.fault("MLflow server killed, and back during the run")
def test_server_killed_and_back(tmp_path: Path, quick: tuple[str, ...], server: Server, row: Row):
    typed = train(tmp_path, quick, server.uri, "trainer.steps=100000", "trainer.eval_every=200")
    until_saved(typed, 200)
    run = kept.only_run(tmp_path)
    assert typed.until(lambda: server.shown.last_step(run) > 0)
    server.kill()
    killed, at = time.monotonic(), kept.last_step(run)
    time.sleep(5)
    meanwhile = kept.last_step(run) - at
    assert meanwhile > 0, "training waited for the server"
    server.start()
    server.until_up()
    away = time.monotonic() - killed
    back = kept.last_step(run)
    assert typed.until(lambda: server.shown.last_step(run) > back, seconds=120)
    caught_up = time.monotonic() - killed - away
    typed.signal(signal.SIGTERM)
    assert typed.wait() == 143
    assert "did not take everything" not in typed.stdout
    server.shown.assert_once(run, status="KILLED")
    row(
        f"kill -9 of a real `mlflow server`, away for {away:.0f} s",
        1,
        f"nothing; training went on ({meanwhile} steps in the first 5 s)",
        f"sent by the run itself within {caught_up:.0f} s; everything there, once",
    )


@pytest.mark.parametrize(
    ("mode", "when"),
    [
        ("hang", "from the start"),
        ("error", "from the start"),
        ("hang", "from the middle"),
        ("deaf", "from the middle"),
    ],
)
@pytest.mark.fault("MLflow server broken to the end of the run")
def test_broken_server(
    tmp_path: Path,
    quick: tuple[str, ...],
    straight: Callable[[int], Path],
    server: Server,
    gate: Gate,
    row: Row,
    mode: str,
    when: str,
) -> None:
    if when == "from the start":
        gate.mode = mode
    typed = train(tmp_path, quick, gate.uri)
    until_saved(typed, 80)
    gate.mode = mode
    seconds = seconds_after_training(typed)
    assert gate.refused > 0
    assert seconds < 10 * TIMEOUT
    items = not_sent(typed)
    assert items > 0
    run = kept.only_run(tmp_path)
    kept.assert_same(run, straight(STEPS))
    gate.open()
    # MLflow names each picture anew, so that one whose answer is lost is there and sent again.
    allowed = 3 if mode == "deaf" else 0
    for _ in range(2):
        sync(run)
        doubled = server.shown.assert_once(run, twice=allowed)
    how = {
        "hang": "takes requests, never answers",
        "error": "answers 500",
        "deaf": "does what it is asked, and its answers are lost",
    }[mode]
    row(
        f"a gate before a real server: {how}, {when}; {seconds:.1f} s at the end of the run "
        f"(tracking.timeout_seconds={TIMEOUT})",
        1,
        f"nothing; says that {items} items were not sent",
        NEXT + (f"; but {doubled} pictures twice, whose answers were lost" if doubled else ""),
    )


@pytest.mark.fault("MLflow server broken for a while")
@pytest.mark.parametrize("mode", ["hang", "error", "deaf"])
def test_server_broken_for_a_while(
    tmp_path: Path, quick: tuple[str, ...], server: Server, gate: Gate, row: Row, mode: str
) -> None:
    typed = train(tmp_path, quick, gate.uri, "trainer.steps=100000", "trainer.eval_every=200")
    until_saved(typed, 200)
    gate.mode = mode
    time.sleep(4)
    gate.open()
    run = kept.only_run(tmp_path)
    now = kept.last_step(run)
    assert typed.until(lambda: server.shown.last_step(run) > now)
    typed.signal(signal.SIGTERM)
    assert typed.wait() == 143
    assert "did not take everything" not in typed.stdout
    doubled = server.shown.assert_once(run, status="KILLED", twice=3 if mode == "deaf" else 0)
    then = f"; but {doubled} pictures twice" if doubled else ""
    row(f"the same gate: {mode} for 4 s", 1, "nothing", f"sent by the run itself, once{then}")


@pytest.mark.fault("MLflow's SQLite database locked by somebody else")
@pytest.mark.parametrize("to_the_end", [False, True])
def test_locked_database(
    tmp_path: Path,
    quick: tuple[str, ...],
    straight: Callable[[int], Path],
    row: Row,
    to_the_end: bool,
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    more = () if to_the_end else ("trainer.steps=100000", "trainer.eval_every=200")
    typed = train(tmp_path / "run", quick, uri, *more)
    shown = kept.Shown(tmp_path / "mlflow.db", tmp_path / "run" / "outputs" / "mlartifacts")
    assert typed.until(lambda: next(typed.folder.glob("outputs/*/run.json"), None))
    run = kept.only_run(typed.folder)
    assert typed.until(lambda: shown.last_step(run) > 0)
    other = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None, timeout=60)
    other.execute("begin exclusive")
    if to_the_end:
        seconds = seconds_after_training(typed)
        items = not_sent(typed)
        other.execute("rollback")
        kept.assert_same(run, straight(STEPS))
        sync(run)
        shown.assert_once(run)
        lost = f"nothing; says that {items} items were not sent"
        row(f"begin exclusive, to the end; {seconds:.1f} s at the end of the run", 1, lost, NEXT)
        assert seconds < 10 * TIMEOUT
        return
    at = kept.last_step(run)
    time.sleep(12)
    assert kept.last_step(run) > at, "training waited for the database"
    other.execute("rollback")
    now = kept.last_step(run)
    assert typed.until(lambda: shown.last_step(run) > now, seconds=120)
    typed.signal(signal.SIGTERM)
    assert typed.wait() == 143
    assert "did not take everything" not in typed.stdout
    shown.assert_once(run, status="KILLED")
    row("begin exclusive, for 12 s", 1, "nothing; training went on", "sent by the run itself, once")


@pytest.mark.fault("2,000 points a second")
def test_many_points(tmp_path: Path, row: Row) -> None:
    run = RunFolder.create(tmp_path / "outputs", "many", {"seed": 0}, "seed: 0\n")
    run.update(
        mlflow={
            "uri": f"sqlite:///{tmp_path}/outputs/mlflow.db", "experiment": "many", "tags":
            {"srexp.run": run.id}, "run_name": "many", "timeout_seconds": 10,
            "artifact_root": str(tmp_path / "outputs" / "mlartifacts"),
        }
    )  # fmt: skip
    view = MlflowView(run, fresh=True)
    view.start()
    began, slowest = time.perf_counter(), 0.0
    for step in range(10_000):
        before = time.perf_counter()
        run.log(step, {"loss": 1 / (1 + step)})
        view.wake()
        slowest = max(slowest, time.perf_counter() - before)
        time.sleep(max(0.0, began + step / 2000 - time.perf_counter()))
    seconds = time.perf_counter() - began
    assert seconds < 8, "logging could not keep up"
    run.set_status("FINISHED")
    ended = time.perf_counter()
    view.close(lambda: None)
    sending = time.perf_counter() - ended
    assert view.error is None
    run.release()
    shown = kept.Shown.beside(tmp_path)
    ((uid, status),) = shown.runs(run.folder)
    assert status == "FINISHED"
    steps = shown.ask("select step from metrics where run_uuid=? order by step", uid)
    assert steps == [(step,) for step in range(10_000)]
    row(
        f"10,000 points in {seconds:.1f} s, MLflow on SQLite",
        1,
        f"nothing; the slowest point held training up for {1000 * slowest:.0f} ms",
        f"{sending:.1f} s after the last one all were in MLflow, once",
    )
