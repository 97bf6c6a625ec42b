"""The front: help, version, completion, what is imported, Hydra's own flags."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests_environment import ROOT, command_environment

from srexp import __version__
from srexp.cli import COMMANDS


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=command_environment(folder, **environment),
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "--help")
    assert done.returncode == 0
    for name, what in COMMANDS.items():
        assert name in done.stdout and what in done.stdout
        assert (ROOT / "srexp" / "commands" / f"{name}.py").is_file()


def test_version(tmp_path: Path) -> None:
    assert _run(tmp_path, "-m", "srexp", "--version").stdout == f"srexp {__version__}\n"


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_command_help_explains_every_group_in_words(command: str, tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", command, "--help")
    assert done.returncode == 0, done.stderr
    groups = sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir())
    for group in ("hydra", "metric", "table"):  # the last two are of other commands
        groups.remove(group)
    if command == "reproduce":
        groups = ["benchmark", "degradation", "paths", "protocol", "table"]
    words = done.stdout.split("Options of each group:")[0]
    options = done.stdout.split("Options of each group:")[1]
    for group in groups:
        assert re.search(rf"^ *{group} +\w", words, re.MULTILINE), group
        names = ", ".join(sorted(path.stem for path in (ROOT / "conf" / group).iterdir()))
        assert f"{group}: {names}" in options


# What may not be imported by what; the value is what is typed.
LIGHT = {
    "--help": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf", "numpy"],
    "--version": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf", "numpy"],
    "train --help": ["tensorflow", "keras", "mlflow"],
    "train --cfg job": ["tensorflow", "keras", "mlflow"],
    "train model.dpth=1": ["tensorflow", "keras", "mlflow"],
    "evaluate model=bicubic": ["tensorflow", "keras", "mlflow"],
    "evaluate model=nope": ["tensorflow", "keras", "mlflow"],
    "reproduce benchmark=nope": ["tensorflow", "keras", "mlflow"],
    "ui --help": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf"],
}


@pytest.mark.parametrize("typed", LIGHT)
def test_nothing_heavy_is_imported(typed: str, tmp_path: Path) -> None:
    child = (
        "import sys\nfrom srexp.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = _run(tmp_path, "-c", child, *typed.split())
    modules = set(done.stdout.splitlines()[-1].split())
    assert "srexp.cli" in modules
    assert not modules & set(LIGHT[typed])


def test_cfg_job_is_the_composed_yaml(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "train", "--cfg", "job", "model.depth=5", "act=prelu")
    config = yaml.safe_load(done.stdout)
    assert config["model"]["depth"] == 5
    assert config["act"] == {"name": "prelu", "initial_slope": 0.25}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("srexp ", set(COMMANDS)),
        ("srexp tr", {"train"}),
        ("srexp train mod", {"model=", "model."}),
        ("srexp train act=le", {"act=leaky_relu"}),
        ("srexp train model.de", {"model.depth="}),
        ("srexp train model=srcnn model.kernel_s", {"model.kernel_sizes="}),
        ("srexp evaluate benchmark=set1", {"benchmark=set14"}),
        ("srexp reproduce table=bi", {"table=bicubic"}),
    ],
)
def test_completion(line: str, expected: set[str], tmp_path: Path) -> None:
    child = (
        "import sys; sys.argv = ['srexp', '-sc', 'query=bash']; from srexp.cli import main; main()"
    )
    done = _run(tmp_path, "-c", child, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert done.returncode == 0, done.stderr
    words = {word.rstrip("=.") for word in done.stdout.split()}
    assert words == {word.rstrip("=.") for word in expected}


def test_completion_installs_for_the_console_script(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "-sc", "install=bash")
    assert done.returncode == 0, done.stderr
    assert "complete -o nospace -o default -F hydra_bash_completion srexp" in done.stdout


def test_ui_without_a_store_names_the_last_one(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "ui")
    assert done.returncode == 2
    assert "no MLflow store in it; no run has been tracked yet" in done.stderr
    state = tmp_path / "state" / "srexp"
    state.mkdir(parents=True)
    (state / "last_store").write_text("sqlite:////elsewhere/mlflow.db")
    done = _run(tmp_path, "-m", "srexp", "ui")
    assert "srexp ui --uri sqlite:////elsewhere/mlflow.db" in done.stderr
