"""MLflow's stores: made whole, shared by many processes, named so that MLflow agrees."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_mlflow import free_port

from srexp.tracking.mlflow_store import (
    Store,
    ask,
    create_run,
    experiment_id,
    find_by_tag,
    is_refusal,
    legal,
    one_line,
    quiet_client,
    sendable,
)


def test_a_new_store_is_whole_and_nothing_else_is_left(migrated: Path) -> None:
    assert [path.name for path in migrated.parent.iterdir()] == ["mlflow.db"]
    with sqlite3.connect(migrated) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        tables = {row[0] for row in database.execute("select name from sqlite_master")}
    database.close()
    assert {"experiments", "runs", "metrics", "params"} <= tables


def test_a_store_where_there_are_no_hard_links(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """exFAT, SMB and FUSE refuse them."""

    def no_links(source: Any, target: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "new" / "mlflow.db"
    here = replace(store, uri=f"sqlite:///{path}", artifact_root=str(tmp_path))
    quiet_client(here).create_experiment("kept")
    quiet_client(here).create_experiment("another")  # it was there: left as it is
    names = {experiment.name for experiment in quiet_client(here).search_experiments()}
    assert names == {"Default", "kept", "another"}


def test_mlflow_where_the_user_has_no_home(tmp_path: Path) -> None:
    """A batch job without HOME, and a container's user who is not in /etc/passwd."""
    script = """
import os, pwd

def nobody(number):
    raise KeyError(number)

pwd.getpwuid = nobody
for name in ("HOME", "USER", "LOGNAME"):
    os.environ.pop(name, None)

from srexp.tracking.mlflow_store import Store, quiet_client
from srexp.tracking.record import last_store, remember_store

remember_store("sqlite:////a.db")
print(last_store(), type(quiet_client(Store("http://127.0.0.1:9", "", "", 1))).__name__)
"""
    environment = command_environment(tmp_path)
    del environment["XDG_STATE_HOME"]
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "None MlflowClient\n"


def test_experiments_are_made_once_with_artifacts_beside_the_runs(
    store: Store, client: Any, tmp_path: Path
) -> None:
    other = replace(store, experiment="made once", artifact_root=str(tmp_path / "mine"))
    first = experiment_id(client, other)
    assert experiment_id(client, other) == first
    assert client.get_experiment(first).artifact_location == (tmp_path / "mine").as_uri()
    run_id = create_run(client, first, "a run", {}, began=12.5)
    assert client.get_run(run_id).info.artifact_uri.startswith((tmp_path / "mine").as_uri())
    assert client.get_run(run_id).info.start_time == 12500


def test_an_experiment_that_another_process_just_made_is_used(store: Store, client: Any) -> None:
    class Late:
        """Sees no experiment at its first look."""

        looks = 0

        def get_experiment_by_name(self, name: str) -> Any:
            self.looks += 1
            return None if self.looks == 1 else client.get_experiment_by_name(name)

        create_experiment = client.create_experiment

    made = experiment_id(client, store)
    assert experiment_id(Late(), store) == made


@pytest.mark.parametrize("value", ["plain", "it's", 'a "sweep"'])
def test_runs_are_found_by_tag(store: Store, client: Any, value: str) -> None:
    experiment = experiment_id(client, store)
    assert find_by_tag(client, experiment, "srexp.run", value) is None
    create_run(client, experiment, "another", {"srexp.run": "another"})
    run_id = create_run(client, experiment, "a run", {"srexp.run": value})
    assert find_by_tag(client, experiment, "srexp.run", value) == run_id


def test_a_server_is_asked_once_and_not_for_long(
    monkeypatch: pytest.MonkeyPatch, remote: Store, server: Any
) -> None:
    """MLflow repeats requests by itself: it stalls for minutes, and makes two runs of one."""
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    client = quiet_client(replace(remote, timeout_seconds=7))
    from mlflow import environment_variables as known

    assert known.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 7
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    experiment = experiment_id(client, remote)
    server.fault = lambda method, path: "lost" if path.endswith("runs/create") else None
    with pytest.raises(Exception, match="failed"):
        create_run(client, experiment, "a run", {"srexp.run": "asked once"})
    server.fault = lambda method, path: None
    found = client.search_runs([experiment], "tags.`srexp.run` = 'asked once'")
    assert len(found) == 1


def test_whether_a_store_is_there(store: Store, remote: Store, tmp_path: Path) -> None:
    ask(store)
    ask(remote)
    gone = replace(store, uri=f"sqlite:///{tmp_path}/gone/mlflow.db")
    with pytest.raises(FileNotFoundError, match=f"^there is no folder {tmp_path}/gone$"):
        ask(gone)
    assert not (tmp_path / "gone").exists()
    with pytest.raises(Exception, match=r"refused|connect"):
        ask(replace(remote, uri=f"http://127.0.0.1:{free_port()}"))


