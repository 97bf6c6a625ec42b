"""Sweeps as they are typed: again, after a kill, side by side, with jobs that fail."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from tests_forked import Process, ready

from srexp.config.compose import compose
from srexp.launching.launch import _checked, _Plan
from srexp.training import checkpoint

QUICK = ("model.depth=2", "model.filters=4", "trainer.steps=20", "trainer.eval_every=10")
QUICK += ("trainer.batch_size=2", "trainer.hr_patch_size=24", "trainer.sample_grids=0")


def sweep_folder(folder: Path) -> Path:
    (only,) = (folder / "outputs" / "sweeps").iterdir()
    return only


def jobs(folder: Path) -> list[dict[str, Any]]:
    return json.loads((sweep_folder(folder) / "sweep.json").read_text())["jobs"]


def infos(folder: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in folder.glob("outputs/*/run.json")]
    return {info["id"]: info for info in found}


def start(folder: Path, *arguments: str) -> Process:
    return ready().start(folder, "train", *arguments)


def wait_for_steps(folder: Path, runs: int) -> None:
    """Until so many runs have a checkpoint."""
    deadline = time.monotonic() + 180
    while len({p.parent for p in folder.glob("outputs/*/checkpoints/step-*.npz")}) < runs:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def weights(folder: Path, run: str) -> dict[str, bytes]:
    path = checkpoint.newest(folder / "outputs" / run / "checkpoints")[0]
    return {name: array.tobytes() for name, array in checkpoint.load(path)[0].items()}


def test_a_sweep_and_the_same_typed_again(tmp_path: Path, command: Callable[..., Any]) -> None:
    """Every job once, with a parent in MLflow; again: nothing is trained, all is said."""
    arguments = ("train", "-m", *QUICK, "act=relu,tanh", "seed=0,1", "hydra.launcher.n_jobs=2")
    done = command(tmp_path, *arguments)
    assert done.code == 0, done.stderr
    first = infos(tmp_path)
    assert {info["status"] for info in first.values()} == {"FINISHED"}
    assert {" ".join(info["title"].split()[:2]) for info in first.values()} == {
        f"act={act} seed={seed}" for act in ("relu", "tanh") for seed in (0, 1)
    }
    rows = jobs(tmp_path)
    assert [row["choices"] for row in rows] == [
        {"act": act, "seed": str(seed)} for act in ("relu", "tanh") for seed in (0, 1)
    ]
    for row in rows:
        info = first[row["run"]]
        assert row["gain"] == info["gains"]["photos_x2/rgb"] == info["result"]["gain"]
        assert info["sweep"] == sweep_folder(tmp_path).name
        assert (row["state"], row["note"]) == ("finished", "new")

    folder = sweep_folder(tmp_path)
    with (folder / "jobs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    assert (folder / "summary.png").read_bytes().startswith(b"\x89PNG")
    best = max(("relu", "tanh"), key=lambda act: sum(r["gain"] for r in rows if act in r["name"]))
    composed = compose("train", ["experiment=best"], config_dir=str(folder / "conf"))
    assert composed["act"]["name"] == best
    assert composed["model"]["filters"] == 4

    again = command(tmp_path, *arguments)
    assert again.code == 0, again.stderr
    assert infos(tmp_path) == first, "a finished run was touched"
    for number in (1, 2, 3, 4):
        (line,) = re.findall(rf"^job {number} .*$", again.stdout, re.MULTILINE)
        assert "was finished already" in line
    assert {row["note"] for row in jobs(tmp_path)} == {"was finished already"}

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    shown = client.search_runs([client.get_experiment_by_name("srexp").experiment_id])
    (parent,) = [run for run in shown if "srexp.sweep" in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert parent.data.params == {"act": "relu, tanh", "seed": "0, 1"}
    assert "| act |" in parent.data.tags["mlflow.note.content"]
    assert parent.data.metrics["best_gain"] == pytest.approx(
        max(sum(r["gain"] for r in rows[i : i + 2]) / 2 for i in (0, 2))
    )
    names = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert names == {
        "sweep.json", "jobs.csv", "best.yaml", "summary.png", "summary.tex", "report.html",
    }  # fmt: skip
    children = [run for run in shown if run is not parent]
    assert {run.data.tags["srexp.run"] for run in children} == set(first)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


LONG = ("-m", *QUICK, "trainer.steps=300", "trainer.eval_every=50", "seed=0,1,2", "tracking=none")


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any]) -> Path:
    """The folder of a sweep of three jobs to which nothing happened."""
    folder = tmp_path_factory.mktemp("straight")
    assert command(folder, "train", *LONG).code == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_sweep_that_was_cut_off_goes_on(
    tmp_path: Path, command: Callable[..., Any], straight: Path, number: signal.Signals
) -> None:
    """What was finished is not trained again; what ran goes on bit for bit; the rest is new."""
    cut = tmp_path / "cut"
    process = start(cut, *LONG)
    wait_for_steps(cut, 2)  # the second job runs
    process.signal(number)
    code = process.wait()
    deadline = time.monotonic() + 30
    while number == signal.SIGKILL and _running(cut) and time.monotonic() < deadline:
        time.sleep(0.1)  # the job notices that its launcher is gone, and saves
    if number != signal.SIGKILL:
        assert code == 128 + number
        assert "type the same again" in process.stderr
        assert [row["state"] for row in jobs(cut)] == ["finished", "stopped", "not started"]
    before = infos(cut)
    assert sorted(info["status"] for info in before.values()) == ["FINISHED", "INTERRUPTED"]

    again = command(cut, "train", *LONG)
    assert again.code == 0, again.stderr
    notes = [row["note"] for row in jobs(cut)]
    assert notes[0] == "was finished already"
    assert re.fullmatch(r"resumed at step \d+", notes[1])
    assert notes[2] == "new"
    assert set(before) < set(infos(cut))
    for ours, theirs in zip(jobs(cut), jobs(straight), strict=True):
        assert ours["gain"] == theirs["gain"]
        assert weights(cut, ours["run"]) == weights(straight, theirs["run"])


def _running(folder: Path) -> bool:
    return any(info["status"] == "RUNNING" for info in infos(folder).values())


@pytest.mark.slow
def test_two_sweeps_in_one_folder_share_the_work(tmp_path: Path) -> None:
    arguments = ("-m", *QUICK, "trainer.steps=100", "seed=0,1,2,3")
    both = [start(tmp_path, *arguments) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0], [process.stderr for process in both]
    runs = infos(tmp_path)
    assert len(runs) == 4, "a job was trained twice"
    assert {info["status"] for info in runs.values()} == {"FINISHED"}
    told = "".join(process.stdout for process in both)
    assert told.count(": new, ") == 4
    rows = jobs(tmp_path)  # as the one that ended last knows them
    assert {row["run"] for row in rows} == set(runs)
    assert {row["state"] for row in rows} == {"finished"}
    assert all(row["gain"] == runs[row["run"]]["result"]["gain"] for row in rows)


@pytest.mark.slow
def test_a_job_that_dies_fails_alone(tmp_path: Path, command: Callable[..., Any]) -> None:
    arguments = ("-m", *QUICK, "trainer.steps=2000", "trainer.eval_every=50", "seed=0,1")
    process = start(tmp_path, *arguments)
    wait_for_steps(tmp_path, 1)
    (info,) = infos(tmp_path).values()
    os.kill(info["pid"], signal.SIGKILL)
    assert process.wait() == 1
    assert "killed by SIGKILL" in process.stdout
    assert "1 of 2 jobs failed" in process.stderr
    assert [row["state"] for row in jobs(tmp_path)] == ["failed", "finished"]
    killed = infos(tmp_path)[info["id"]]
    assert killed["status"] == "KILLED"
    assert killed["mlflow"]["complete"]

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    assert client.get_run(killed["mlflow"]["run_id"]).info.status == "KILLED"


@pytest.mark.slow
@pytest.mark.parametrize("on_error", ["continue", "stop"])
def test_a_job_that_fails(tmp_path: Path, command: Callable[..., Any], on_error: str) -> None:
    """It diverges: said when it happens, and at the end, with exit code 1."""
    done = command(
        tmp_path, "train", "-m", *QUICK, "optimizer=sgd", "optimizer.learning_rate=1000,0.001",
        "model.depth=3", "model.filters=8", "optimizer.clip_norm=null",
        "tracking=none", f"hydra.launcher.on_error={on_error}",
    )  # fmt: skip
    assert done.code == 1
    assert re.search(r"^srexp: job 1 \(learning_rate=1000\) failed: ", done.stdout, re.MULTILINE)
    second = "finished" if on_error == "continue" else "not started"
    assert [row["state"] for row in jobs(tmp_path)] == ["failed", second]
    assert "1 of 2 jobs failed" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["trainer.hr_patch_size=48,49"], "does not divide"),
        (["act=tanh,[relu,prelu]"], "act=[relu,prelu]: takes one option, as in act=relu; one run"),
        (["seed=0,1", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0"),
        (["seed=0,1", "hydra.launcher.on_error=ignore"], "on_error=ignore"),
        (["seed=0,1", "data=folder", "data.train_dir=nowhere"], "nowhere"),
        (["seed=0,1", "init_from=nobody"], "nobody"),
    ],
)
def test_bad_input_starts_nothing(
    tmp_path: Path, command: Callable[..., Any], given: list[str], said: str
) -> None:
    done = command(tmp_path, "train", "-m", *given)
    assert done.code == 2
    (line,) = done.stderr.strip().splitlines()
    assert said in line
    assert not (tmp_path / "outputs").exists()


@pytest.mark.slow
def test_a_search_stops_what_is_hopeless_and_goes_on_when_typed_again(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    """A learning rate of 0.3 destroys the network; Optuna's median pruner must see it."""
    arguments = ("train", "-m", "hydra/sweeper=srexp_optuna", *QUICK, "trainer.steps=100")
    arguments += ("optimizer.learning_rate=0.3,0.001", "seed=range(0,4)", "model.depth=3")
    arguments += ("hydra.sweeper.sampler=random", "hydra.sweeper.n_startup_trials=4")
    first = command(tmp_path, *arguments, "hydra.sweeper.n_trials=5")
    assert first.code == 0, first.stderr
    assert len(infos(tmp_path)) <= 5
    done = command(tmp_path, *arguments, "hydra.sweeper.n_trials=9")
    assert done.code == 0, done.stderr

    study = json.loads((sweep_folder(tmp_path) / "search.json").read_text())
    rows = jobs(tmp_path)
    assert len(rows) == study["finished"] + study["pruned"] == 9
    assert study["pruned"] == sum(row["state"] == "pruned" for row in rows) >= 1
    hopeless = [row for row in rows if row["state"] == "pruned"]
    assert {row["choices"]["optimizer.learning_rate"] for row in hopeless} == {"0.3"}
    for row in rows:
        info = infos(tmp_path)[row["run"]]
        if row["state"] == "pruned":
            assert info["status"] == "PRUNED"
            assert info["progress"]["step"] < 100
        else:
            assert info["status"] == "FINISHED"
    shares = study["importances"]
    assert shares["optimizer.learning_rate"] > shares["seed"]
    assert study["best"]["params"]["optimizer.learning_rate"] == "0.001"


