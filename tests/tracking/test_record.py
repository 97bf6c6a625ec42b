"""The run folder: made, opened, found, and still readable after a crash."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment

from srexp.files import Lock
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


@pytest.mark.parametrize(
    "line",
    ["1", "[]", "null", '{"step": 3}', '{"metrics": {}}', '{"step": "3", "metrics": {}}',
     '{"step": 3, "metrics": [1]}', '{"step": 3, "metrics": {"loss": null}}'],
)  # fmt: skip
def test_what_is_no_point_is_passed_over(run: RunFolder, line: str) -> None:
    run.log(10, {"loss": 0.5})
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(f"{line}\n")
    run.log(20, {"loss": float("nan")})
    assert [point["step"] for point in run.points()] == [10, 20]
    run.forget_after(10)
    assert [point["step"] for point in run.points()] == [10]


def test_points_come_back_in_order_and_in_full(run: RunFolder) -> None:
    assert list(run.points()) == []
    numbers = {"loss": 0.1 + 0.2, "psnr": float("inf"), "tiny": 5e-324}
    before = time.time()
    run.log(10, numbers)
    run.log(20, {"loss": 1e-3})
    first, second = run.points()
    assert (first["step"], first["metrics"]) == (10, numbers)
    assert (second["step"], second["metrics"]) == (20, {"loss": 1e-3})
    assert before <= first["time"] <= second["time"] <= time.time()
    run.release()
    run.log(30, {"loss": 1e-4})  # a note after the end opens the file anew
    assert [point["step"] for point in run.points()] == [10, 20, 30]


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
    for step in (10, 10, 20, 21, 30):
        run.log(step, {"loss": step / 7})
    run.log(20, {"best/psnr": 30.0}, final=True)  # of the end, which comes once more
    before = list(run.points())
    run.forget_after(20)
    assert list(run.points()) == before[:3]
    run.log(40, {"loss": 0.0})
    assert [point["step"] for point in run.points()] == [10, 10, 20, 40]
    run.forget_after(0)
    assert list(run.points()) == []


def test_status_and_updates_reach_the_disk(run: RunFolder) -> None:
    run.update(progress={"step": 5})
    run.set_status("FINISHED", failure="")
    info = RunFolder.open(run.folder).info
    assert info["progress"] == {"step": 5}
    assert info["status"] == "FINISHED"
    assert info["title"] == "a title"


# Alive and killed.

HOLDER = """
import sys, time
from pathlib import Path
from srexp.tracking.record import RunFolder
run = RunFolder.create(Path(sys.argv[1]), "held", {"seed": 0}, "seed: 0")
run.log(10, {"loss": 0.5})
print(run.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A run of another process, and that process."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "outputs")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=command_environment(tmp_path)
    ) as process:
        assert process.stdout is not None
        yield Path(process.stdout.readline().strip()), process
        process.kill()


def test_a_run_is_alive_while_its_process_is(held: tuple[Path, subprocess.Popen[str]]) -> None:
    folder, process = held
    run = RunFolder.open(folder)
    assert run.alive
    assert run.claim() is False
    run.settle()
    assert run.info["status"] == "RUNNING"
    seen = (folder / "metrics.jsonl").stat().st_mtime
    process.kill()
    process.wait()
    assert not run.alive
    (found,) = runs(folder.parent)
    assert found.info["status"] == "KILLED"
    assert found.info["updated"] == seen  # the last sign of life
    assert RunFolder.open(folder).info["status"] == "KILLED"


def test_a_dead_processs_run_can_be_claimed_and_is_killed_then(
    held: tuple[Path, subprocess.Popen[str]],
) -> None:
    folder, process = held
    run = RunFolder.open(folder)
    process.kill()
    process.wait()
    assert run.claim()
    assert run.alive
    assert RunFolder.open(folder).info["status"] == "KILLED"
    other = RunFolder.open(folder)
    assert not other.claim()
    run.release()
    assert other.claim()


def test_a_claim_reads_again_what_the_run_says(run: RunFolder) -> None:
    other = RunFolder.open(run.folder)
    run.set_status("FINISHED", gains={"a": 1.0})
    run.release()
    assert other.claim()
    assert other.info["status"] == "FINISHED"
    assert other.info["gains"] == {"a": 1.0}


