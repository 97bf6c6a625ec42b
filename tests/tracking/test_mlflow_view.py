"""MLflow as a view: what arrives in a real store, and what a broken one does to a run (nothing)."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import srexp
from srexp.tracking import mlflow_view
from srexp.tracking.mlflow_view import MlflowView, Target, create_run, experiment_id, quiet_client


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client sets for its process is undone after each test."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Target, Any]:
    """One SQLite store for all tests (making it takes seconds), and a client of it."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        target = Target(
            uri=f"sqlite:///{folder}/deep/mlflow.db",
            experiment="tests",
            artifact_root=folder / "artifacts",
            run_name="a run",
            timeout_seconds=1,
        )
        return target, quiet_client(target)


class Heard:
    """What the view tells its run folder."""

    def __init__(self) -> None:
        self.announced: list[tuple[str, str]] = []
        self.sent: list[dict[str, int]] = []

    def announce(self, experiment: str, run: str) -> None:
        self.announced.append((experiment, run))


def view_of(target: Target, params: dict[str, Any] | None = None) -> tuple[MlflowView, Heard]:
    heard = Heard()
    view = MlflowView(target, params or {}, announce=heard.announce, sent=heard.sent.append)
    return view, heard


def point(step: int, **metrics: float) -> dict[str, Any]:
    return {"step": step, "time": 1000.0 + step, "metrics": metrics}


def history(client: Any, run_id: str, key: str) -> list[tuple[int, float, int]]:
    return [(m.step, m.value, m.timestamp) for m in client.get_metric_history(run_id, key)]


def pictures(target: Target, run_id: str) -> dict[tuple[str, int], Path]:
    """(key, step) -> file, from MLflow's own naming: KEY+step+10+timestamp+...png."""
    found = {}
    for path in (target.artifact_root / run_id / "artifacts" / "images").glob("*.png"):
        key, step = re.match(r"(.+?)[+%]step[+%](\d+)[+%]timestamp", path.name).groups()
        key = re.sub("[~#]", "/", key)
        assert (key, int(step)) not in found, "sent twice"
        found[key, int(step)] = path
    return found


def test_everything_arrives_once(store: tuple[Target, Any], tmp_path: Path) -> None:
    target, client = store
    tagged = replace(target, tags={"srexp.run": "r1"}, parent_run_id="f" * 32)
    view, heard = view_of(tagged, {"model.depth": 7, "act.name": "relu", "ema": None})
    view.start()
    for step in (10, 20, 30):
        view.metrics(point(step, **{"train/loss": 1 / step, "val_x2/rgb/psnr": 30.0 + step}))
    view.tags({"srexp.failure": "none"})
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grid.png")
    for step in (10, 20):
        view.image(tmp_path / "grid.png", "val_x2/rgb/flower", step)
    (tmp_path / "table.csv").write_text("image,psnr\n")
    view.artifact(tmp_path / "table.csv", "evaluations/val_x2")
    view.close("FINISHED")
    assert view.error is None
    assert view.unsent == 0
    assert not view.is_alive()
    assert not view.busy

    run = client.get_run(view.run_id)
    assert heard.announced == [(run.info.experiment_id, view.run_id)]
    assert client.get_experiment(run.info.experiment_id).name == "tests"
    assert run.info.run_name == "a run"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.depth": "7", "act.name": "relu", "ema": "None"}
    assert run.data.tags["srexp.run"] == "r1"
    assert run.data.tags["srexp.failure"] == "none"
    assert run.data.tags["mlflow.parentRunId"] == "f" * 32
    assert history(client, view.run_id, "train/loss") == [
        (step, 1 / step, (1000 + step) * 1000) for step in (10, 20, 30)
    ]
    assert [v for _, v, _ in history(client, view.run_id, "val_x2/rgb/psnr")] == [40, 50, 60]
    assert heard.sent[-1]["train/loss"] == heard.sent[-1]["val_x2/rgb/psnr"] == 30

    folder = target.artifact_root / view.run_id / "artifacts"
    assert (folder / "evaluations/val_x2/table.csv").read_text() == "image,psnr\n"
    shown = pictures(target, view.run_id)
    assert sorted(shown) == [("val_x2/rgb/flower", 10), ("val_x2/rgb/flower", 20)]
    for path in shown.values():
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("FINISHED", "FINISHED"), ("INTERRUPTED", "KILLED"), ("FAILED", "FAILED")],
)
def test_status(store: tuple[Target, Any], ours: str, theirs: str) -> None:
    target, client = store
    view, _ = view_of(target)
    view.start()
    view.close(ours)
    run = client.get_run(view.run_id)
    assert run.info.status == theirs
    assert run.info.end_time is not None