@pytest.mark.slow
def test_a_run_that_was_trained_on_is_no_longer_that_job(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    """Twice the steps are another result: the sweep trains its own 20 steps."""
    assert command(tmp_path, "train", *QUICK).code == 0
    assert command(tmp_path, "train", "resume=latest", "trainer.steps=40").code == 0
    (longer,) = infos(tmp_path)
    done = command(tmp_path, "train", "-m", *QUICK, "seed=0")
    assert done.code == 0, done.stderr
    (row,) = jobs(tmp_path)
    assert (row["state"], row["note"]) == ("finished", "new")
    assert row["run"] != longer
    assert {run: info["progress"]["step"] for run, info in infos(tmp_path).items()} == {
        longer: 40,
        row["run"]: 20,
    }


@pytest.mark.slow
def test_what_its_time_ended_goes_on_once_there_is_no_limit(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    arguments = ("train", "-m", *QUICK, "trainer.steps=200", "seed=0")
    for note in ("new", "was finished already"):
        done = command(tmp_path, *arguments, "trainer.max_minutes=0.0001")
        assert done.code == 0, done.stderr
        ((run, info),) = infos(tmp_path).items()
        assert (info["status"], info["ended"]) == ("FINISHED", "max_minutes")
        assert 0 < info["progress"]["step"] < 200
        assert note in done.stdout
    done = command(tmp_path, *arguments)
    assert done.code == 0, done.stderr
    assert list(infos(tmp_path)) == [run]
    assert infos(tmp_path)[run]["ended"] == "done"
    assert infos(tmp_path)[run]["progress"]["step"] == 200


def test_what_is_said_of_the_images_of_all_jobs_is_said_once(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), np.uint8)
    for name, picture in zip("ab", levels, strict=True):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    (tmp_path / "c.heic").touch()
    plans = [
        _Plan(number, [f"seed={number}"], OmegaConf.create(), values)
        for number in (1, 2)
        for values in [
            compose("train", ["data=folder", f"data.train_dir={tmp_path}", f"seed={number}"])
        ]
    ]
    experiments, remarks = _checked(plans)
    assert [experiment.seed for experiment in experiments] == [1, 2]
    assert remarks == [f"{tmp_path}: c.heic: kinds that are not read (1 heic)"]


@pytest.mark.slow
def test_a_dry_run_of_a_sweep_is_a_table_and_writes_nothing(
    command: Callable[..., Any], tmp_path: Path
) -> None:
    arguments = (*QUICK[1:], "tracking=none", "trainer.dry_run=true")
    done = command(tmp_path, "train", "-m", "model.depth=2,4", "act=relu,prelu", *arguments)
    assert done.code == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[:2] for row in cells] == [
        ["1", "depth=2 act=relu"], ["2", "depth=2 act=prelu"],
        ["3", "depth=4 act=relu"], ["4", "depth=4 act=prelu"],
    ]  # fmt: skip
    # 3 to 4 channels and back, between them 4 to 4; kernels of 9; PReLU has 4 slopes a layer.
    assert [int(row[2]) for row in cells] == [223, 227, 519, 531]
    assert all(re.fullmatch(r"~?\d+:\d\d", row[5]) for row in cells)
    assert "4 runs, about" in done.stdout and "one after the other" in done.stdout