def test_somebody_elses_run_is_told_killed_without_writing(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.release()

    def forbidden(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(record, "write_atomically", forbidden)
    other = RunFolder.open(run.folder)
    other.settle()
    assert other.info["status"] == "KILLED"
    assert RunFolder.open(run.folder).info["status"] == "RUNNING"


def test_a_lock_is_one_processes_at_a_time(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert not first.held
    assert first.acquire()
    assert first.held
    assert second.held
    assert not second.acquire()
    assert not first.acquire()  # not even twice by its holder
    first.release()
    assert not second.held
    with second:
        assert not first.acquire()
    assert first.acquire()


def test_a_lock_waits_if_told_to(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.acquire()
    threading.Timer(0.3, first.release).start()
    began = time.monotonic()
    assert second.acquire(wait=True)
    assert 0.2 < time.monotonic() - began < 5


def test_looking_whether_a_lock_is_held_hinders_nobody(tmp_path: Path) -> None:
    """`alive` takes the lock for a moment; a training that begins then must not fail."""
    stop = threading.Event()

    def look() -> None:
        lock = Lock(tmp_path / "lock")
        while not stop.is_set():
            assert lock.held in (True, False)
            time.sleep(0.001)

    (tmp_path / "lock").touch()
    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(50):
            lock = Lock(tmp_path / "lock")
            assert lock.acquire()
            lock.release()
    finally:
        stop.set()
        looker.join()


# The configuration's format.


def test_the_configuration_says_its_format_and_older_ones_are_upgraded(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run.folder / "config.json"
    assert json.loads(path.read_text())["format"] == record.CONFIG_FORMAT
    path.write_text(json.dumps({"modle": 1}))  # the first format had no number
    monkeypatch.setattr(record, "CONFIG_FORMAT", 3)
    monkeypatch.setattr(
        record,
        "UPGRADES",
        {1: lambda c: {"model": c["modle"]}, 2: lambda c: {**c, "seed": c["model"] + 1}},
    )
    assert run.config == {"model": 1, "seed": 2}
    run.write_config({"model": 5, "seed": 6})
    assert run.config == {"model": 5, "seed": 6}
    monkeypatch.setattr(record, "CONFIG_FORMAT", 2)
    with pytest.raises(RunError, match=r"written by a newer srexp \(format 3, this one reads 2\)"):
        run.config  # noqa: B018


@pytest.mark.parametrize("content", [None, "", "{", "[1]"])
def test_a_damaged_configuration_is_told_in_one_line(run: RunFolder, content: str | None) -> None:
    (run.folder / "config.json").unlink()
    if content is not None:
        (run.folder / "config.json").write_text(content)
    with pytest.raises(RunError, match=r"config.json: (cannot be read|holds no configuration)"):
        run.config  # noqa: B018


# A full disk.

FULL = """
import os, resource, sys
from pathlib import Path
from srexp.tracking.record import RunFolder
run = RunFolder.open(Path(sys.argv[1]))
if len(sys.argv) > 2:  # so many bytes a file may have
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
done = 0
try:
    while done < 100_000:
        run.log(done + 1, {"loss": 0.5, "a longer name, so that lines are cut": 0.25})
        done += 1
except OSError as error:
    before = (run.folder / "metrics.jsonl").stat().st_size
    for attempt in range(3):  # it may be tried again, and is as it was then
        try:
            run.log(0, {"loss": 0.5, "a longer name, so that lines are cut": 0.25})
        except OSError:
            pass
    assert (run.folder / "metrics.jsonl").stat().st_size == before
    print(done, error.errno)
"""


def log_until_full(tmp_path: Path, folder: Path, *limit: str) -> tuple[int, int]:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), *limit],
        capture_output=True, text=True, check=True, env=command_environment(tmp_path),
    )  # fmt: skip
    count, error = done.stdout.split()
    return int(count), int(error)


@pytest.mark.parametrize("limit", [5000, 5037, 5071])
def test_a_line_that_does_not_fit_is_not_written_at_all(
    run: RunFolder, tmp_path: Path, limit: int
) -> None:
    count, error = log_until_full(tmp_path, run.folder, str(limit))
    assert error == errno.EFBIG
    assert count > 10
    content = (run.folder / "metrics.jsonl").read_bytes()
    assert content.endswith(b"\n")
    assert limit - 200 < len(content) <= limit
    assert [point["step"] for point in run.points()] == list(range(1, count + 1))
    run.log(count + 1, {"loss": 0.5})
    assert len(list(run.points())) == count + 1


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        run = create(small)
        count, error = log_until_full(tmp_path, run.folder)
        assert error == errno.ENOSPC
        assert [point["step"] for point in run.points()] == list(range(1, count + 1))
        info = (run.folder / "run.json").read_bytes()
        with pytest.raises(OSError, match="No space"):
            run.update(much="x" * 100_000)
        assert (run.folder / "run.json").read_bytes() == info
        assert not list(run.folder.rglob("*.part"))
        run.release()
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_was_logged_is_flushed_before_a_checkpoint(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda file: flushed.append(os.readlink(f"/proc/self/fd/{file}"))
    )
    run.flush()
    assert flushed == []
    run.log(10, {"loss": 0.5})
    run.flush()
    assert flushed == [str(run.folder / "metrics.jsonl")]


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
        (lambda run: run.id.rsplit("_", 1)[1], 2),
        (lambda run: run.info["mlflow"]["run_id"], 1),
        (lambda run: run.info["mlflow"]["run_id"][:2], 1),
        (lambda run: "latest", 1),
    ],
)
def test_a_run_is_found_by_folder_id_mlflow_id_start_end_or_as_the_latest(
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
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=2")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    found = record.environment()
    assert found["variables"]["TF_XLA_FLAGS"] == "--tf_xla_auto_jit=2"
    assert "secret" not in json.dumps(found)
    assert found["packages"]["numpy"] == numpy.__version__
    assert found["packages"]["pillow"] == PIL.__version__
    assert found["command"] == ["srexp", "train", "seed=3"]
    assert json.loads(json.dumps(found)) == found
