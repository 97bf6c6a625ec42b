"""`srexp runs`: what is there, what it is, and what is gone."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment

from srexp.commands import runs as runs_command
from srexp.config.compose import compose
from srexp.tracking.mlflow_store import Store, create_run, experiment_id, quiet_client
from srexp.tracking.record import RunFolder, runs

Main = Callable[..., str]


@pytest.fixture
def make(output: Path) -> Callable[..., RunFolder]:
    """`make("FINISHED", "trainer.steps=60", title="depth=3")`: a run that was never trained."""

    def new(status: Any, *overrides: str, **info: Any) -> RunFolder:
        run = RunFolder.create(output, "deconv-x2", compose(overrides=list(overrides)), "", **info)
        run.set_status(status)
        run.release()
        return run

    return new


@pytest.fixture
def main() -> Callable[..., None]:
    return runs_command.main


@pytest.fixture
def held(make: Callable[..., RunFolder]) -> Iterator[Callable[..., RunFolder]]:
    """A run that another living process has."""
    processes = []

    def new(*overrides: str) -> RunFolder:
        run = make("RUNNING", *overrides)
        code = (
            "import sys, time; from pathlib import Path; from srexp.files import Lock\n"
            "lock = Lock(Path(sys.argv[1])); assert lock.acquire(); print('held', flush=True)\n"
            "time.sleep(600)"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(run.lock.path)],
            stdout=subprocess.PIPE, text=True, env=command_environment(run.folder),
        )  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        processes.append(process)
        run.process = process  # type: ignore[attr-defined]
        return run

    yield new
    for process in processes:
        process.kill()
        process.communicate()


# list


def test_an_empty_folder_says_how_to_make_a_run(call: Main) -> None:
    assert "python -m srexp train" in call("list")
    assert json.loads(call("list", "--json")) == []


def test_list_names_runs_that_it_cannot_read(
    make: Any, main: Main, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = make("FINISHED"), make("FINISHED")
    (bad.folder / "run.json").write_text("{", encoding="utf-8")
    main(["list", "--output-dir", str(output)])
    out, err = capsys.readouterr()
    assert good.id[-4:] in out
    assert err == f"note: {bad.folder / 'run.json'}: cannot be read; the run is not listed\n"


def test_list_of_a_file_is_refused(
    main: Main, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SystemExit) as caught:
        main(["list", "--output-dir", str(tmp_path / "notes.txt")])
    assert caught.value.code == 2 and "notes.txt: is no folder" in capsys.readouterr().err


def test_a_status_is_echoed_as_typed(
    main: Main, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["list", "--status", "finished"])
    with pytest.raises(SystemExit):
        main(["list", "--status", "foo"])
    assert "'foo'" in capsys.readouterr().err


def test_a_key_that_follows_another_is_not_shown_as_different(make: Any, call: Main) -> None:
    run, other = make("FINISHED", "trainer.steps=6"), make("FINISHED", "schedule.steps=9")
    assert json.loads(call("show", run.id, "--json"))["differs"] == {"trainer.steps": 6}
    assert json.loads(call("show", other.id, "--json"))["differs"] == {"schedule.steps": 9}


def test_list_says_what_each_run_is_the_newest_last(
    make: Any, call: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(
        "FINISHED", "trainer.steps=60", title="depth=3", sweep="2026-01-01_00-00-00_abcdef01",
        progress={"step": 60}, gains={"val_x2/rgb": 1.0, "photos_x2/rgb": 0.25},
        result={"task": "photos_x2/rgb", "gain": 0.25, "psnr": 31.5},
    )  # fmt: skip
    second = make("INTERRUPTED", progress={"step": 7})
    second.update(created=first.info["created"] - 7200)
    older = make("FINISHED", gains={"val_x2/rgb": 1.0, "set5_x2/rgb": float("inf")})
    older.update(created=first.info["created"] - 3 * 86400)
    lines = call("list").splitlines()
    assert [line.split()[0] for line in lines] == ["run", older.id, second.id, first.id]
    assert "FINISHED 60/60" in lines[3] and "+0.25 dB photos_x2/rgb" in lines[3]
    assert "abcdef01 depth=3" in lines[3]
    assert "INTERRUPTED 7/500" in lines[2] and " 2 h " in lines[2]
    assert "set5_x2/rgb" in lines[1] and " 3 d " in lines[1]
    for chosen, expected in (
        (("--status", "interrupted"), [second.id]),
        (("--sweep", "abcdef01"), [first.id]),
        (("--sweep", "outputs/sweeps/2026-01-01_00-00-00_abcdef01"), [first.id]),
        (("--status", "FAILED"), []),
    ):
        assert [row["id"] for row in json.loads(call("list", "--json", *chosen))] == expected
    assert "no such run" in call("list", "--status", "FAILED")
    rows = json.loads(call("list", "--json"), parse_constant=lambda name: pytest.fail(name))
    assert rows[0]["gain"] is None and rows[2]["gain"] == 0.25
    assert rows[2]["psnr"] == 31.5 and (rows[1]["step"], rows[1]["steps"]) == (7, 500)
    files = [path for path in first.folder.rglob("*") if path.is_file()]
    assert rows[2]["bytes"] == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["show", "latest", "--json"]])
def test_a_reader_that_is_gone_is_no_error(
    make: Any, output: Path, tmp_path: Path, arguments: list[str]
) -> None:
    """`| head -1`."""
    make("FINISHED")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "runs", *arguments, "--output-dir", str(output)],
        stdout=write, stderr=subprocess.PIPE, text=True, env=command_environment(tmp_path),
        check=False,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("width", [80, 100, 160])
def test_list_fits_the_terminal(make: Any, output: Path, tmp_path: Path, width: int) -> None:
    pty = pytest.importorskip("pty")
    run = make(
        "INTERRUPTED", "trainer.steps=100000", title="depth=3 act=relu", sweep="d_t_abcdef01",
        progress={"step": 99999}, gains={"t91_bsds200_x2/y_of_rgb": -10.123},
    )  # fmt: skip
    long = RunFolder.create(output, "x" * 32, compose(), "")  # as long as ids are
    long.release()
    master, slave = pty.openpty()
    environment = command_environment(tmp_path, COLUMNS=str(width), TERM="xterm")
    with subprocess.Popen(
        [sys.executable, "-m", "srexp", "runs", "list", "--output-dir", str(output)],
        stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=environment,
    ) as process:  # fmt: skip
        os.close(slave)
        assert process.wait(timeout=60) == 0
        text = os.read(master, 65536).decode()
    os.close(master)
    lines = re.sub(r"\x1b\[\d*m", "", text).splitlines()
    assert max(map(len, lines)) <= width
    assert run.id in text and "INTERRUPTED" in text and "99999/100000" in text
    assert long.id in text, "an id that cannot be copied whole is of no use"
    assert (len(lines) == 3) == (width == 160)


# show


def test_show_says_all_about_a_run(make: Any, call: Main) -> None:
    source = make("FINISHED")
    run = make(
        "FAILED", "model.depth=3", "act=relu", "tracking=none", failure="the loss of step 8 is nan",
        progress={"step": 7, "seconds": 12.4}, init_from=source.id, gains={"val_x2/rgb": 0.5},
    )  # fmt: skip
    for name in ("best.npz", "step-0000005.npz"):
        (run.checkpoints / name).write_bytes(b"x" * 2000)
    text = call("show", run.id[:-1])
    assert "status: FAILED, step 7 of 500, trained for 12 s" in text
    assert "the loss of step 8 is nan" in text and f"init_from: {source.id}" in text
    differs = json.loads(call("show", run.id, "--json"))["differs"]
    assert differs == {"model.depth": 3, "act.name": "relu", "tracking.name": "none"}
    assert "model.depth=3\n" in text
    assert "+0.500 dB  val_x2/rgb" in text
    assert "best.npz (2 kB), step-0000005.npz (2 kB)" in text
    assert f"resume={run.folder.resolve()}\n" in text and f"evaluate run={run.folder}" in text
    assert "all defaults" in call("show", source.id)
    assert call("show", "latest") == text


def test_show_of_an_unknown_run_names_the_nearest(make: Any, refused: Main) -> None:
    run = make("FINISHED")
    wrong = run.id.replace("deconv", "decon")
    assert f"did you mean {run.id}?" in refused("show", wrong)
    assert f"did you mean {run.id}?" in refused("rm", "--yes", wrong)
    assert run.folder.exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["lst"], ["list", "--status", "BROKEN"], ["show"], ["rm"], ["show", "latest"],
     ["rm", "latest"]],
)  # fmt: skip
def test_bad_input_ends_with_2(
    main: Main, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


# Who is killed, who is alive.


def test_a_killed_run_is_marked_by_the_next_command_that_sees_it(held: Any, call: Main) -> None:
    run = held()
    on_disk = run.folder / "run.json"
    assert json.loads(call("list", "--json"))[0]["status"] == "RUNNING"
    assert json.loads(on_disk.read_text())["status"] == "RUNNING"
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    assert json.loads(on_disk.read_text())["status"] == "RUNNING"
    assert "KILLED" in call("list")
    assert json.loads(on_disk.read_text())["status"] == "KILLED"


def test_a_run_that_ended_well_while_it_was_looked_at_is_not_marked(make: Any) -> None:
    """Read as RUNNING, ended and let go a moment later, looked at after that."""
    run = make("RUNNING")
    seen = RunFolder.open(run.folder)
    run.set_status("FINISHED")
    seen.settle()
    assert seen.info["status"] == RunFolder.open(run.folder).info["status"] == "FINISHED"


def test_a_running_run_is_neither_resumed_nor_removed(
    held: Any, refused: Main, command: Any, output: Path
) -> None:
    run = held("tracking=none")
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    assert "is running now" in refused("rm", "--yes", run.id)
    done = command(output.parent, "train", f"resume={run.id}")
    assert done.code == 2
    (line,) = done.stderr.splitlines()
    assert f"resume={run.id}: it is running now" in line
    assert before == {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


# rm


def test_without_a_terminal_rm_needs_yes(
    make: Any, refused: Main, call: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = make("FINISHED"), make("KILLED"), make("FINISHED")
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert "--yes" in refused("rm", one.id, two.id)
        assert one.folder.exists() and two.folder.exists()
        # The same run under two names is one run.
        said = call("rm", "--yes", one.id, one.id[:-1], two.id)
    assert said == f"removed {one.id}\nremoved {two.id}\n"
    assert [run.id for run in runs(one.folder.parent)] == [three.id]
    assert [path.name for path in one.folder.parent.iterdir()] == [three.id]


def test_one_that_cannot_be_removed_keeps_all(held: Any, make: Any, refused: Main) -> None:
    other, running = make("FINISHED"), held()
    assert "nothing was removed" in refused("rm", "--yes", other.id, running.id)
    assert other.folder.exists() and running.folder.exists()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_it_asks_and_names_who_was_started_from_it(
    make: Any, output: Path, tmp_path: Path, answer: str, code: int
) -> None:
    pty = pytest.importorskip("pty")
    source = make("FINISHED")
    child = make("FINISHED", init_from=source.id)
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "srexp", "runs", "rm", source.id, "--output-dir", str(output)],
        stdout=slave, stderr=slave, stdin=slave, env=command_environment(tmp_path),
    ) as process:  # fmt: skip
        os.close(slave)
        os.write(master, f"{answer}\n".encode())
        assert process.wait(timeout=60) == code
        text = os.read(master, 65536).decode()
    os.close(master)
    assert "remove 1 run for good? [y/N]" in text
    assert f"{child.id} was started from the weights of {source.id}" in text
    assert source.folder.exists() == (code != 0) and child.folder.exists()


def test_a_removal_that_was_killed_leaves_no_run(make: Any, output: Path, call: Main) -> None:
    """Killed as soon as the folder has been renamed; the next removal clears it."""
    run, other = make("FINISHED"), make("FINISHED")
    code = (
        "import os, shutil, sys; from srexp.commands.runs import main\n"
        "shutil.rmtree = lambda *a, **k: os.kill(os.getpid(), 9)\n"
        "main(['rm', '--yes', '--output-dir', *sys.argv[1:]])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(output), run.id], check=False,
        env=command_environment(output),
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert len(list(output.iterdir())) == 2, "its files should still lie there"
    assert [r.id for r in runs(output)] == [other.id]
    assert run.id not in call("list")
    call("rm", "--yes", other.id)
    assert [path.name for path in output.iterdir()] == [".index.jsonl"]


def test_mlflow_marks_it_deleted(make: Any, call: Main, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    store = Store(f"sqlite:///{path}", "srexp", str(tmp_path / "artifacts"), 10)
    client = quiet_client(store)
    kept, gone = (create_run(client, experiment_id(client, store), name, {}) for name in "ab")

    def stages() -> dict[str, str]:
        found = sqlite3.connect(path).execute("select run_uuid, lifecycle_stage from runs")
        return dict(found.fetchall())

    assert stages() == {kept: "active", gone: "active"}
    shown = {"uri": store.uri, "run_id": gone}
    run = make("FINISHED", mlflow=shown)
    assert call("rm", "--yes", run.id) == f"removed {run.id}\n"
    assert stages() == {kept: "active", gone: "deleted"}
    # Deleted before, in the UI perhaps: nothing to complain about.
    again = make("FINISHED", mlflow=shown)
    assert call("rm", "--yes", again.id) == f"removed {again.id}\n"
    client.restore_run(gone)
    assert stages() == {kept: "active", gone: "active"}


def test_a_server_that_is_away_is_said_and_the_run_removed(make: Any, call: Main) -> None:
    shown = {"uri": "http://127.0.0.1:9", "run_id": "0" * 32, "experiment_id": "1",
             "timeout_seconds": 1}  # fmt: skip
    run = make("FINISHED", mlflow=shown)
    assert "http://127.0.0.1:9/#/experiments/1/runs/" + "0" * 32 in call("show", run.id)
    text = call("rm", "--yes", run.id)
    assert f"removed {run.id}\nnote: MLflow at http://127.0.0.1:9 still shows it (" in text
    assert not run.folder.exists()


def test_a_store_that_is_gone_is_not_made_anew(make: Any, call: Main, tmp_path: Path) -> None:
    store = tmp_path / "gone.db"
    run = make("FINISHED", mlflow={"uri": f"sqlite:///{store}", "run_id": "0" * 32})
    assert call("rm", "--yes", run.id) == f"removed {run.id}\n"
    assert not store.exists()


def test_completion_of_actions_and_runs(make: Any, completed: Any, tmp_path: Path) -> None:
    run = make("FINISHED")
    for line, expected in (
        ("srexp ru", "runs"),
        ("srexp runs ", "list show rm"),
        ("srexp runs s", "show"),
        ("srexp runs rm ", f"{run.id} latest"),
        (f"srexp train resume={run.id[:5]}", f"resume={run.id}"),
        ("srexp train init_from=20", f"init_from={run.id}"),
        ("srexp train init_from=l", "init_from=latest"),
        (
            "srexp train init_from=tiny_web_x",
            "init_from=tiny_web_x2 init_from=tiny_web_x3 init_from=tiny_web_x4",
        ),
        ("srexp evaluate act=relu run=", f"run={run.id} run=latest"),
        ("srexp evaluate resume=", ""),
        ("srexp runs list --status FIN", "FINISHED"),
        ("srexp runs list --j", "--json"),
        (f"srexp sync {run.id[:5]}", run.id),
        (f"srexp runs rm {run.id[:5]}", run.id),
        ("srexp runs list ", ""),
    ):
        assert completed(line, tmp_path) == expected, line
