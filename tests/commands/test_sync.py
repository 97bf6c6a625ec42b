"""`srexp sync`: what a server missed is sent later, once."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests_mlflow import Server, artifacts, fill, free_port, history, is_there_once, make_run

from srexp.commands.sync import main
from srexp.sweeps.results import JobResult, to_json
from srexp.tracking import sweep_view
from srexp.tracking.mlflow_store import Store, quiet_client
from srexp.tracking.record import RunFolder, write_json
from srexp.tracking.remedy import remedy

Command = Callable[..., Any]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Store:
    return Store(server.uri, "sync", str(tmp_path / "unused"), 2)


@pytest.fixture
def store(migrated: Path, tmp_path: Path) -> Store:
    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    return Store(f"sqlite:///{tmp_path}/mlflow.db", "sync", str(tmp_path / "artifacts"), 5)


@pytest.fixture
def sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """The command in this process: starting another takes seconds."""

    def call(*arguments: str) -> Finished:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("SREXP_OUTPUT_DIR", raising=False)
        monkeypatch.setattr("sys.argv", ["srexp sync", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Finished(shown.out, shown.err, int(ended.value.code or 0))

    return call


@dataclass
class Finished:
    """How it ended."""

    stdout: str
    stderr: str
    code: int


def ended(folder: Path, store: Store | None, status: Any = "FINISHED", **info: Any) -> RunFolder:
    """A run that nobody trains any more, none of it sent."""
    run = make_run(folder / "outputs", store, **info)
    fill(run)
    run.set_status(status, failure="")
    run.release()
    return run


def again(run: RunFolder) -> RunFolder:
    return RunFolder.open(run.folder)


def test_runs_are_sent_once(
    server: Server, remote: Store, tmp_path: Path, command: Command
) -> None:
    remote = replace(remote, timeout_seconds=30)  # the machine may be busy
    first = ended(tmp_path, remote)
    second = ended(tmp_path, remote, "RUNNING")  # killed: its lock is free
    done = command(tmp_path, "sync")
    assert done.code == 0, done.stderr
    assert f"{first.id}: sent 6 numbers, 3 pictures, 4 files, FINISHED" in done.stdout
    assert f"{second.id}: sent 6 numbers, 3 pictures, 4 files, KILLED" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 sent: 12 numbers, 6 pictures, 8 files"
    assert done.stderr == ""
    client = quiet_client(remote)
    for run, status in ((again(first), "FINISHED"), (again(second), "KILLED")):
        is_there_once(client, run)
        assert client.get_run(run.info["mlflow"]["run_id"]).info.status == status
        assert run.info["mlflow"]["complete"]
    server.requests.clear()
    done = command(tmp_path, "sync")
    assert done.code == 0
    assert done.stdout == "2 complete: 0 numbers, 0 pictures, 0 files\n"
    # Nothing but questions.
    assert {method for method, path, _ in server.requests if "search" not in path} == {"GET"}
    done = command(tmp_path, "sync", second.id)
    assert done.stdout.splitlines()[0] == f"{second.id}: MLflow has everything"
    is_there_once(client, again(second))


def test_a_run_that_trains_is_passed_over(store: Store, tmp_path: Path, sync: Command) -> None:
    run = make_run(tmp_path / "outputs", store)  # its lock is held by this process
    done = sync()
    assert done.code == 0
    assert f"{run.id}: passed over (a process trains it now, and sends it itself)" in done.stdout
    assert again(run).info["mlflow"]["run_id"] is None
    assert again(run).info["status"] == "RUNNING"


def test_a_server_that_is_away_is_asked_once_and_costs_exit_code_1(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    away = Store(f"http://127.0.0.1:{free_port()}", "sync", str(tmp_path), 2)
    lost = [ended(tmp_path, away) for _ in range(3)]
    sent = ended(tmp_path, store)
    done = sync()
    assert done.code == 1
    for run in lost:
        assert f"{run.id}: not sent ({away.uri}: " in done.stdout
        assert not again(run).info["mlflow"]["complete"]
    is_there_once(quiet_client(store), again(sent))
    assert "3 not sent, 1 sent: 6 numbers" in done.stdout


def test_a_hanging_server_costs_one_timeout(
    server: Server, remote: Store, tmp_path: Path, sync: Command
) -> None:
    for _ in range(5):
        ended(tmp_path, remote)
    server.fault = lambda method, path: "hang"
    began = time.monotonic()
    assert sync().code == 1
    assert time.monotonic() - began < 2 + 20  # and the start of Python and MLflow
    assert len(server.requests) == 1


def test_what_is_lost_on_the_way_is_sent_again(
    server: Server, remote: Store, tmp_path: Path, sync: Command
) -> None:
    run = ended(tmp_path, remote)
    lost = iter(["lost"])
    server.fault = lambda method, path: next(lost, None) if path.endswith("runs/create") else None
    assert sync().code == 0
    is_there_once(quiet_client(remote), again(run))
    assert next(lost, None) is None


def test_what_is_refused_is_told(
    server: Server, remote: Store, tmp_path: Path, sync: Command
) -> None:
    run = ended(tmp_path, remote)
    server.fault = lambda method, path: "413" if path.endswith("model.keras") else None
    done = sync()
    assert done.code == 1
    assert "3 files, but MLflow refused 413" in done.stdout
    assert again(run).info["mlflow"]["complete"]


def test_a_store_that_was_removed_gets_everything_again(
    store: Store, tmp_path: Path, command: Command
) -> None:
    run = ended(tmp_path, store)
    assert command(tmp_path, "sync").code == 0
    (tmp_path / "mlflow.db").unlink()
    shutil.rmtree(tmp_path / "artifacts")
    done = command(tmp_path, "sync")
    assert done.code == 0
    assert f"{run.id}: sent 6 numbers, 3 pictures, 4 files, FINISHED" in done.stdout
    is_there_once(quiet_client(store), again(run))


def test_what_was_deleted_in_mlflow_comes_back_only_by_name(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    run = ended(tmp_path, store)
    sync()
    quiet_client(store).delete_run(again(run).info["mlflow"]["run_id"])
    done = sync()
    assert done.code == 0
    assert "passed over (deleted in MLflow; name it to show it again)" in done.stdout
    assert sync("latest").code == 0
    is_there_once(quiet_client(store), again(run))


def test_a_run_without_mlflow_is_shown_where_uri_says(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    run = ended(tmp_path, None, title="depth=3")
    other = ended(tmp_path, Store(f"http://127.0.0.1:{free_port()}", "before", "x", 2))
    done = sync(run.id)
    assert done.code == 0
    assert "passed over (trained without MLflow; --uri says where to show it)" in done.stdout
    done = sync("--uri", store.uri)
    assert done.code == 0, done.stdout
    client = quiet_client(store)
    for each in (run, other):
        is_there_once(client, again(each))
    found = client.get_run(again(run).info["mlflow"]["run_id"])
    assert found.info.run_name == "depth=3"
    tags = found.data.tags
    assert tags["srexp.run"] == run.id
    assert tags["srexp.folder"] == str(run.folder)
    assert (tags["srexp.scale"], tags["srexp.protocols"]) == ("2", "rgb")
    assert (tags["srexp.config_digest"], tags["srexp.images_digest"]) == ("0123", "4567")
    assert client.get_experiment(found.info.experiment_id).name == "srexp"
    assert found.info.artifact_uri.startswith((tmp_path / "outputs" / "mlartifacts").as_uri())
    # From now on it belongs there.
    assert sync().stdout == "2 complete: 0 numbers, 0 pictures, 0 files\n"


def test_a_damaged_run_does_not_keep_the_others(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    broken, sound = ended(tmp_path, store), ended(tmp_path, store)
    (broken.folder / "config.json").write_text("{")
    done = sync()
    assert done.code == 1
    assert f"{broken.id}: not sent (" in done.stdout
    is_there_once(quiet_client(store), again(sound))


def test_a_store_whose_folder_is_gone_is_not_made_again(tmp_path: Path, sync: Command) -> None:
    """The output folder was moved to another machine, say."""
    ended(tmp_path, Store(f"sqlite:///{tmp_path}/gone/mlflow.db", "e", str(tmp_path), 2))
    done = sync()
    assert done.code == 1
    assert f"there is no folder {tmp_path}/gone" in done.stdout
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "run nothing: there are no runs in "),
        (["--output-dir", "nowhere"], "--output-dir nowhere: no such folder"),
        (["--uri", "mlruns"], "--uri mlruns: must be a server (http://HOST:PORT) or a database"),
        (["--uri", "http://a:b@c"], "--uri: holds a password"),
    ],
)
def test_bad_input(tmp_path: Path, sync: Command, arguments: list[str], message: str) -> None:
    (tmp_path / "outputs").mkdir()
    done = sync(*arguments)
    assert done.code == 2
    assert done.stderr.startswith(f"srexp: {message}")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_without_runs_there_is_nothing_to_do(tmp_path: Path, sync: Command) -> None:
    (tmp_path / "outputs").mkdir()
    done = sync()
    assert (done.code, done.stdout) == (0, "no runs: 0 numbers, 0 pictures, 0 files\n")


# Sweeps.


def make_sweep(folder: Path, store: Store | None, runs: list[RunFolder], state: str) -> Path:
    """As `srexp train -m` leaves it where the server was away from the start."""
    sweep = folder / "outputs" / "sweeps" / "2026-01-02_03-04-05_abcdef"
    sweep.mkdir(parents=True)
    jobs = [
        JobResult(
            number, f"depth={depth}", {"model.depth": depth}, [f"model.depth={depth}"], state,
            "new", run.id, 0.5 * number, 30.0, "photos_x2/rgb", 1.0,
        )  # type: ignore[arg-type]
        for number, (depth, run) in enumerate(zip("35", runs, strict=True), 1)
    ]  # fmt: skip
    shown = sweep_view.shown(store) if store else None
    content = {**to_json(jobs), "command": "srexp train -m", "created": 1e9, "updated": 1e9 + 60}
    write_json(sweep / "sweep.json", {**content, "mlflow": shown})
    (sweep / "jobs.csv").write_text("number\n1\n2\n")
    return sweep


@pytest.mark.parametrize(("state", "status"), [("finished", "FINISHED"), ("stopped", "KILLED")])
def test_a_sweeps_run_is_made_and_its_jobs_runs_are_put_below_it(
    store: Store, tmp_path: Path, sync: Command, state: str, status: str
) -> None:
    early = ended(tmp_path, store, sweep="2026-01-02_03-04-05_abcdef")
    assert sync().code == 0  # in MLflow before its sweep is
    late = ended(tmp_path, store, sweep="2026-01-02_03-04-05_abcdef")
    sweep = make_sweep(tmp_path, store, [early, late], state)
    done = sync()
    assert done.code == 0, done.stdout
    assert f"{early.id}: put below its sweep" in done.stdout
    assert f"sweep {sweep.name}: sent" in done.stdout
    shown = json.loads((sweep / "sweep.json").read_text())["mlflow"]
    assert shown["complete"]
    client = quiet_client(store)
    parent = client.get_run(shown["run_id"])
    assert parent.info.status == status
    assert (parent.info.start_time, parent.info.end_time) == (int(1e12), int(1e12) + 60_000)
    assert parent.data.params == {"model.depth": "3, 5"}
    assert artifacts(client, shown["run_id"]) == ["jobs.csv", "sweep.json"]
    assert parent.data.metrics == ({"best_gain": 1.0} if state == "finished" else {})
    assert "depth" in parent.data.tags["mlflow.note.content"]
    for run in (early, late):
        is_there_once(client, again(run))
        tags = client.get_run(again(run).info["mlflow"]["run_id"]).data.tags
        assert tags["mlflow.parentRunId"] == shown["run_id"]
    done = sync()
    assert done.stdout == "3 complete: 0 numbers, 0 pictures, 0 files\n"
    runs = client.search_runs([shown["experiment_id"]])
    assert len(runs) == 3


def test_a_sweep_that_runs_is_passed_over(store: Store, tmp_path: Path, sync: Command) -> None:
    name = "2026-01-02_03-04-05_abcdef"
    running = make_run(tmp_path / "outputs", store, sweep=name)
    sweep = make_sweep(tmp_path, store, [running, ended(tmp_path, store, sweep=name)], "finished")
    done = sync()
    assert done.code == 0
    assert f"sweep {name}: passed over (it runs now, and sends it itself)" in done.stdout
    assert json.loads((sweep / "sweep.json").read_text())["mlflow"]["run_id"] is None


def test_a_sweep_without_mlflow_is_shown_where_uri_says(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    jobs = [ended(tmp_path, None, sweep="2026-01-02_03-04-05_abcdef") for _ in range(2)]
    sweep = make_sweep(tmp_path, None, jobs, "finished")
    assert "without MLflow" in sync().stdout
    assert sync("--uri", store.uri).code == 0
    shown = json.loads((sweep / "sweep.json").read_text())["mlflow"]
    client = quiet_client(store)
    for run in jobs:
        tags = client.get_run(again(run).info["mlflow"]["run_id"]).data.tags
        assert tags["mlflow.parentRunId"] == shown["run_id"]


def test_a_damaged_sweep_is_told(store: Store, tmp_path: Path, sync: Command) -> None:
    sweep = make_sweep(tmp_path, store, [ended(tmp_path, store) for _ in range(2)], "finished")
    (sweep / "sweep.json").write_text("{")
    done = sync()
    assert done.code == 1
    assert f"sweep {sweep.name}: not sent (" in done.stdout


# With a real training.


@pytest.fixture
def away(server: Server) -> Iterator[Server]:
    server.stop()
    yield server
    server.start()


def test_a_training_whose_server_was_away_is_sent_later(
    away: Server, tmp_path: Path, command: Command, tiny: tuple[str, ...]
) -> None:
    done = command(tmp_path, "train", *tiny, f"tracking.uri={away.uri}")
    assert done.code == 0, done.stderr
    assert "did not take everything" in done.stdout
    assert "python -m srexp sync" in done.stdout
    away.start()
    done = command(tmp_path, "sync")
    assert done.code == 0, done.stdout
    run = RunFolder.open(next((tmp_path / "outputs").glob("*/run.json")).parent)
    client = quiet_client(Store(away.uri, "srexp", "x", 5))
    run_id = run.info["mlflow"]["run_id"]
    points: dict[str, list[tuple[int, float]]] = {}
    for point in run.points():
        for key, value in point["metrics"].items():
            points.setdefault(key, []).append((point["step"], value))
    assert points["train/loss"]
    for key, expected in points.items():
        assert history(client, run_id, key) == expected
    found = client.get_run(run_id)
    assert set(found.data.metrics) == set(points)
    assert found.info.status == "FINISHED"
    assert found.info.end_time == int(run.info["updated"] * 1000)
    assert "model.keras" in artifacts(client, run_id)
    assert any("grids" in str(p) for p in run.folder.rglob("*.png"))
    assert [p for p in artifacts(client, run_id) if p.startswith("images/")]


def test_a_finished_training_has_nothing_to_be_sent(
    trained: Any, tmp_path: Path, command: Command
) -> None:
    database = trained.folder / "outputs" / "mlflow.db"

    def count() -> list[Any]:
        with sqlite3.connect(database) as opened:
            found = [
                opened.execute(f"select count(*) from {table}").fetchone()[0]
                for table in ("runs", "metrics", "params", "tags")
            ]
        opened.close()
        return found

    before = count()
    done = command(trained.folder, "sync")
    assert done.code == 0
    assert done.stdout == "1 complete: 0 numbers, 0 pictures, 0 files\n"
    assert count() == before


def test_a_sweep_of_the_first_format_is_passed_over(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    folder = tmp_path / "outputs" / "sweeps" / "2026-11-22_10-00-00_ab12"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text('{"jobs": [["depth=3", "+0.1"]], "mlflow": "0123abcd"}\n')
    assert command(tmp_path, "sync").code == 0


def test_event_files_of_runs_that_were_shown_in_mlflow(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    pytest.importorskip("tensorboard")
    run = ended(tmp_path, store)
    done = sync("--tensorboard")
    assert done.code == 0
    assert done.stdout == f"{run.id}: written to {run.folder}\n"
    assert len(list(run.folder.glob("events.out.tfevents.*"))) == 1
    assert sync("--tensorboard", "--uri", "http://a").code == 2


def test_a_deleted_experiment_and_what_is_said_of_it(
    store: Store, tmp_path: Path, sync: Command
) -> None:
    """What is printed works when it is typed."""
    client = quiet_client(store)
    experiment = client.create_experiment("sync", artifact_location=str(tmp_path / "artifacts"))
    client.delete_experiment(experiment)
    run = ended(tmp_path, store)
    done = sync()
    assert done.code == 1
    assert "not sent" in done.stdout and "the experiment sync is deleted there" in done.stdout
    form = r"to restore it: MLFLOW_TRACKING_URI=(\S+) python -m mlflow (.+); then: (.+); or, "
    said = re.search(form, done.stdout)
    assert said is not None
    assert said[1] == store.uri
    assert said[3].startswith("python -m srexp sync")
    # To another experiment, as it is said, too.
    assert "--experiment NAME" in done.stdout
    assert sync("--experiment", "other").code == 0
    shown = again(run).info["mlflow"]
    assert client.get_experiment(shown["experiment_id"]).name == "other"
    # In a process of its own: MLflow remembers in this one which store it asked last.
    typed = [sys.executable, "-m", "mlflow", *said[2].split()]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": said[1]}
    assert subprocess.run(typed, env=environment, capture_output=True).returncode == 0
    later = ended(tmp_path, store)
    assert sync(*said[3].split()[4:]).code == 0
    is_there_once(client, again(later))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("failed with error code 401 != 200"), "set MLFLOW_TRACKING_USERNAME and"),
        (FileNotFoundError("there is no folder /a"), "srexp sync run --uri 'sqlite:///"),
        (RuntimeError("file is not a database"), "mv /a/b.db /a/b.db.damaged; then: "),
        (
            RuntimeError("Detected out-of-date database schema"),
            "mlflow db upgrade sqlite:////a/b.db",
        ),
        (RuntimeError("database is locked"), "to send them: python -m srexp sync run"),
    ],
)
def test_what_helps(tmp_path: Path, error: Exception, said: str) -> None:
    """No remedy that would fail in the same way."""
    store = Store("sqlite:////a/b.db", "e", "/a", 5)
    found = remedy(error, store, tmp_path / "it's", "run")
    assert said in found
    assert shlex.quote(str(tmp_path / "it's")) in found
