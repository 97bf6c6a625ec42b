"""`srexp data`: what a person types, sees, and gets as an exit code."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests_environment import command_environment
from tests_http import FileServer, Served

from srexp.commands.data import main
from srexp.data.known import known_sets

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "*")
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Exit code, stdout and stderr of `srexp data ARGUMENTS`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SREXP_DATA_DIR", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            main(arguments)
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        return (code, *capsys.readouterr())

    return run


def pictures(folder: Path, count: int, first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for index in range(first, first + count):
        noise = np.random.default_rng(index).integers(0, 256, (24, 20, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index:03}.png")
    return folder


def zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"HR/{path.name}")
    return content.getvalue()


# list


def test_list_names_every_set_its_terms_and_what_is_here(call: Call, tmp_path: Path) -> None:
    pictures(tmp_path / "data" / "bsd100", 3)
    pictures(tmp_path / "data" / "set5", 5)
    code, text, _ = call("list")
    assert code == 0
    lines = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    for known in known_sets().values():
        assert known.use in lines[known.name] and f" {known.images} " in lines[known.name]
    assert (
        "3 of 100" in lines["bsd100"] and " yes " in lines["set5"] and " yes " not in lines["t91"]
    )
    assert "not tried by us" in text


def test_list_for_programs(call: Call, tmp_path: Path) -> None:
    pictures(tmp_path / "data" / "bsd100", 3)
    rows = {row["name"]: row for row in json.loads(call("list", "--json")[1])}
    assert list(rows) == list(known_sets())
    assert rows["bsd100"]["here"] == "incomplete" and rows["bsd100"]["found"] == 3
    assert rows["set5"]["here"] == "no" and rows["set5"]["checksums"] is True
    assert rows["urban100"]["checksums"] is False and rows["manga109"]["address"] is None


def test_the_data_directory_is_that_of_the_other_commands(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(tmp_path / "elsewhere" / "set5", 5)
    monkeypatch.setenv("SREXP_DATA_DIR", str(tmp_path / "elsewhere"))
    assert '"here": "yes"' in call("list", "--json")[1]


# fetch


def test_fetch_says_what_it_could_not_check(call: Call, files: FileServer, tmp_path: Path) -> None:
    files.files["/m.zip"] = Served(zipped(pictures(tmp_path / "made", 109)))
    code, text, errors = call("fetch", "manga109", "--from", f"{files.address}/m.zip")
    assert (code, errors) == (0, "")
    assert "manga109: is here now" in text and "not compared with what was published" in text
    assert "academic research" in text
    assert len(list((tmp_path / "data" / "manga109").iterdir())) == 109
    code, text, _ = call("fetch", "manga109")
    assert code == 0 and "was here already" in text


def test_fetch_set5_from_another_address(
    call: Call, files: FileServer, shared_data: Path, tmp_path: Path
) -> None:
    files.files["/s.zip"] = Served(zipped(shared_data / "set5"))
    code, text, _ = call("fetch", "set5", "--from", f"{files.address}/s.zip")
    assert code == 0 and "each the published one (SHA-256)" in text
    code, text, _ = call("check", "set5")
    assert code == 0 and "all 5 images are the published ones" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch", "sett5"], "did you mean set5?"),
        (["fetch", "set5", "set41"], "did you mean set14?"),
        (["fetch", "manga109"], "manga109.org"),
        (["fetch", "set5", "set14", "--from", "x.zip"], "are for one set"),
        (["fetch", "set5", "--from", "gone.zip"], "neither an address"),
        (["fetch", "set5", "--from", "ftp://x/y.zip"], "no http or https address"),
        (["fetch", "set5", "--form", "x"], "--form x: not understood"),
        (["check", "gone"], "gone: no such folder"),
        (["preview", "degradation.scal=3"], "did you mean degradation.scale?"),
        (["preview", "degradation.scale=9"], "degradation.scale=9"),
        (["preview", "data=t19"], "did you mean t91?"),
        (["preview", "data=folder", "data.train_dir=gone"], "gone: no such folder"),
        (["preview", "data=t91"], "srexp data fetch t91"),
        (["preview", "-o", "x.jpg"], "must end in .png"),
        (
            ["preview", "data=photos", "-n", "1", "-o", "gone/x.png"],
            "gone/x.png: cannot be written",
        ),
        (["fetch", "set5", "--pick", "HR/*"], "--pick HR/*: has no use for set5"),
        (["preview", "-n", "0"], "must be a whole number from 1 to 100"),
        (["preview", "--scale", "3"], "not understood"),
    ],
)
def test_bad_input_is_one_line_and_2(
    call: Call, tmp_path: Path, arguments: list[str], words: str
) -> None:
    code, text, errors = call(*arguments)
    assert code == 2 and text == ""
    (line,) = errors.splitlines()
    assert line.startswith("srexp: ") and words in line
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert [path.name for path in tmp_path.iterdir() if path.name != "data"] == []
    assert not list(tmp_path.glob("data/*"))


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ([], "required: list|fetch|check|preview"), (["lst"], "did you mean list?"),
        (["fetch"], "required: NAME"), (["check"], "required: DIR; see srexp data check --help"),
        (["fetch", "--timeout", "0"], "--timeout: 0: must be"), (["list", "--jsn"], "--jsn"),
    ],
)  # fmt: skip
def test_a_command_that_is_none_ends_with_2(call: Call, action: list[str], said: str) -> None:
    code, text, errors = call(*action)
    assert code == 2 and text == ""
    (line,) = errors.splitlines()
    assert line.startswith("srexp: ") and said in line


@pytest.mark.parametrize("seconds", ["x", "0", "nan", "inf"])
def test_a_time_that_is_none_is_told_what_one_is(call: Call, seconds: str) -> None:
    code, _, errors = call("fetch", "set5", "--timeout", seconds)
    assert code == 2
    assert f"--timeout: {seconds}: must be a number greater than 0\n" in errors


def test_a_fault_is_one_line_and_1_and_the_others_are_fetched(
    call: Call, files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text, errors = call("fetch", "set5", "--from", f"{files.address}/gone.zip")
    assert (code, text) == (1, "")
    assert errors == f"srexp: {files.address}/gone.zip: the server answers 404 Not Found\n"
    pictures(tmp_path / "data" / "bsd100", 100)
    monkeypatch.setitem(
        known_sets(), "urban100", dataclass_with(known_sets()["urban100"], f"{files.address}/gone")
    )
    code, text, errors = call("fetch", "urban100", "bsd100")
    assert code == 1 and "404" in errors and "bsd100: was here already" in text


def dataclass_with(known: object, address: str) -> object:
    import dataclasses

    return dataclasses.replace(known, address=address)  # type: ignore[type-var]


def on_terminal(tmp_path: Path, *arguments: str) -> str:
    """What `srexp data ARGUMENTS`, which succeeds, writes on a terminal; without its codes."""
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "srexp", "data", *arguments]
    environment = command_environment(tmp_path, COLUMNS="100", TERM="xterm", NO_PROXY="*")
    text = ""
    with subprocess.Popen(
        command, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(slave)
        try:
            while piece := os.read(master, 65536):
                text += piece.decode()
        except OSError:  # its end
            pass
        assert process.wait(timeout=60) == 0
    os.close(master)
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text)


def test_a_bar_with_the_time_left_on_a_terminal(files: FileServer, tmp_path: Path) -> None:
    content = zipped(pictures(tmp_path / "made", 109))
    files.files["/m.zip"] = Served(content, bytes_per_s=len(content) // 2)
    text = on_terminal(
        tmp_path, "fetch", "manga109", "--from", f"{files.address}/m.zip",
        "--data-dir", str(tmp_path / "data"),
    )  # fmt: skip
    assert re.search(r"manga109 .* \d+\.\d/\d+\.\d kB .*B/s left 0:00:0[1-9]", text)
    assert "manga109: is here now" in text


# check


def test_check_ends_with_1_if_something_is_wrong(call: Call, tmp_path: Path) -> None:
    pictures(tmp_path / "a", 3)
    code, text, _ = call("check", "a")
    assert code == 0 and "a: 3 images" in text and "3 PNG; 3 RGB; 3 8-bit" in text
    pictures(tmp_path / "b", 3, first=2)
    (tmp_path / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    code, text, _ = call("check", "a", "b")
    assert code == 1
    assert re.search(r"wrong: .*broken\.png: ", text)
    assert re.search(r"wrong: 002\.png: 1 with the same pixels as in b$", text, re.MULTILINE)


def test_check_keeps_its_lines_whatever_a_file_is_called(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "a\nb.png").write_bytes(b"no picture")
    _, out, _ = call("check", str(folder))
    assert "a\\nb.png" in out and "\nb.png" not in out


def test_check_for_programs(call: Call, tmp_path: Path) -> None:
    pictures(tmp_path / "a", 3)
    pictures(tmp_path / "b", 2, first=2)
    code, text, _ = call("check", "a", "b", "--json")
    first, second = json.loads(text)
    assert code == 1 and (first["images"], second["images"]) == (3, 2)
    assert first["faults"][0]["what"] == "overlap" and first["faults"][0]["files"] == ["002.png"]


def test_check_counts_pictures_on_a_terminal_alone(call: Call, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a", 7)
    text = on_terminal(tmp_path, "check", str(folder))
    assert re.search(r"check .* 7/7 pictures left 0:00:00", text) and f"{folder}: 7 images" in text
    assert json.loads(on_terminal(tmp_path, "check", str(folder), "--json"))[0]["images"] == 7
    assert "left" not in call("check", "a")[1]


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["check", "a", "--json"]])
def test_a_reader_that_leaves_ends_nothing_with_a_traceback(
    tmp_path: Path, arguments: list[str]
) -> None:
    pictures(tmp_path / "a", 3)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "data", *arguments],
        cwd=tmp_path, env=command_environment(tmp_path), stdout=writer, stderr=subprocess.PIPE,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


# preview


def test_preview_makes_a_picture_without_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['srexp', *sys.argv[1:]]; from srexp.cli import main; main()\n"
        "assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)"
    )
    arguments = ["data", "preview", "data=photos", "-o", "sheet.png", "degradation.scale=3"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "-n", "2"],
        cwd=tmp_path, env=command_environment(tmp_path), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "sheet.png: x3 matlab bicubic, protocol rgb, 2 of 5 images\n"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    assert Image.open(tmp_path / "sheet.png").size[0] > 1000


# Completion.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("srexp data ", {"cache", "check", "fetch", "list", "preview"}),
        ("srexp data fe", {"fetch"}),
        ("srexp data fetch se", {"set5", "set14"}),
        ("srexp data check t91 bs", {"bsds200", "bsd100"}),
        ("srexp data list ", set()),
        ("srexp data preview degradation.sc", {"degradation.scale"}),
    ],
)
def test_completion(line: str, expected: set[str], tmp_path: Path) -> None:
    child = (
        "import sys; sys.argv = ['srexp', '-sc', 'query=bash']; from srexp.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", child], capture_output=True, text=True, timeout=60, check=False,
        env=command_environment(tmp_path, COMP_LINE=line, COMP_POINT=str(len(line))),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {word.rstrip("=.") for word in done.stdout.split()} == expected
