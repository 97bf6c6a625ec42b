"""A real PostgreSQL, and a real MLflow server in front of it that dies in the middle."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_mlflow import free_port, history, pictures

from srexp.tracking.mlflow_store import Store, quiet_client
from srexp.tracking.record import RunFolder, runs

pytestmark = pytest.mark.slow

TINY = (
    "model.depth=3", "model.filters=8", "trainer.eval_every=20", "trainer.batch_size=4",
    "trainer.hr_patch_size=24", "trainer.sample_grids=1", "tracking.timeout_seconds=5",
)  # fmt: skip


def _binaries() -> Path | None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    on_path = shutil.which("initdb")
    return Path(found[-1] if found else on_path).parent if found or on_path else None


@dataclass
class Cluster:
    """PostgreSQL on a socket in a folder of its own."""

    binaries: Path
    folder: Path
    port: int

    def as_owner(self, *command: str) -> subprocess.CompletedProcess[str]:
        """PostgreSQL refuses to run as root."""
        user = "postgres" if os.geteuid() == 0 else None
        return subprocess.run(
            command, user=user, group=user, extra_groups=[] if user else None, cwd="/",
            capture_output=True, text=True, check=True,
        )  # fmt: skip

    def uri(self, database: str) -> str:
        user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def make(self, database: str) -> str:
        tool = str(self.binaries / "createdb")
        self.as_owner(tool, "-h", str(self.folder), "-p", str(self.port), database)
        return self.uri(database)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg2", reason="no psycopg2 here (pip install 'srexp[postgres]')")
    # Not in pytest's folder: its path is too long for a socket, and nobody else may enter it.
    folder = Path(tempfile.mkdtemp(prefix="srexp-pg-"))
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    cluster = Cluster(binaries, folder, free_port())
    data, log = str(folder / "data"), str(folder / "log")
    cluster.as_owner(str(binaries / "initdb"), "-D", data, "-A", "trust", "-E", "UTF8")
    options = f"-p {cluster.port} -k {folder} -c listen_addresses="
    pg_ctl = str(binaries / "pg_ctl")
    cluster.as_owner(pg_ctl, "-D", data, "-l", log, "-w", "-o", options, "start")
    yield cluster
    cluster.as_owner(pg_ctl, "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)


class MlflowServer:
    """`mlflow server` on a database, that can be killed and brought back."""

    def __init__(self, folder: Path, database: str) -> None:
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder, self._database = folder, database
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **command_environment(self._folder),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", self._database,
            "--artifacts-destination", str(self._folder / "server-artifacts"),
            "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
        ]  # fmt: skip
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        from urllib.error import URLError
        from urllib.request import urlopen

        for _ in range(600):
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            try:
                urlopen(f"{self.uri}/health", timeout=2).close()
                return
            except (URLError, OSError):
                time.sleep(0.2)
        raise AssertionError("the server does not answer")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def mlflow_server(cluster: Cluster, tmp_path: Path) -> Iterator[MlflowServer]:
    server = MlflowServer(
        tmp_path, cluster.make("behind_a_server").replace("postgresql:", "postgresql+psycopg2:")
    )
    server.start()
    yield server
    server.kill()


def start_training(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "srexp", "train", *TINY, *arguments],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, env=command_environment(folder),
    )  # fmt: skip


def sync(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "srexp", "sync"],
        cwd=folder, capture_output=True, text=True, check=False, env=command_environment(folder),
    )  # fmt: skip


def ends(*processes: subprocess.Popen[str]) -> list[str]:
    """Wait until all have ended well; what they printed."""
    printed = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
        printed.append(out)
    return printed


def everything_is_there_once(run: RunFolder) -> None:
    shown = run.info["mlflow"]
    store = Store(shown["uri"], shown["experiment"], shown["artifact_root"], 10)
    client = quiet_client(store)
    assert shown["complete"]
    experiment = client.get_experiment_by_name(store.experiment)
    found = client.search_runs([experiment.experiment_id], f"tags.`srexp.run` = '{run.id}'")
    assert [item.info.run_id for item in found] == [shown["run_id"]]
    assert found[0].info.status == "FINISHED"
    points: dict[str, list[tuple[int, float]]] = {}
    for point in run.points():
        for key, value in point["metrics"].items():
            points.setdefault(key, []).append((point["step"], value))
    assert points["train/loss"]
    assert set(found[0].data.metrics) == set(points)
    for key, expected in points.items():
        # PostgreSQL keeps float8 as it is.
        assert history(client, shown["run_id"], key) == expected
    shown_pictures = pictures(client, shown["run_id"])
    assert len(shown_pictures) == len(set(shown_pictures)) > 1
    assert found[0].data.params["model.depth"] == "3"


def test_two_runs_at_once_into_an_empty_database(cluster: Cluster, tmp_path: Path) -> None:
    """Both find it without tables; MLflow's migrations collide, and are tried again."""
    uri = cluster.make("direct")
    tracking = (f"tracking.uri='{uri}'", "trainer.steps=60")
    ends(*(start_training(tmp_path, *tracking, f"seed={seed}") for seed in (0, 1)))
    first = sync(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    found = runs(tmp_path / "outputs")
    assert len(found) == 2
    for run in found:
        everything_is_there_once(run)
    assert sync(tmp_path).stdout == "2 complete: 0 numbers, 0 pictures, 0 files\n"


def test_a_server_on_it_that_dies_in_the_middle(
    cluster: Cluster, mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    """Two runs at once: one ends while the server is away, the other when it is back."""
    tracking = (f"tracking.uri={mlflow_server.uri}", "trainer.sample_grids=1")
    short = start_training(tmp_path, *tracking, "trainer.steps=200", "seed=0")
    long = start_training(tmp_path, *tracking, "trainer.steps=600", "seed=1")

    def connected() -> list[Any]:
        found = runs(tmp_path / "outputs")
        return [run for run in found if (run.info.get("mlflow") or {}).get("run_id")]

    deadline = time.monotonic() + 180
    while len(connected()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    mlflow_server.kill()
    (printed,) = ends(short)
    mlflow_server.start()
    ends(long)
    done = sync(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = runs(tmp_path / "outputs")
    assert len(found) == 2
    for run in found:
        everything_is_there_once(run)
    assert "did not take everything" in printed
    assert "python -m srexp sync" in printed
    assert sync(tmp_path).stdout == "2 complete: 0 numbers, 0 pictures, 0 files\n"
