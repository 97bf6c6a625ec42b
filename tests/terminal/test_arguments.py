"""Paths in the options of every command: empty ones, homes, and what is no home."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from srexp.config.catalogue import catalogue
from srexp.config.compose import prepare_hydra, sweep_dir
from srexp.config.errors import readable

NOBODY = "~no-such-user/x"


@pytest.mark.parametrize(
    "line",
    ["runs list --output-dir", "runs show --output-dir", "report --output-dir", "sync --output-dir",
     "ui --output-dir", "compare --output-dir", "compare --html", "compare -o", "compare --figure",
     "leaderboard --output-dir", "leaderboard --plot", "data list --data-dir", "data preview -o",
     "data fetch --data-dir"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("value", "reason"), [("", "is empty"), (NOBODY, "~no-such-user is no user's home here")]
)
def test_a_path_that_is_none_ends_with_2(
    line: str,
    value: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, *words = line.split()
    option = words[-1]
    monkeypatch.setattr(sys, "argv", [f"srexp {command}", *words, value])
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(f"srexp.commands.{command}").main()
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and reason in message and option in message


@pytest.mark.parametrize("words", [["--uri="], ["--uri", " "], ["--host", ""]])
def test_no_option_may_be_empty(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["srexp ui", *words])
    with pytest.raises(SystemExit):
        importlib.import_module("srexp.commands.ui").main()
    assert f"{words[0].rstrip('=')}: is empty" in capsys.readouterr().err


def test_an_empty_variable_is_named_unless_an_option_stands_before_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    runs = importlib.import_module("srexp.commands.runs")
    monkeypatch.setenv("SREXP_OUTPUT_DIR", "")
    with pytest.raises(SystemExit):
        runs.main(["list"])
    assert "SREXP_OUTPUT_DIR=: is empty" in capsys.readouterr().err
    runs.main(["list", "--output-dir", str(tmp_path)])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SREXP_OUTPUT_DIR", "~/here")
    runs.main(["list"])
    assert f"no runs in {tmp_path}/here" in capsys.readouterr().out


def test_a_sweep_makes_no_folder_called_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hydra makes a sweep's folder before any job is checked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    prepare_hydra()
    assert sweep_dir("~/out").parents[1] == tmp_path / "out"
    for value in (NOBODY, ""):
        monkeypatch.setenv("SREXP_OUTPUT_DIR", value)
        config = OmegaConf.create({"dir": f"${{srexp_sweep_dir:'{value}'}}"})
        with pytest.raises(OmegaConfBaseException) as caught:
            OmegaConf.to_container(config, resolve=True)
        line = readable(caught.value, catalogue("train"))
        assert line.startswith(f"SREXP_OUTPUT_DIR={value}: ") and "\n" not in line
    assert not any(tmp_path.iterdir())
