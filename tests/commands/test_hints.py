"""What messages tell people to type works when it is typed as printed."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

import srexp
from srexp.cli import COMMANDS
from srexp.comparison.about_run import commands
from srexp.config import COMMANDS as HYDRA
from srexp.config.catalogue import catalogue
from srexp.config.compose import compose
from srexp.config.errors import readable
from srexp.config.settings import evaluate_settings, experiment_of
from srexp.config.typed import as_typed
from srexp.config.words import advice
from srexp.options import OptionError
from srexp.terminal.front import _hydra_flags
from srexp.tracking.record import RunFolder, find_run

# A command in a message, up to what ends it there.
_COMMAND = re.compile(r"srexp ([a-z]+)\b([^;,():`\"\n]*)")
_KEY = re.compile(r"(?<![\w./{-])([a-z_]+(?:\.[a-z_]+)+)=")
_FLAG = re.compile(r"(?<=\s)--?[a-z][\w-]*")


def _literals() -> Iterator[tuple[str, str]]:
    """Every string of the source: where it is, and its text with `X` for what is filled in."""
    for path in sorted(Path(srexp.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ""
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "X" for v in node.values]
                text = "".join(str(part) for part in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            if text:
                yield f"{path.name}:{node.lineno}", text


@cache
def _flags(command: str) -> frozenset[str]:
    """All flags of a command and of its actions."""
    if command in HYDRA:
        return frozenset(_hydra_flags())
    module = importlib.import_module(f"srexp.commands.{command}")
    found: set[str] = set()

    def collect(parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                for each in action.choices.values():
                    collect(each)

    if hasattr(module, "_parser"):
        collect(module._parser())
    return frozenset(found)


def test_every_command_in_the_source_exists_and_has_its_flags() -> None:
    seen = 0
    for where, text in _literals():
        for match in _COMMAND.finditer(text):
            command, rest = match.groups()
            if f"python -m {match[0]}" in text or command in COMMANDS or "srexp -" in text:
                seen += 1
            if f"-m {match[0]}" in text:
                assert command in COMMANDS, (where, match[0])
            for flag in _FLAG.findall(rest) if command in COMMANDS else ():
                known = _flags(command)
                assert not known or flag in known, (where, match[0])
    assert seen > 60


def test_every_key_in_the_source_exists() -> None:
    known = {key for command in HYDRA for key in catalogue(command).every_key}
    groups = {key.split(".")[0] for key in known}
    seen = 0
    for where, text in _literals():
        for key in _KEY.findall(text):
            if key.split(".")[0] in groups:
                seen += 1
                assert key in known, (where, key)
    assert seen > 20


# What cannot work, but whose message says what does.
WRONG = (
    "data=folder data.train_dir=a,b", "data=folder data.train_dir=x data.val_dir=null",
    "benchmark=folder benchmark.folder.dir=a,b", "init_from=a,b", "trainer.steps=3,4",
    "act=[relu,prelu]", "act=relu,prelu", "benchmark=set5,set14", "protocol=rgb,y_of_rgb",
    "data.train=chelsea,coffee", "model.filters=8,16", "seed=1,2", "lr=1e-3", "~tracking",
    "loss=l1", "trainer.lr=1e-3", "benchmark=b100", "paths.output_dir=~no-such-user/x",
    "data=null", "model=null", "protocol=null", "metric=null", "tracking=null",
    "trainer.steps=1e9", "data.dir=DIR", "loss=sum loss.terms.l1.weight=1", "trainer.monitor=PSNR",
)  # fmt: skip


def _message(line: str) -> str:
    """What `srexp train LINE` says."""
    arguments = line.split()
    try:
        if text := advice("train", arguments, _hydra_flags(), catalogue("train")):
            return text
        experiment_of(compose(overrides=arguments))
    except OptionError as error:
        return str(error)
    except Exception as error:
        return readable(error, catalogue("train"))
    return ""


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with folders of odd names in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("null", "DIR"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize("line", WRONG)
def test_what_a_message_says_to_type_can_be_typed(line: str, pictures: Path) -> None:
    message = _message(line)
    word = r"(?:'[^']*'|[^\s;'])+"
    hints = re.findall(rf"type ({word}(?: [a-z][\w.]*={word})*)", message)
    hints += re.findall(rf"(?:are a list, |under that name: |of that name: )({word})", message)
    swept = re.findall(rf"-m ({word})", message)
    assert hints or swept, message
    for hint in (*hints, *swept):
        words = shlex.split(hint)
        if hint.startswith("./"):
            words = [f"{line.split('=')[0]}={hint}"]
        keys = [word.split("=")[0] for word in words]
        rest = [typed for typed in line.split() if typed.split("=")[0].lstrip("~") not in keys]
        known = (*catalogue("train").every_key, *catalogue("train").groups)
        rest = [typed for typed in rest if typed.split("=")[0] in known]
        if hint in swept:  # a sweep of these: its first job
            (swept_word,) = as_typed(["-m", *words])[1:]
            parsed = OverridesParser.create().parse_override(swept_word)
            assert parsed.is_sweep_override(), message
            words = [f"{keys[0]}={next(iter(parsed.sweep_string_iterator()))}"]
        experiment_of(compose(overrides=[*rest, *words]))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("data=null", "data=null: cannot be left out; choose one of"),
        ("metric=null", "metric=null: type metric=[]"),
        ("sweep=null", "sweep=null: no option of sweep is called so; leave it out"),
        ("trainer.steps=1e9", "1e+09: must be a whole number: type trainer.steps=1000000000"),
        ("data.dir=x", "type data=folder data.train_dir=x"),
        ("loss=sum loss.terms.l1.weight=1", "there is no loss.terms.l1; type loss.terms.mae.w"),
        ("loss=sum loss.terms.fft.weight=2",
         "to add one: +loss@loss.terms.fft=fft loss.terms.fft.weight=2"),
        ("degradation=chain degradation.links.fog.sigma=3",
         "to add one: +link@degradation.links.fog="),
        ("+loss@loss.terms.fft=[fft,gradient]", "as in +loss@loss.terms.fft=fft; one run for each"),
        ("trainer.monitor=PSNR", "type trainer.monitor=psnr"),
    ],
)  # fmt: skip
def test_what_is_meant_is_named(line: str, said: str) -> None:
    assert said in _message(line)


def test_resamplers_are_not_offered_for_training() -> None:
    message = _message("model=resnet")
    assert "deconv" in message and "nearest" not in message and "lanczos" not in message


@pytest.mark.parametrize(
    "name", ["plain", "a b", "it's", "a=b,c", "[1]", "{a}", 'a"b', "x${y}", "50%", "2024", "ü;&|"]
)
def test_a_run_in_another_output_folder_is_named_so_that_it_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / name
    run = RunFolder.create(output, "deconv-x2", _default(), "")
    run.set_status("INTERRUPTED")
    run.release()
    (run.checkpoints / "best.npz").write_bytes(b"")
    monkeypatch.setenv("SREXP_OUTPUT_DIR", str(output))
    assert run.typed("run") == f"run={run.id}"
    monkeypatch.setenv("SREXP_OUTPUT_DIR", str(tmp_path / "other"))
    for what, command in commands(run).items():
        python, flag, program, verb, *words = shlex.split(command)
        assert (python, flag, program) == ("python", "-m", "srexp")
        values = compose(verb, words)
        wanted = values["resume" if verb == "train" else "run"]
        assert find_run(wanted, tmp_path / "other").id == run.id, what
        if verb == "evaluate":
            assert evaluate_settings(values).run == wanted
    assert find_run(*shlex.split(run.typed()), tmp_path / "other").id == run.id


@cache
def _default() -> dict[str, Any]:
    return compose()