def test_a_continued_run_gets_no_step_twice_and_keeps_its_params(
    store: tuple[Target, Any], tmp_path: Path
) -> None:
    target, client = store
    first, heard = view_of(target, {"trainer.steps": 20, "seed": 0})
    first.start()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "grid.png")
    for step in (10, 20):  # pictures are drawn while a step is evaluated, its score comes then
        first.image(tmp_path / "grid.png", "flower", step)
        first.metrics(point(step, loss=float(step)))
    first.close("INTERRUPTED")
    assert heard.sent[-1] == {"loss": 20, "image flower": 20}

    sent = {**heard.sent[-1], "image flower": 20}
    again = replace(target, run_id=first.run_id, sent=sent, experiment="another")
    second, heard = view_of(again, {"trainer.steps": 40, "seed": 0, "new.key": 1})
    second.start()
    for step in (10, 20, 30, 40):
        second.metrics(point(step, loss=-1.0))
        second.image(tmp_path / "grid.png", "flower", step)
    second.close("FINISHED")
    assert second.error is None
    assert second.run_id == first.run_id
    run = client.get_run(first.run_id)
    assert heard.announced == [(run.info.experiment_id, first.run_id)]
    assert [(s, v) for s, v, _ in history(client, first.run_id, "loss")] == [
        (10, 10.0), (20, 20.0), (30, -1.0), (40, -1.0),
    ]  # fmt: skip
    assert run.info.status == "FINISHED"
    assert run.data.params == {"trainer.steps": "20", "seed": "0"}
    assert run.data.tags["resumed.trainer.steps"] == "40"
    assert run.data.tags["resumed.new.key"] == "1"
    assert "resumed.seed" not in run.data.tags
    # `pictures` fails where a step was sent twice.
    assert sorted(pictures(target, first.run_id)) == [("flower", step) for step in (10, 20, 30, 40)]


def test_the_score_of_a_step_whose_loss_was_sent_is_not_lost(store: tuple[Target, Any]) -> None:
    """Killed while it evaluated step 20: the loss of that step went out, its score did not yet."""
    target, client = store
    first, heard = view_of(target)
    first.start()
    first.metrics(point(20, loss=0.5))
    first.close("FAILED")
    second, _ = view_of(replace(target, run_id=first.run_id, sent=heard.sent[-1]))
    second.start()
    second.metrics(point(20, loss=0.5))
    second.metrics(point(20, psnr=31.0))
    second.close("FINISHED")
    assert [(s, v) for s, v, _ in history(client, first.run_id, "loss")] == [(20, 0.5)]
    assert [(s, v) for s, v, _ in history(client, first.run_id, "psnr")] == [(20, 31.0)]


def test_a_continued_run_is_running_until_it_ends(store: tuple[Target, Any]) -> None:
    target, client = store
    first, _ = view_of(target)
    first.start()
    first.close("FAILED")
    second, heard = view_of(replace(target, run_id=first.run_id))
    second.start()
    deadline = time.monotonic() + 20
    while not heard.announced and time.monotonic() < deadline:
        time.sleep(0.02)
    assert client.get_run(first.run_id).info.status == "RUNNING"
    second.close("FINISHED")
    assert client.get_run(first.run_id).info.status == "FINISHED"


def test_limits_of_mlflow(store: tuple[Target, Any]) -> None:
    """6,000 characters a param, 100 params and 1,000 metrics a request."""
    target, client = store
    params: dict[str, Any] = {f"group.key_{number}": number for number in range(249)}
    params["long"] = "x" * 5999 + "yz"
    view, heard = view_of(target, params)
    for step in range(150):
        view.metrics(point(step, **{f"m{k}": step * 10.0 + k for k in range(8)}))
    view.start()
    view.close("FINISHED")
    assert view.error is None
    run = client.get_run(view.run_id)
    assert len(run.data.params) == 250
    assert run.data.params["group.key_248"] == "248"
    assert run.data.params["long"] == "x" * 5999 + "y"
    for key in (0, 7):
        assert [(s, v) for s, v, _ in history(client, view.run_id, f"m{key}")] == [
            (step, step * 10.0 + key) for step in range(150)
        ]
    assert set(heard.sent[-1].values()) == {149}


