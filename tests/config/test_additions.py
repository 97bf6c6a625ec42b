"""Keys that were added later: older configurations load, and stay what they were."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.config.effect import WITHOUT_EFFECT
from srexp.config.identity import config_digest, with_additions
from srexp.config.registry import implementation
from srexp.config.resume import resumed
from srexp.config.settings import experiment_of
from srexp.options import OptionError, additions, flatten
from srexp.tracking import record
from srexp.tracking.record import RunError, RunFolder
from srexp.training.experiment import Experiment

Changed = Callable[..., dict[str, Any]]

# Another value of each; a new key must be named here.
OTHER = {
    "init_from": "some_run@01234567", "trainer.monitor": "ssim", "trainer.patience": 3,
    "trainer.min_delta": 0.1, "trainer.keep_checkpoints": 5, "trainer.distinct_batches": 1,
    "trainer.strategy": "mirrored", "trainer.monitor_direction": "min",
    "optimizer.clip_value": 0.5, "optimizer.clip_value_over_rate": 0.01,
    "trainer.early_patch_sizes": [24], "trainer.early_shares": [0.5], "trainer.flatness": 0.1,
    "degradation.lr_8bit": False, "trainer.lr_8bit": False, "trainer.degrade": "y",
    "loss.weight": 0.5, "protocol.rgb.luma": "full", "protocol.rgb.rounding": "truncate",
    "tracking.register": "tiny", "trainer.deterministic": True, "data.rescaled": [0.5],
    "trainer.steps_per_call": 5,
}  # fmt: skip

# What must be there for a key to have an effect.
BESIDE = {
    "trainer.min_delta": {"trainer.patience": 2},
    "trainer.early_shares": {"trainer.early_patch_sizes": [32]},
}


def added(config: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> default, of all that was added to the options of a configuration."""
    found = {
        key: value
        for key, value in additions(Experiment).items()
        if key not in ("algorithm", "metric")
    }
    for group, node in config.items():
        nodes = node if group in ("protocol", "benchmark") else {group: node}
        for name, option in nodes.items() if isinstance(nodes, dict) else ():
            if isinstance(option, dict) and "name" in option:
                prefix = group if name == group else f"{group}.{name}"
                defaults = additions(implementation(group, option["name"]))
                found |= {f"{prefix}.{key}": value for key, value in defaults.items()}
    return found


def without(config: dict[str, Any], key: str) -> dict[str, Any]:
    """An older run's configuration, without a key."""
    older = copy.deepcopy(config)
    *path, last = key.split(".")
    node = older
    for part in path:
        node = node[part]
    del node[last]
    return older


def test_an_older_configuration_loads_and_keeps_its_digest(changed: Changed) -> None:
    config = changed("train", {})
    keys = added(config)
    assert {"init_from", "trainer.monitor", "trainer.keep_checkpoints"} <= keys.keys()
    oldest = config
    for key, default in keys.items():
        older = without(config, key)
        assert flatten(config)[key] == default, key
        assert experiment_of(older) == experiment_of(config), key
        assert config_digest(older) == config_digest(config), key
        assert with_additions(older) == config, key
        beside = BESIDE.get(key, {})
        before = config_digest(changed("train", beside))
        other = config_digest(changed("train", {**beside, key: OTHER[key]}))
        idle = key in WITHOUT_EFFECT or key.split(".")[0] in WITHOUT_EFFECT
        assert (other == before) == idle, key
        oldest = without(oldest, key)
    assert config_digest(oldest) == config_digest(config)
    assert with_additions(oldest) == config


def test_a_group_that_was_added_later_loads_and_keeps_the_digest(changed: Changed) -> None:
    config = changed("train", {})
    older = without(config, "algorithm")
    assert experiment_of(older) == experiment_of(config)
    assert config_digest(older) == config_digest(config)
    assert with_additions(older) == config
    assert config_digest(changed("train", {"algorithm": {"name": "other"}})) != config_digest(
        config
    )


def test_a_key_that_was_always_there_must_be_there(changed: Changed) -> None:
    with pytest.raises(OptionError, match=r"^trainer\.steps: is missing$"):
        experiment_of(without(changed("train", {}), "trainer.steps"))


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [((), {}), (("trainer=default", "trainer.steps=900"), {"trainer.steps": 900}),
     (("trainer.monitor=psnr",), {}), (("trainer.patience=3",), {"trainer.patience": 3})],
)  # fmt: skip
def test_an_older_run_goes_on(
    tmp_path: Path, composed: Changed, overrides: tuple[str, ...], expected: dict[str, Any]
) -> None:
    """A key that it does not know counts as its default, and may be said again."""
    config = composed("train")
    older = config
    for key in added(config):
        older = without(older, key)
    run = RunFolder.create(tmp_path, "n", older, "")
    run.set_status("INTERRUPTED", progress={"step": 5})
    run.release()
    values = resumed(run, composed("train", "resume=x", *overrides), ["resume=x", *overrides])
    flat = flatten(config)
    assert {k: v for k, v in flatten(values).items() if flat.get(k, "?") != v} == {
        "resume": "x", **expected,
    }  # fmt: skip
    with pytest.raises(OptionError, match=r"^trainer\.monitor=ssim: run .* began with psnr"):
        resumed(run, composed("train", "trainer.monitor=ssim"), ["trainer.monitor=ssim"])


def test_todays_configuration_is_read_when_there_is_a_newer_format(
    tmp_path: Path, composed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(config: dict[str, Any]) -> dict[str, Any]:
        return {**{k: v for k, v in config.items() if k != "color"}, "colour": config["color"]}

    run = RunFolder.create(tmp_path, "n", composed("train"), "")
    run.release()
    monkeypatch.setitem(record.UPGRADES, record.CONFIG_FORMAT, renamed)
    monkeypatch.setattr(record, "CONFIG_FORMAT", record.CONFIG_FORMAT + 1)
    config = RunFolder.open(run.folder).config
    assert config["colour"] == "rgb" and "color" not in config and "format" not in config
    run.write_config(config)
    assert RunFolder.open(run.folder).config == config, "upgraded twice"
    monkeypatch.undo()
    now = record.CONFIG_FORMAT
    with pytest.raises(RunError, match=rf"newer srexp \(format {now + 1}, this one reads {now}\)"):
        _ = RunFolder.open(run.folder).config


def test_there_is_a_step_from_every_format() -> None:
    assert sorted(record.UPGRADES) == list(range(1, record.CONFIG_FORMAT))