@pytest.mark.slow
def test_a_sweep_has_the_jobs_that_are_asked_now(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    """Its preset was edited: what it had before is ranked no more, and is its job no more."""
    preset = tmp_path / "conf" / "sweep" / "mine.yaml"
    preset.parent.mkdir(parents=True)

    def sweep(depths: str) -> Path:
        preset.write_text(
            "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
            f"      model.depth: {depths}\ntrainer:\n  steps: 6\n"
        )
        given = [o for o in QUICK if not o.startswith(("model.depth", "trainer.steps"))]
        done = command(tmp_path, "train", "--config-dir", "conf", "sweep=mine", *given)
        assert done.code == 0, done.stderr
        return sweep_folder(tmp_path)

    sweep("2,3,4")
    before = infos(tmp_path)
    folder = sweep("4,5")
    rows = jobs(tmp_path)
    assert [(row["choices"], row["note"]) for row in rows] == [
        ({"model.depth": "4"}, "was finished already"), ({"model.depth": "5"}, "new"),
    ]  # fmt: skip
    assert set(before) < set(infos(tmp_path)), "the runs stay"
    with (folder / "jobs.csv").open() as file:
        assert [row["model.depth"] for row in csv.DictReader(file)] == ["4", "5"]
    best = max(rows, key=lambda row: row["gain"])["choices"]["model.depth"]
    composed = compose("train", ["experiment=best"], config_dir=str(folder / "conf"))
    assert (composed["model"]["depth"], composed["trainer"]["steps"]) == (int(best), 6)
    assert "2 combinations" in (folder / "conf" / "experiment" / "best.yaml").read_text()
    page = (folder / "report.html").read_text()
    assert "depth=5" in page and "depth=3" not in page

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    shown = client.search_runs([client.get_experiment_by_name("srexp").experiment_id])
    (parent,) = [run for run in shown if "srexp.sweep" in run.data.tags]
    assert parent.data.params == {"model.depth": "4, 5"}
    below = {
        run.data.tags["srexp.run"]
        for run in shown
        if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id
    }
    assert below == {row["run"] for row in rows}


@pytest.mark.slow
def test_two_limits_of_time_are_two_results(tmp_path: Path, command: Callable[..., Any]) -> None:
    arguments = ("train", "-m", *QUICK, "trainer.steps=200", "tracking=none")
    arguments += ("trainer.max_minutes=0.0001,0.0002,null",)
    for note in ("new", "was finished already"):
        done = command(tmp_path, *arguments)
        assert done.code == 0, done.stderr
        rows = jobs(tmp_path)
        assert [row["note"] for row in rows] == [note] * 3
        assert len({row["run"] for row in rows}) == len(infos(tmp_path)) == 3
        ends = [infos(tmp_path)[row["run"]]["ended"] for row in rows]
        assert ends == ["max_minutes", "max_minutes", "done"]


@pytest.mark.slow
def test_two_jobs_that_are_the_same_training(tmp_path: Path, command: Callable[..., Any]) -> None:
    done = command(
        tmp_path, "train", "-m", *QUICK, "optimizer.clip_norm=1,1.0", "tracking=none"
    )  # fmt: skip
    assert done.code == 0, done.stderr
    one, other = jobs(tmp_path)
    assert one["run"] == other["run"] and other["note"] == "as job 1"