# Names and values.


@pytest.mark.parametrize("key", ["train/loss", "val_x2/rgb/psnr", "a b.c:d-e", "a/.b", "a" * 250])
def test_a_legal_key_stays_as_it_is(store: Store, client: Any, key: str) -> None:
    assert legal(key) == key
    run_id = create_run(client, experiment_id(client, store), "a run", {})
    client.log_metric(run_id, key, 1.0)


ILLEGAL = ("ü", "é", "a\nb", "a\0b", "a//b", "a/", "/a", ".", "..", "../a", "a/../b", "..a", "",
           "\udce4", "a" * 251, "a" * 252)  # fmt: skip


def test_an_illegal_key_becomes_one_that_mlflow_takes(store: Store, client: Any) -> None:
    run_id = create_run(client, experiment_id(client, store), "a run", {})
    for key in ILLEGAL:
        client.log_metric(run_id, legal(key), 1.0)
        client.log_param(run_id, legal(key), key[:3].encode("ascii", "replace").decode("ascii"))
        client.set_tag(run_id, legal(key), "1")
        assert len(legal(key, length=40)) <= 40
    found = client.get_run(run_id).data
    assert len(found.metrics) == len(found.params) == len(ILLEGAL)  # none became another


def test_a_value_is_text_that_every_database_takes() -> None:
    assert sendable("ü → 3", 100) == "ü → 3"
    assert sendable(None, 100) == "None"
    assert sendable("a\0\udce4b", 100) == "a\\0\\udce4b"
    assert sendable("x" * 11, 10) == "x" * 10


def test_an_error_is_one_short_line() -> None:
    assert one_line(ValueError("first\nsecond")) == "first"
    assert one_line(ValueError()) == "ValueError"
    assert one_line(ValueError("x" * 1000)) == "x" * 298 + " …"
    assert one_line(ValueError("word " * 100)) == "word " * 59 + "…"


def test_what_is_a_refusal() -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
    from requests import HTTPError, Response

    def http(status: int) -> HTTPError:
        response = Response()
        response.status_code = status
        return HTTPError(response=response)

    assert is_refusal(MlflowException("bad", INVALID_PARAMETER_VALUE))
    assert not is_refusal(MlflowException("locked", TEMPORARILY_UNAVAILABLE))
    codes = (400, 401, 403, 404, 413, 429, 500, 503)
    assert [code for code in codes if is_refusal(http(code))] == [400, 413]
    assert not is_refusal(ConnectionError("the wire was cut"))


# Several processes.

EIGHT = """
import os, sys, time
from pathlib import Path
import mlflow
from srexp.tracking.mlflow_store import Store
from srexp.tracking.mlflow_view import MlflowView
from tests_mlflow import make_run

folder = Path(sys.argv[1])
store = Store(f"sqlite:///{folder}/new/mlflow.db", "eight", str(folder / "artifacts"), 20)
begin = time.time() + 0.5
children = []
for number in range(8):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run = make_run(folder / "outputs", store, title=str(number))
            time.sleep(max(0, begin - time.time()))
            view = MlflowView(run, fresh=True)
            view.start()
            view.wake()
            for step in range(1, 101):
                run.log(step, {f"m{k}": float(step) for k in range(5)})
                view.wake()
                time.sleep(0.002)
            run.set_status("FINISHED")
            view.close(lambda: None)
            print(run.id, view.error, view.unsent(), flush=True)
            code = 0 if view.error is None else 2
        finally:
            os._exit(code)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
print(codes)
sys.exit(any(codes))
"""


@pytest.mark.slow
def test_eight_processes_make_a_new_store_together_and_write_at_once(tmp_path: Path) -> None:
    tests = str(Path(__file__).parents[1])
    environment = command_environment(tmp_path)
    environment["PYTHONPATH"] += os.pathsep + tests
    done = subprocess.run(
        [sys.executable, "-c", EIGHT, str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    with sqlite3.connect(tmp_path / "new" / "mlflow.db") as database:
        (experiments,) = database.execute(
            "select count(*) from experiments where name='eight'"
        ).fetchone()
        runs = database.execute("select run_uuid, status from runs").fetchall()
        counts = database.execute(
            "select run_uuid, key, count(*), count(distinct step), max(step) from metrics "
            "group by run_uuid, key"
        ).fetchall()
    database.close()
    assert experiments == 1
    assert [status for _, status in runs] == ["FINISHED"] * 8
    assert len(counts) == 8 * 5
    assert {row[2:] for row in counts} == {(100, 100, 100)}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mlflow.db"]