def test_no_request_is_over_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow would cut or refuse what is: 6,000 characters, 100 params, 1,000 metrics."""
    client = Client()
    params = {f"k{number}": "x" * 7000 for number in range(250)}
    view, _ = broken_view(monkeypatch, client, params)
    for step in range(301):
        view.metrics(point(step, **{f"m{k}": 1.0 for k in range(8)}))
    view.start()
    view.close("FINISHED")
    sent = [p for batch in client.batches for p in batch.get("params", [])]
    assert [p.key for p in sent] == list(params)
    assert {len(p.value) for p in sent} == {6000}
    assert max(len(batch.get("params", [])) for batch in client.batches) == 100
    metrics = [len(batch["metrics"]) for batch in client.batches if "metrics" in batch]
    assert sum(metrics) == 301 * 8
    assert max(metrics) == 1000


def test_numbers_that_are_none_are_kept_as_such(store: tuple[Target, Any]) -> None:
    target, client = store
    view, _ = view_of(target)
    view.start()
    view.metrics(point(1, psnr=float("inf"), loss=float("nan")))
    view.close("FINISHED")
    assert view.error is None
    data = client.get_run(view.run_id).data.metrics
    assert np.isnan(data["loss"])
    assert data["psnr"] > 1e308  # MLflow's infinity


def test_experiments_are_made_once_with_artifacts_beside_the_runs(
    store: tuple[Target, Any], tmp_path: Path
) -> None:
    target, client = store
    other = replace(target, experiment="made once", artifact_root=tmp_path / "mine")
    first = experiment_id(client, other)
    assert experiment_id(client, other) == first
    assert client.get_experiment(first).artifact_location == (tmp_path / "mine").as_uri()
    _, run_id = create_run(client, other)
    assert client.get_run(run_id).info.artifact_uri.startswith((tmp_path / "mine").as_uri())


def test_an_experiment_that_another_process_just_made_is_used(store: tuple[Target, Any]) -> None:
    target, client = store
    other = replace(target, experiment="a race")

    class Late:
        """Sees no experiment at its first look."""

        looks = 0

        def get_experiment_by_name(self, name: str) -> Any:
            self.looks += 1
            return None if self.looks == 1 else client.get_experiment_by_name(name)

        create_experiment = client.create_experiment

    made = experiment_id(client, other)
    assert experiment_id(Late(), other) == made


# A store that does not work.


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_dead_server_costs_no_training_time_and_raises_nothing(tmp_path: Path) -> None:
    target = Target(
        uri=f"http://127.0.0.1:{closed_port()}", experiment="e", artifact_root=tmp_path,
        run_name="r", timeout_seconds=1,
    )  # fmt: skip
    view, heard = view_of(target, {"a": 1})
    view.start()
    start = time.perf_counter()
    for step in range(5):
        view.metrics(point(step, loss=1.0))
    view.tags({"a": "b"})
    view.image(tmp_path / "none.png", "key", 5)
    view.artifact(tmp_path / "none.csv")
    assert time.perf_counter() - start < 0.5
    view.close("FINISHED")
    assert time.perf_counter() - start < 30
    assert not view.is_alive()
    assert view.error is not None
    assert "\n" not in view.error
    assert len(view.error) <= 300
    assert view.unsent == 8  # five points, tags, an image, an artifact
    assert heard.announced == heard.sent == []
    assert view.run_id is None


def test_a_server_is_asked_few_times_and_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own defaults stall for minutes on a server that does not answer."""
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    target = Target(
        uri="http://127.0.0.1:9", experiment="e", artifact_root=Path("a"), run_name="r",
        timeout_seconds=7,
    )  # fmt: skip
    quiet_client(target)
    from mlflow import environment_variables as known

    assert known.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == 7
    assert known.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() <= 3
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


class Client:
    """A client whose `broken` method fails from its `after`th call on."""

    def __init__(self, broken: str = "", after: int = 0) -> None:
        self.broken, self.left = broken, after
        self.calls: list[str] = []
        self.batches: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if name == self.broken:
                if self.left == 0:
                    raise ConnectionError("the wire was cut\nsecond line")
                self.left -= 1
            self.calls.append(name)
            self.batches += [named] if name == "log_batch" else []
            found = type("Found", (), {})()
            found.info = type("Info", (), {"run_id": "run", "experiment_id": "1"})()
            found.experiment_id = "1"
            return found

        return call


