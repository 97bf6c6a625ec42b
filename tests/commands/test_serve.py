"""`srexp serve`, as people type it."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image
from tests_environment import command_environment

from srexp.commands import serve, upscale


def refused(capsys: Any, *typed: str) -> str:
    with pytest.raises(SystemExit) as ended:
        serve.main([*typed, "--no-browser"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.mark.parametrize(
    ("typed", "words"),
    [(("--port", "99999"), "99999: must be a whole number from 0 to 65535"),
     (("--workers", "0"), "0: must be a whole number from 1"),
     (("--max-megapixels", "-1"), "must be a number greater than 0"),
     (("--root-path", "enlarge"), "enlarge: must begin with /"),
     (("--host", "no.such.host.invalid"), "--host no.such.host.invalid --port 8000: ")],
)  # fmt: skip
def test_what_cannot_be_is_one_line(capsys: Any, typed: tuple[str, str], words: str) -> None:
    assert words in refused(capsys, *typed)


def test_a_port_that_is_taken(capsys: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"--port {port}: Address already in use" in refused(capsys, "--port", port)


def test_it_serves_until_it_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "srexp", "serve", "--port", "0", "--no-browser"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=command_environment(tmp_path / "home"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None and server.stderr is not None
        address = server.stdout.readline().split()[1]
        assert "Enlarge a picture" in requests.get(address, timeout=60).text
        file = io.BytesIO()
        Image.fromarray(np.zeros((5, 4, 3), np.uint8)).save(file, "PNG")
        answer = requests.post(f"{address}api/upscale?scale=4", data=file.getvalue(), timeout=60)
        assert Image.open(io.BytesIO(answer.content)).size == (16, 20)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) in (0, 130)
        assert "Traceback" not in server.stderr.read()
    assert not list(tmp_path.iterdir())


def test_a_run_enlarges(trained: Any, tmp_path: Path) -> None:
    """The same as by `srexp upscale --run`, to the last level."""
    outputs = str(trained.run.parent)
    command = [sys.executable, "-m", "srexp", "serve", "--port", "0", "--no-browser",
               "--output-dir", outputs]  # fmt: skip
    photo = tmp_path / "photo.png"
    levels = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
    Image.fromarray(levels).save(photo)
    upscale.main([str(photo), "--run", trained.run.name, "--output-dir", outputs])
    with subprocess.Popen(
        command, cwd=tmp_path, env=command_environment(tmp_path / "home"), stdout=subprocess.PIPE,
        text=True,
    ) as server:  # fmt: skip
        assert server.stdout is not None
        address = server.stdout.readline().split()[1]
        (run,) = requests.get(f"{address}api", timeout=60).json()["runs"]
        assert (run["id"], run["scale"]) == (trained.run.name, 2)
        asked = {"data": photo.read_bytes(), "timeout": 120}
        answer = requests.post(f"{address}api/upscale?run={run['id']}", **asked)
        other = requests.post(f"{address}api/upscale?run=../{run['id']}", **asked)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) in (0, 130)
    assert other.status_code == 404 and "no finished run of that id" in other.json()["error"]
    with (
        Image.open(io.BytesIO(answer.content)) as ours,
        Image.open(tmp_path / "photo_x2.png") as by,
    ):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(by))
