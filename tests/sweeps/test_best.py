"""The best configuration as a file: it composes to what the job's overrides composed to."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.config.compose import compose
from srexp.config.overrides import parse_override
from srexp.options import OptionError
from srexp.sweeps.best import best_experiment, command, experiment_yaml
from srexp.sweeps.results import JobResult


def composed_again(
    text: str, folder: Path, more: list[str] | None = None, config_dir: Path | None = None
) -> dict[str, Any]:
    """As `--config-dir SWEEP/conf experiment=best` does it."""
    file = folder / "conf" / "experiment" / "best.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    line = shlex.split(command(folder, config_dir))
    assert line[:5] == ["python", "-m", "srexp", "train", "--config-dir"]
    first, *path, experiment = line[5:]
    # compose() takes one folder, and so does the command line, but by its search path.
    both = [name for p in path for name in parse_override(p).value]
    assert both == ([f"file://{folder / 'conf'}"] if config_dir else [])
    search = f"hydra.searchpath={json.dumps([f'file://{first}', *both])}"
    return compose(overrides=[experiment, *(more or []), search])


def in_order(config: Any) -> Any:
    """Order counts: the first protocol makes the training pairs."""
    return [(k, in_order(v)) for k, v in config.items()] if isinstance(config, dict) else config


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["act=relu", "model.depth=3"],
        ["model=srcnn", "act=gelu"],  # srcnn's own YAML chooses relu
        ["model=srcnn", "model.kernel_sizes=[9,5,5]", "model.filters=[32,16]"],
        ["benchmark=[set5,set14]", "protocol=[y_paper,rgb]"],
        ["benchmark=folder", "benchmark.folder.dir='my $x pictures: #1'"],
        ["experiment=tutorial2018", "act=gelu", "model.depth=3", "model.output_activation=linear"],
        ["act=gelu", "experiment=tutorial2018"],
        ["experiment=srcnn_915_x3_t91", "benchmark=photos", "model=deconv"],
        ["experiment=srcnn_915_x3_t91", "trainer.steps=9"],
        ["optimizer=sgd", "optimizer.learning_rate=1e-5"],
        ["trainer.max_minutes=null", "trainer.ema=0.999", "trainer.augment=false"],
        ["tracking.experiment='1e-3'", "tracking.uri='no'", "paths.output_dir=relative/folder"],
        ["tracking.experiment=a", "tracking.experiment='null'", "act=relu", "act=elu"],
        ["schedule.steps=${trainer.batch_size}", "trainer.steps=77"],
        [
            "benchmark.photos={photos:[coffee,chelsea]}",
            "benchmark.photos.photos=[coffee]",
            "++color=y",
        ],
        ["data.train=[rocket]", "data.val=[china,flower]"],
        ["debug=overfit", "trainer.steps=9", "tracking=mlflow", "experiment=tutorial2018"],
    ],
)
def test_it_composes_to_the_same(overrides: list[str], tmp_path: Path) -> None:
    expected = compose(overrides=overrides)
    found = composed_again(experiment_yaml(overrides), tmp_path)
    assert in_order(found) == in_order(expected)


def test_the_seed_is_left_to_the_user(tmp_path: Path) -> None:
    text = experiment_yaml(["act=relu", "seed=5", "hydra.verbose=false", "hydra/launcher=basic"])
    assert "seed" not in text
    assert "hydra" not in text
    assert composed_again(text, tmp_path)["seed"] == compose()["seed"]
    assert composed_again(text, tmp_path, ["seed=3"])["seed"] == 3
    assert composed_again(text, tmp_path, ["act=elu"])["act"]["name"] == "elu"


def test_options_and_groups_of_the_users_own_are_found(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for group, name, content in (
        ("act", "steep", "name: leaky_relu\nnegative_slope: 0.9\n"),
        ("extra", "thing", "a: 1\nb: 2\n"),
        ("experiment", "mine", "# @package _global_\ntrainer:\n  steps: 3\n"),
    ):
        (own / group).mkdir(parents=True)
        (own / group / f"{name}.yaml").write_text(content)
    overrides = ["act=steep", "+extra=thing", "extra.b=5", "experiment=mine", "+extra.c=[1,2]"]
    expected = compose(overrides=overrides, config_dir=str(own))
    text = experiment_yaml(overrides, config_dir=own)
    found = composed_again(text, tmp_path / "sweep", config_dir=own)
    assert found == expected


def test_what_a_sweeps_preset_sets_is_kept_and_how_its_jobs_are_made_is_not(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own"
    (own / "sweep").mkdir(parents=True)
    head = "# @package _global_\n"
    (own / "sweep" / "base.yaml").write_text(f"{head}trainer:\n  steps: 7\n  eval_every: 3\n")
    (own / "sweep" / "mine.yaml").write_text(
        f"{head}defaults:\n  - base\n  - override /loss: mae\n  - override /hydra/sweeper: basic\n"
        "optimizer:\n  learning_rate: 1e-4\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n"
        "      seed: 0,1\ntrainer:\n  eval_every: 7\n"
    )
    overrides = ["sweep=mine", "act=relu", "trainer.batch_size=3"]
    text = experiment_yaml(overrides, config_dir=own)
    assert "hydra" not in text and "sweep" not in text
    found = composed_again(text, tmp_path / "sweep")
    assert found == compose(overrides=overrides, config_dir=str(own))
    assert found["trainer"]["steps"] == found["trainer"]["eval_every"] == 7
    assert "sweep" not in experiment_yaml(["sweep=depth_act", "model.depth=3"])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("~tracking.uri", "cannot remove"), ("model.kernel_sizes.1=5", "set the whole list"),
        ("+act@model.act=relu", "another place"), ("experiment=best", "rename"),
        ("model.depth", "no override"), ("model.depth=[1", "no override"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_say_is_refused(override: str, said: str) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        experiment_yaml(["act=relu", override])
    assert "\n" not in str(caught.value)


def test_the_head_says_what_it_is_and_how_to_use_it(
    grid: Callable[..., list[JobResult]], tmp_path: Path
) -> None:
    gains = {"relu": [1.10, 1.30, 1.20], "elu": [0.5, 1.90, 0.9]}
    jobs = grid(
        {"act": ["elu", "relu"], "seed": ["0", "1", "2"]},
        lambda c: gains[c["act"]][int(c["seed"])],
    )
    text = best_experiment(jobs, tmp_path)
    assert text is not None
    for said in ("act=relu", "+1.200 ± 0.248 dB", "3 seeds", "photos_x2/rgb", command(tmp_path),
                 "of 2 combinations"):  # fmt: skip
        assert said in text
    expected = compose(overrides=["trainer.steps=7", "act=relu"])
    assert composed_again(text, tmp_path) == expected
    assert best_experiment([], tmp_path) is None


def test_a_name_cannot_break_out_of_the_comment(tmp_path: Path) -> None:
    comment = ["x\ntrainer: {steps: 1}", "\u2028@package foo\x85\x07b: 1", "@package model"]
    text = experiment_yaml(["act=relu"], comment)
    assert composed_again(text, tmp_path) == compose(overrides=["act=relu"])


def test_overrides_are_taken_apart_by_hydras_grammar() -> None:
    parsed = parse_override("+model.note='a, b=${c}'")
    assert (parsed.key, parsed.value, parsed.adds) == ("model.note", "a, b=${c}", True)
    assert parse_override("act@model.act=relu").package == "model.act"
    assert parse_override("~act").deletes
