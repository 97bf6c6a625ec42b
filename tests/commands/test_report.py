"""`srexp report`, and the page that a training leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_page import read_page
from tests_scored import make_report, scored_run

from srexp.cli import COMMANDS
from srexp.commands import report
from srexp.commands import runs as runs_command

Command = Callable[..., Any]


def test_a_training_leaves_a_page_with_all_of_it(trained: Any) -> None:
    path = trained.run / "report.html"
    assert f"report: {path}" in trained.stdout
    found = read_page(path.read_text())
    assert [row[0] for row in found.tables["scores"][1:]] == ["photos_x2/rgb", "val_x2/rgb"]
    gains = trained.info()["gains"]
    assert [row[4] for row in found.tables["scores"][1:]] == [
        f"{gains[name]:+.2f}" for name in ("photos_x2/rgb", "val_x2/rgb")
    ]
    assert "FINISHED, step 60 of 60" in "".join(found.text["dd"])
    assert ["model.depth", "3", "7"] in found.tables["differs"]
    # Of either set as many as `trainer.sample_grids`; and the curves of loss and gain.
    assert sum(tag == "figure" for tag, _ in found.tags) == 2
    assert sum(tag == "svg" for tag, _ in found.tags) == 2
    assert path.stat().st_size < 3_500_000
    assert f"python -m srexp evaluate run={trained.run.name}" in found.text["code"]
    assert all((trained.run / link).exists() for link in found.links)


def test_mlflow_has_the_page(trained: Any) -> None:
    artifacts = list(trained.folder.glob("outputs/mlartifacts/**/report.html"))
    assert len(artifacts) == 1
    assert artifacts[0].read_bytes() == (trained.run / "report.html").read_bytes()


def test_it_is_made_again_without_tensorflow(trained: Any) -> None:
    path = trained.run / "report.html"
    before = path.read_text()
    path.unlink()
    code = (
        "import sys; from srexp.commands import report; report.main(['latest']);"
        "assert not {'tensorflow', 'keras', 'mlflow'} & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=trained.folder, text=True, capture_output=True,
        env=command_environment(trained.folder), check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(trained.folder, done.stdout.strip()) == path
    now, then = read_page(path.read_text()), read_page(before)
    assert now.tables == then.tables
    assert now.attributes("src") == then.attributes("src")


def test_training_starts_without_what_the_page_needs(trained: Any) -> None:
    code = (
        "import sys; sys.argv = ['srexp train', 'trainer.dry_run=true', 'model.depth=3'];"
        "from srexp.commands import train; train.main();"
        "late = {'jinja2', 'matplotlib.backends.backend_svg', 'srexp.comparison.run_report'};"
        "assert not late & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=trained.folder, text=True, capture_output=True,
        env=command_environment(trained.folder), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_run_that_was_cut_off_has_a_page_when_asked_for(
    interrupted: Any, command: Command, tiny: tuple[str, ...]
) -> None:
    done = interrupted(signal.SIGTERM)
    assert not (done.run / "report.html").exists()
    assert command(done.folder, "report", "latest").code == 0
    found = read_page((done.run / "report.html").read_text())
    assert "INTERRUPTED" in "".join(found.text["dd"])
    assert [row[0] for row in found.tables["scores"][1:]] == ["val_x2/rgb"]
    # It says what was; so it goes when the run goes on, and comes back at its end.
    later = command(done.folder, "train", "resume=latest", "trainer.steps=999999",
                    "trainer.max_minutes=0.001")  # fmt: skip
    assert later.code == 0, later.stderr
    found = read_page((done.run / "report.html").read_text())
    assert "FINISHED (by trainer.max_minutes)" in "".join(found.text["dd"])


def test_no_page_is_a_note_and_the_run_is_finished(interrupted: Any, command: Command) -> None:
    done = interrupted(signal.SIGINT)
    (done.run / "samples").write_text("in the way")
    later = command(done.folder, "train", "resume=latest", "trainer.max_minutes=0.001")
    assert (later.code, later.stderr) == (0, "")
    assert later.info()["status"] == "FINISHED"
    (note,) = [line for line in later.stdout.splitlines() if "report.html" in line]
    assert note.startswith("note: no report.html (")
    assert f"python -m srexp report {done.run.name}" in note
    assert not (done.run / "report.html").exists()


@pytest.fixture
def runs(tmp_path: Path) -> list[Any]:
    return [scored_run(tmp_path / "outputs", [make_report([0.5, 0.6])]) for _ in range(2)]


def test_several_at_once(runs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    report.main([str(run.folder) for run in runs])
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(run.folder / "report.html") for run in runs]
    assert all(Path(line).is_file() for line in printed)


def test_an_unknown_run_is_one_line_and_2(
    runs: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = runs[0].id[:-1] + "x"
    with pytest.raises(SystemExit) as ended:
        report.main([near, "--output-dir", str(tmp_path / "outputs")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean" in line


def test_a_configuration_of_a_newer_srexp_is_no_obstacle(runs: list[Any]) -> None:
    path = runs[0].folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    report.main([str(runs[0].folder)])
    found = read_page((runs[0].folder / "report.html").read_text())
    assert "It cannot be read." in found.text["p"]
    assert "scores" in found.tables


def test_a_network_of_a_package_that_is_not_here_is_no_obstacle(
    runs: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs[0].folder / "config.json"
    config = json.loads(path.read_text())
    config["model"] = {"name": "theirs", "_target_": "no_such_package.nets.Net", "width": 3}
    path.write_text(json.dumps(config))
    report.main([str(runs[0].folder)])
    found = read_page((runs[0].folder / "report.html").read_text())
    assert ["model.width", "3", "–"] in found.tables["differs"]
    runs_command.main(["show", str(runs[0].folder)])
    assert "model.width=3\n" in capsys.readouterr().out


def test_it_stands_among_the_commands() -> None:
    assert "report" in COMMANDS
