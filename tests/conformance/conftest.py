"""What is under test: every file of conf/GROUP/, found when the tests are collected.

A test that asks for `network_name`, `resampler_name`, `act_name` ... runs once for each of them, so
a new option is tested the moment its YAML exists and nobody edits a list.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from srexp.config.compose import compose, conf_dir
from srexp.config.registry import implementation
from srexp.config.settings import build_option, experiment_of

# What a person must add on the command line, because no default can stand for it.
NEEDS = {
    ("data", "folder"): ["data.train_dir=pictures"],
    ("data", "pairs"): ["data.hr_dir=hr", "data.lr_dir=lr"],
    ("benchmark", "folder"): ["benchmark.folder.dir=pictures"],
    ("benchmark", "pairs"): ["benchmark.pairs.hr_dir=hr", "benchmark.pairs.lr_dir=lr"],
    ("metric", "lpips"): ["metric.lpips.model=network.keras"],
}


def names_in(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


@cache
def commands() -> dict[str, list[str]]:
    """Each root YAML that composes a command, and the groups that it takes."""
    roots = {}
    for path in sorted(conf_dir().glob("*.yaml")):
        defaults = OmegaConf.to_container(OmegaConf.load(path), resolve=False).get("defaults", [])
        groups = [key for entry in defaults if isinstance(entry, dict) for key in entry]
        own = [key for key in groups if not key.startswith("override ")]
        if own:
            roots[path.stem] = own
    return roots


@cache
def composed(command: str, *overrides: str) -> dict[str, Any]:
    return compose(command, list(overrides))


@cache
def option_named(group: str, name: str) -> Any:
    """The option that `GROUP=NAME` builds; one object for all tests, which leave it as it is."""
    command = next(c for c in ("train", "evaluate") if group in commands()[c])
    overrides = [f"{group}={name}", *NEEDS.get((group, name), [])]
    return build_option(group, composed(command, *overrides)[group], group)


def implemented_by(name: str) -> str:
    """What a model's file names, or the one that it begins with: composing takes half a second."""
    node = OmegaConf.load(conf_dir() / "model" / f"{name}.yaml")
    if "name" in node:
        return str(node["name"])
    return implemented_by(next(e for e in node["defaults"] if isinstance(e, str) and e != "_self_"))


@cache
def models(*, trainable: bool) -> list[str]:
    names = names_in("model")
    return [n for n in names if implementation("model", implemented_by(n)).trainable is trainable]


LISTS = {
    "network_name": lambda: models(trainable=True),
    "resampler_name": lambda: models(trainable=False),
    "act_name": lambda: names_in("act"),
    "loss_name": lambda: names_in("loss"),
    "optimizer_name": lambda: names_in("optimizer"),
    "schedule_name": lambda: names_in("schedule"),
    "degradation_name": lambda: names_in("degradation"),
    "experiment_name": lambda: names_in("experiment"),
    "any_option": lambda: [
        f"{command} {group}={name}"
        for group in sorted({group for groups in commands().values() for group in groups})
        for command in _commands_for(group)
        for name in names_in(group)
        # A network cannot be scored without a run: test_configurations says so once.
        if command != "evaluate" or group != "model" or name in models(trainable=False)
    ],
}


def _commands_for(group: str) -> list[str]:
    """Composing takes a fifth of a second, so one command, and the others where they differ."""
    taking = sorted((c for c in commands() if group in commands()[c]), key=lambda c: c != "train")
    return taking if group == "model" else taking[:1]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, find in LISTS.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, find(), scope="session")


@pytest.fixture(scope="session")
def option() -> Any:
    """`option("act", "relu")`: what the YAML of that name builds."""
    return option_named


@pytest.fixture(scope="session")
def experiment() -> Any:
    """`experiment("model=srcnn")`: a whole training configuration, checked."""
    return lambda *overrides: experiment_of(composed("train", *overrides))


@pytest.fixture(scope="session")
def compose_for() -> Any:
    """`compose_for("train", "model=srcnn")`: plain data."""
    return composed


@pytest.fixture(scope="session")
def names() -> Any:
    """`names("act")`: the options that the files of conf/act/ offer."""
    return names_in


@pytest.fixture(scope="session")
def needs() -> dict[tuple[str, str], list[str]]:
    return NEEDS


@pytest.fixture(scope="session")
def conf() -> Path:
    return conf_dir()
