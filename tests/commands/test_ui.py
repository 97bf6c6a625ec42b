"""`srexp ui`: which store it opens, and that nothing of it is left when it ends."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import pytest
from tests_mlflow import Server, fill, make_run, send

from srexp.commands import ui
from srexp.tracking.mlflow_store import Store
from srexp.tracking.record import RunFolder


def group(leader: int) -> list[str]:
    """The processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [stat for pgid, stat in rows if int(pgid) == leader and not stat.startswith("Z")]


def test_what_the_server_has_started_ends_with_it() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {stubborn!r}])"
    server = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    until = time.monotonic() + 20
    while len(group(server.pid)) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(group(server.pid)) == 2
    ui._end(server)
    until = time.monotonic() + 20
    while group(server.pid) and time.monotonic() < until:
        time.sleep(0.05)  # killed, and not yet gone
    assert group(server.pid) == []


def test_a_server_is_opened_on_the_runs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = make_run(tmp_path / "outputs", Store(server.uri, "shown", "unused", 5))
    fill(run)
    run.log(30, {"set5_x2/y_paper/psnr_gain": 1.5, "set5_x2/y_paper/psnr": 33.0})
    send(run)
    run.release()
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(sys, "argv", ["srexp ui", "--output-dir", str(tmp_path / "outputs")])
    ui.main()
    experiment = run.info["mlflow"]["experiment_id"]
    assert opened[0].startswith(f"{server.uri}/#/experiments/{experiment}/runs?viewStateShareKey=")
    assert opened[0] in capsys.readouterr().out


def test_the_environment_says_which_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["srexp ui", "--no-browser", "--output-dir", str(tmp_path)])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(SystemExit) as ended:
        ui.main()
    assert ended.value.code == 2
    assert "uri=./mlruns (MLFLOW_TRACKING_URI): must be a server" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def _said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, *words: str) -> str:
    """What `srexp ui` says where it opens nothing."""
    monkeypatch.setattr(sys, "argv", ["srexp ui", "--no-browser", *words])
    with pytest.raises(SystemExit) as ended:
        ui.main()
    out, err = capsys.readouterr()
    assert ended.value.code in (1, 2) and out == "" and err.count("\n") == 1
    return str(err)


def test_runs_that_mlflow_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "my outputs"
    absent = _said(monkeypatch, capsys, "--output-dir", str(folder))
    assert absent.startswith(f"srexp: {folder}: no such folder; ")
    run = RunFolder.create(folder, "x", {"tracking": {"name": "none"}}, "")
    said = _said(monkeypatch, capsys, "--output-dir", str(folder))
    words = shlex.split(said.partition("in one: ")[2])
    assert words[:4] == ["python", "-m", "srexp", "sync"]
    assert words[words.index("--uri") + 1] == f"sqlite:///{folder}/mlflow.db"
    run.write_config({"tracking": {"name": "tensorboard", "dir": None}})
    said = _said(monkeypatch, capsys, "--output-dir", str(folder))
    assert f"python -m tensorboard.main --logdir '{folder}';" in said
    run.release()


def test_a_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    dead = "http://127.0.0.1:9"
    said = _said(monkeypatch, capsys, "--uri", dead)
    assert said == f"srexp: MLflow server {dead} (--uri) does not answer: connection refused\n"
    run = make_run(tmp_path, Store(dead, "x", "unused", 5, "MLFLOW_TRACKING_URI"))
    run.release()
    assert "(of the newest run)" in _said(monkeypatch, capsys, "--output-dir", str(tmp_path))
    said = _said(monkeypatch, capsys, "--uri", dead, "--port", "99999")
    assert "--port 99999: must be between 1 and 65535" in said