def broken_view(
    monkeypatch: pytest.MonkeyPatch, client: Client, params: dict[str, Any] | None = None
) -> tuple[MlflowView, Heard]:
    monkeypatch.setattr(mlflow_view, "quiet_client", lambda target: client)
    target = Target(
        uri="http://x", experiment="e", artifact_root=Path("a"), run_name="r", timeout_seconds=1
    )
    return view_of(target, params)


def test_a_store_that_breaks_later_keeps_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_view, "_BATCH_SECONDS", 0.01)
    client = Client("log_batch", after=1)
    view, heard = broken_view(monkeypatch, client)
    view.start()
    view.metrics(point(10, loss=1.0))
    deadline = time.monotonic() + 10
    while not heard.sent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert heard.sent == [{"loss": 10}]
    view.metrics(point(20, loss=1.0))
    while view.error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    view.metrics(point(30, loss=1.0))
    view.tags({"a": "b"})
    view.close("FINISHED")
    assert heard.sent == [{"loss": 10}]
    assert view.error == "the wire was cut"
    assert view.unsent == 3
    assert client.calls[-1] == "set_terminated"  # tried all the same: RUNNING would be false


@pytest.mark.parametrize("method", ["create_run", "set_terminated", "log_artifact", "set_tag"])
def test_nothing_that_breaks_reaches_the_caller(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    view, _ = broken_view(monkeypatch, Client(method))
    view.start()
    view.metrics(point(10, loss=1.0))
    view.artifact(Path("missing.csv"))
    view.tags({"a": "b"})
    view.close("FAILED")
    assert view.error == "the wire was cut"
    assert raised == []
    # `create_run`: all three; the end of the run itself is no item.
    assert view.unsent == {"create_run": 3, "log_artifact": 2, "set_tag": 1}.get(method, 0)


def test_items_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    view, _ = broken_view(monkeypatch, client)
    view.metrics(point(1, loss=1.0))
    view.metrics(point(2, loss=1.0))
    view.tags({"a": "b"})
    view.metrics(point(3, loss=1.0))
    view.artifact(Path("x.csv"))
    view.start()
    view.close("FINISHED")
    assert client.calls[-5:] == [
        "log_batch", "set_tag", "log_batch", "log_artifact", "set_terminated",
    ]  # fmt: skip


def test_closing_a_view_that_never_started_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    view, _ = broken_view(monkeypatch, Client())
    view.metrics(point(1, loss=1.0))
    assert view.busy
    view.close("FAILED")
    assert view.error is None


def test_a_database_that_is_none_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    target = Target(
        uri=f"sqlite:///{tmp_path}/mlflow.db", experiment="e", artifact_root=tmp_path,
        run_name="r", timeout_seconds=1,
    )  # fmt: skip
    view, _ = view_of(target)
    view.start()
    view.metrics(point(1, loss=1.0))
    view.close("FINISHED")
    assert view.error is not None
    assert view.unsent == 1


# Making the store.


def test_the_store_is_whole_and_nothing_else_is_left(store: tuple[Target, Any]) -> None:
    path = Path(store[0].uri.removeprefix("sqlite:///"))
    assert not list(path.parent.glob(".mlflow-*"))
    with sqlite3.connect(path) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        tables = {row[0] for row in database.execute("select name from sqlite_master")}
    database.close()
    assert {"experiments", "runs", "metrics", "params"} <= tables


RACE = """
import sys
from pathlib import Path
from srexp.tracking.mlflow_view import Target, create_run, quiet_client
folder = Path(sys.argv[1])
target = Target(uri=f"sqlite:///{folder}/mlflow.db", experiment="race",
                artifact_root=folder / "a", run_name=sys.argv[2], timeout_seconds=5)
import mlflow
(folder / f"ready-{sys.argv[2]}").touch()
while len(list(folder.glob("ready-*"))) < 2:
    pass
print(create_run(quiet_client(target), target)[1])
"""


@pytest.mark.slow
def test_two_processes_may_make_the_same_new_store(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(Path(srexp.__file__).parents[1]), "HOME": str(tmp_path)}
    racing = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), name],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for name in ("first", "second")
    ]  # fmt: skip
    ids = []
    for process in racing:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-2000:]
        ids.append(out.split()[-1])
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        rows = dict(database.execute("select run_uuid, name from runs"))
        named = database.execute("select count(*) from experiments where name='race'").fetchone()
    database.close()
    assert rows == dict(zip(ids, ("first", "second"), strict=True))
    assert named == (1,)
    assert not list(tmp_path.glob(".mlflow-*"))
