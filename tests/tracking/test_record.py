"""The run folder: made, opened, found, and still readable after a crash."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.tracking import record
from srexp.tracking.record import RunError, RunFolder, find_run, runs

CONFIG = {"model": {"name": "deconv", "depth": 3}, "seed": 0}


def create(folder: Path, name: str = "deconv-x2", **info: Any) -> RunFolder:
    return RunFolder.create(folder, name, CONFIG, "seed: 0\n", **info)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return create(tmp_path / "outputs", title="a title", config_digest="0123abcd")


def test_a_new_run_says_what_it_is(run: RunFolder, tmp_path: Path) -> None:
    again = RunFolder.open(run.folder)
    assert again.info == run.info
    assert again.config == CONFIG
    assert (run.folder / "config.yaml").read_text() == "seed: 0\n"
    assert run.folder.parent == tmp_path / "outputs"
    assert run.id == run.folder.name
    assert "_deconv-x2_" in run.id
    assert again.info["title"] == "a title"
    assert again.info["config_digest"] == "0123abcd"
    assert again.info["status"] == "RUNNING"
    assert again.info["pid"] == os.getpid()
    assert run.checkpoints.is_dir()
    assert not list(run.folder.rglob("*.part"))


def test_runs_of_the_same_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = iter(["aaaa", "aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(record.time, "strftime", lambda form: "2026-01-02_03-04-05")
    monkeypatch.setattr(record.secrets, "token_hex", lambda count: next(tokens))
    first, second = create(tmp_path), create(tmp_path)
    assert first.id == "2026-01-02_03-04-05_deconv-x2_aaaa"
    assert second.id == "2026-01-02_03-04-05_deconv-x2_bbbb"


def test_an_output_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunError, match=f"^paths.output_dir={folder}: cannot be written"):
            create(folder)


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "write_atomically", full)
    with pytest.raises(RunError, match=r"cannot be written \(No space left on device\)"):
        create(tmp_path)


@pytest.mark.parametrize("content", [None, "", "{", "[1, 2"])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match="holds no run"):
        RunFolder.open(tmp_path)


def test_points_come_back_in_order_and_in_full(run: RunFolder) -> None:
    assert list(run.points()) == []
    numbers = {"loss": 0.1 + 0.2, "psnr": float("inf"), "tiny": 5e-324}
    first = run.log(10, numbers)
    second = run.log(20, {"loss": 1e-3})
    assert list(run.points()) == [first, second]
    assert next(run.points())["metrics"] == numbers
    assert first["step"] == 10


@pytest.mark.parametrize("cut", [1, 2, 10, 30])
def test_a_last_line_cut_short_by_a_crash_is_passed_over(run: RunFolder, cut: int) -> None:
    run.log(10, {"loss": 0.5})
    run.log(20, {"loss": 0.25})
    path = run.folder / "metrics.jsonl"
    content = path.read_text()
    path.write_text(content[:-cut])
    # Cut by one, only the end of the line is missing: the point is whole.
    assert [p["step"] for p in run.points()] == ([10, 20] if cut == 1 else [10])
    # What a continuation writes next stands on a line of its own.
    run.forget_after(10)
    run.log(20, {"loss": 0.25})
    assert [(p["step"], p["metrics"]["loss"]) for p in run.points()] == [(10, 0.5), (20, 0.25)]


def test_forgetting_drops_what_will_be_done_again_and_keeps_the_rest(run: RunFolder) -> None:
    kept = [run.log(step, {"loss": step / 7}) for step in (10, 10, 20)]
    for step in (21, 30):
        run.log(step, {"loss": 0.0})
    run.forget_after(20)
    assert list(run.points()) == kept
    run.forget_after(0)
    assert list(run.points()) == []


def test_status_and_updates_reach_the_disk(run: RunFolder) -> None:
    run.update(progress={"step": 5})
    run.set_status("FINISHED", failure="")
    info = RunFolder.open(run.folder).info
    assert info["progress"] == {"step": 5}
    assert info["status"] == "FINISHED"
    assert info["title"] == "a title"


def test_alive_is_running_on_this_machine_in_a_process_that_exists(run: RunFolder) -> None:
    assert run.alive
    changes = ({"status": "FINISHED"}, {"host": "elsewhere"}, {"pid": 2**22 + 1})
    for change in (*changes, {"process_start": "another process has the number now"}):
        before = {key: run.info[key] for key in change}
        run.info.update(change)
        assert not run.alive, change
        run.info.update(before)
    assert run.info["host"] == socket.gethostname()
    del run.info["pid"]
    assert not run.alive


def test_two_threads_may_update_a_run(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The MLflow writer notes what it has sent while training notes its progress."""
    errors: list[BaseException] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(0.001))  # as a disk does

    def update(key: str) -> None:
        try:
            for number in range(60):
                run.update(**{key: number})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=update, args=(key,)) for key in ("progress", "mlflow")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    info = RunFolder.open(run.folder).info
    assert (info["progress"], info["mlflow"]) == (59, 59)


