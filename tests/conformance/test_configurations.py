"""Every option of every group composes, and what it composes is accepted."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from srexp.config.registry import groups, implementation, implementations
from srexp.config.settings import build_option, evaluate_settings, experiment_of
from srexp.options import additions, flatten, plain_of
from srexp.training.experiment import Experiment

SEVERAL = ("protocol", "benchmark", "metric")


def test_every_option_composes_and_builds(any_option: str, compose_for, needs) -> None:
    command, choice = any_option.split(" ")
    group, name = choice.split("=")
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    values = compose_for(command, choice, *needs.get((group, name), []))
    if group in groups():
        nodes = values[group] if group in SEVERAL else {group: values[group]}
        assert nodes
        for key, node in nodes.items():
            built = build_option(group, node, key)
            # Nothing is lost or changed between the YAML and the object.
            for field in dataclasses.fields(built):
                given, got = node[field.name], plain_of(getattr(built, field.name))
                assert got == given or got == [given], field.name
    if command == "train":
        if group == "model" and not implementation("model", values["model"]["name"]).trainable:
            with pytest.raises(ValueError, match="has no weights, so there is nothing to train"):
                experiment_of(values)
        elif group == "loss" and not build_option(group, values[group], group).looks_at_hr:
            with pytest.raises(ValueError, match="make it a term of loss=sum"):
                experiment_of(values)
        else:
            experiment_of(values)
    if command == "evaluate":
        evaluate_settings(values)


def test_every_implementation_has_a_yaml_that_chooses_it(conf: Path) -> None:
    for group in groups():
        texts = "\n".join(path.read_text() for path in (conf / group).glob("*.yaml"))
        chosen = set(re.findall(r"^\s*name: (\w+)", texts, re.MULTILINE))
        ours = {n for n, c in implementations(group).items() if c.__module__.startswith("srexp.")}
        assert ours <= chosen, f"{group}: no YAML for {ours - chosen}"


def test_what_was_added_later_stands_in_every_yaml_with_its_default(conf: Path) -> None:
    """The YAML holds the numbers: a default in code is the old behaviour, and says no more."""
    found = 0
    for group in groups():
        for path in sorted((conf / group).glob("*.yaml")):
            content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
            for node in content.values() if group in SEVERAL else [content]:
                if not isinstance(node, dict) or "name" not in node:
                    continue  # what it adds to another file
                for key, default in additions(implementation(group, node["name"])).items():
                    assert key in node, f"{path}: {key} is missing"
                    # A preset that came later may set it otherwise.
                    assert node[key] == default or path.stem != node["name"], f"{path}: {key}"
                    found += 1
    assert found >= 5, "the trainer alone has as many"
    top = OmegaConf.to_container(OmegaConf.load(conf / "train.yaml"), resolve=False)
    chosen = {key: name for entry in top["defaults"] if isinstance(entry, dict)
              for key, name in entry.items()}  # fmt: skip
    wanted = {
        "init_from": top["init_from"], "algorithm": {"name": chosen["algorithm"]}, "metric": {},
    }  # fmt: skip
    assert chosen["metric"] == []
    assert additions(Experiment) == wanted


def test_an_experiment_says_nothing_twice(experiment_name: str, conf: Path, compose_for) -> None:
    """Each number of the file arrives: nothing in it is overridden by what comes after."""
    node = OmegaConf.to_container(OmegaConf.load(conf / "experiment" / f"{experiment_name}.yaml"))
    node.pop("defaults", None)
    node.pop("hydra", None)  # of a sweep: which runs there are, and no key of a run
    values = flatten(compose_for("train", f"experiment={experiment_name}"))
    for key, value in flatten(node).items():
        if not (isinstance(value, str) and "${" in value):
            assert values[key] == value, key


def test_a_models_own_activation_gives_way_to_the_command_line(
    network_name: str, compose_for
) -> None:
    values = compose_for("train", f"model={network_name}", "act=elu")
    assert values["act"]["name"] == "elu"