# Finding a run.


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunFolder]:
    """Made in this order; the second is the newest by its own time."""
    made = []
    for number, (name, created) in enumerate(
        (("deconv-x2", 10), ("srcnn-x3", 30), ("srcnn-x2", 20))
    ):
        monkeypatch.setattr(record.time, "strftime", lambda form: "2026-01-02_03-04-05")
        monkeypatch.setattr(record.secrets, "token_hex", lambda count, n=number: f"{n:04x}")
        run = create(tmp_path / "outputs", name)
        run.update(created=created, mlflow={"run_id": f"{'abc'[number]}0ffee{number}" * 4})
        made.append(run)
    return made


def test_runs_come_oldest_first_and_unreadable_ones_are_passed_over(
    three: list[RunFolder], tmp_path: Path
) -> None:
    (tmp_path / "outputs" / "broken").mkdir()
    (tmp_path / "outputs" / "broken" / "run.json").write_text("{")
    (tmp_path / "outputs" / "mlartifacts").mkdir()
    assert [run.id for run in runs(tmp_path / "outputs")] == [three[i].id for i in (0, 2, 1)]
    assert runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (lambda run: str(run.folder), 2),
        (lambda run: run.id, 2),
        (lambda run: run.id[:-6], 0),
        (lambda run: run.info["mlflow"]["run_id"], 1),
        (lambda run: run.info["mlflow"]["run_id"][:2], 1),
        (lambda run: "latest", 1),
    ],
)
def test_a_run_is_found_by_folder_id_mlflow_id_start_or_as_the_latest(
    three: list[RunFolder], tmp_path: Path, wanted: Callable[[RunFolder], str], number: int
) -> None:
    assert find_run(wanted(three[number]), tmp_path / "outputs").id == three[number].id


def test_a_relative_folder_is_found(
    three: list[RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_run(f"outputs/{three[0].id}", Path("elsewhere")).id == three[0].id


def test_a_start_that_several_have_is_refused_and_names_them(
    three: list[RunFolder], tmp_path: Path
) -> None:
    start = "2026-01-02_03-04-05_srcnn"
    with pytest.raises(RunError, match=r"2 runs begin so .*give more of the name") as caught:
        find_run(start, tmp_path / "outputs")
    assert three[1].id in str(caught.value)
    assert three[2].id in str(caught.value)
    assert three[0].id not in str(caught.value)


def test_a_whole_id_wins_over_a_longer_one_that_begins_so(
    three: list[RunFolder], tmp_path: Path
) -> None:
    longer = create(tmp_path / "outputs")
    longer.update(id=f"{three[0].id}-copy")
    assert find_run(three[0].id, tmp_path / "outputs").id == three[0].id


def test_a_typo_is_answered_with_the_nearest_name(three: list[RunFolder], tmp_path: Path) -> None:
    wrong = three[1].id.replace("srcnn", "srccn")
    with pytest.raises(RunError, match=f"no such run in .*; did you mean {three[1].id}?"):
        find_run(wrong, tmp_path / "outputs")


def test_without_any_run_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there are no runs in"):
        find_run("latest", tmp_path / "outputs")


def test_the_last_store_is_remembered_for_this_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert record.last_store() is None
    record.remember_store("sqlite:////a/mlflow.db")
    record.remember_store("http://server:5000")
    assert record.last_store() == "http://server:5000"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    record.remember_store("http://lost")  # only a hint, so nothing is raised
    assert record.last_store() is None


def test_the_environment_names_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy
    import PIL

    monkeypatch.setattr(record.sys, "argv", ["srexp", "train", "seed=3"])
    found = record.environment()
    assert found["packages"]["numpy"] == numpy.__version__
    assert found["packages"]["pillow"] == PIL.__version__
    assert found["command"] == ["srexp", "train", "seed=3"]
    assert json.loads(json.dumps(found)) == found
