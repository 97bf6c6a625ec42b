"""Configurations that cannot work end in one line that says what was received and what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.config.settings import (
    absolute_paths,
    build_option,
    evaluate_settings,
    experiment_of,
)
from srexp.models.deconv import Deconv
from srexp.options import OptionError, flatten

Changed = Callable[..., dict[str, Any]]
NEW = "a key that does not exist yet"


def refused(values: dict[str, Any], *, command: str = "train") -> OptionError:
    check = experiment_of if command == "train" else evaluate_settings
    with pytest.raises(OptionError) as caught:
        check(values)
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_value_arrives_in_its_option(changed: Changed) -> None:
    values = changed("train", {"seed": 7, "model.depth": 4, "model.value_range": [-1, 1]})
    experiment = experiment_of(values)
    assert experiment.model == Deconv(
        depth=4, value_range=[-1.0, 1.0],
        **{k: v for k, v in values["model"].items() if k not in ("name", "depth", "value_range")},
    )  # fmt: skip
    assert vars(experiment.optimizer) == {
        key: value for key, value in values["optimizer"].items() if key != "name"
    }
    assert experiment.seed == 7
    assert experiment.channels == 3
    assert experiment_of(changed("train", {"color": "y"})).channels == 1
    # `${trainer.steps}` of the schedule was resolved.
    assert experiment.schedule.steps == experiment.trainer.steps == values["trainer"]["steps"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("seeed", "seeed: no such key; did you mean seed?"),
        ("zzz", "zzz: no such key"),
        ("model.dept", "model.dept: deconv has no such key; did you mean depth?"),
        ("model.zzz", "model.zzz: deconv has no such key; it has upscale_interpolation, depth"),
        ("act.slope", "act.slope: leaky_relu has no such key; it has negative_slope"),
        ("trainer.step", "trainer.step: trainer has no such key; did you mean steps?"),
        ("optimizer.beta1", "optimizer.beta1: adam has no such key; did you mean beta_1?"),
        ("degradation.scales", "downscale has no such key; did you mean scale?"),
        ("protocol.rgb.degrad", "protocol has no such key; did you mean degrade"),
        ("benchmark.photos.photo", "benchmark.photos.photo: photos has no such key; did you mean"),
        ("tracking.url", "tracking.url: mlflow has no such key; did you mean uri?"),
        ("paths.output", "must hold output_dir and data_dir"),
    ],
)  # fmt: skip
def test_an_unknown_key_is_refused_at_every_depth(changed: Changed, key: str, message: str) -> None:
    assert message in str(refused(changed("train", {key: 1})))


def test_an_unknown_key_is_refused_in_evaluate_too(changed: Changed) -> None:
    for key, message in (
        ("wieghts", "wieghts: no such key; did you mean weights?"),
        ("model.kernel", "model.kernel: resampler has no such key; it has interpolation"),
        ("act", "act: no such key"),
    ):
        assert message in str(refused(changed("evaluate", {key: 1}), command="evaluate"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.depth", "abc"), ("model.depth", 2.5), ("model.depth", True), ("model.depth", None),
        ("model.depth", [3]), ("model.depth", {"a": 1}), ("model.residual", "maybe"),
        ("model.residual", None), ("model.value_range", 3), ("model.value_range", [0, "abc"]),
        ("model.value_range", None), ("act.negative_slope", "steep"), ("act.negative_slope", [0.1]),
        ("trainer.steps", 1.5), ("trainer.max_minutes", "long"), ("trainer.batch_size", ""),
        ("optimizer.learning_rate", None), ("optimizer.learning_rate", "fast"),
        ("protocol.rgb.border", "wide"), ("degradation.antialias", "perhaps"),
        ("tracking.timeout_seconds", 1.5), ("data.prepare_size", "big"),
    ],
)  # fmt: skip
def test_a_wrong_type_names_the_key(changed: Changed, key: str, value: Any) -> None:
    error = refused(changed("train", {key: value}))
    assert str(error).startswith(key)
    assert error.key.startswith(key)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.depth", 1, "model.depth=1: must be between 2 and 100"),
        ("model.depth", 101, "model.depth=101: must be between 2 and 100"),
        ("model.kernel_size", 4, "model.kernel_size=4: must be odd"),
        ("act.negative_slope", 1.01, "act.negative_slope=1.01: must be between 0 and 1"),
        ("act.negative_slope", float("nan"), "act.negative_slope=nan: must be between 0 and 1"),
        ("optimizer.learning_rate", 0.0, "must be greater than 0 and at most 1000"),
        ("optimizer.learning_rate", float("inf"), "must be greater than 0 and at most 1000"),
        ("optimizer.clip_norm", 0.0, "optimizer.clip_norm=0.0: must be greater than 0"),
        ("trainer.eval_every", 0, "trainer.eval_every=0: must be at least 1"),
        ("trainer.early_patch_sizes", 24, "trainer.early_patch_sizes=24: must be a list: [24]"),
        ("trainer.ema", 1.0, "trainer.ema=1.0: must be below 1"),
        ("trainer.ema", 0.0, "trainer.ema=0.0: must be greater than 0"),
        ("trainer.max_minutes", 0.0, "trainer.max_minutes=0.0: must be greater than 0"),
        ("trainer.hr_patch_size", 3, "trainer.hr_patch_size=3: must be between 4 and 4096"),
        ("degradation.scale", 1, "degradation.scale=1: must be between 2 and 8"),
        ("degradation.scale", 9, "degradation.scale=9: must be between 2 and 8"),
        ("degradation.engine", "matlabb", "must be one of matlab, pillow; did you mean matlab?"),
        ("degradation.interpolation", "hamming", "engine=matlab has no such kernel"),
        ("protocol.rgb.border", 65, "protocol.rgb.border=65: must be between 0 and 64"),
        ("protocol.rgb.compare", "ycbcr", "protocol.rgb.compare=ycbcr: must be one of y, rgb"),
        ("data.train", ["flowr"], "did you mean flower?"),
        ("data.train", [], "must each name at least one photograph"),
        ("benchmark.photos.photos", ["rockt"], "did you mean rocket?"),
        ("schedule.warmup_steps", 10**6, "must be fewer than the"),
        ("tracking.uri", "mlruns", "tracking.uri=mlruns: must be a server"),
        (
            "model.name",
            "decon",
            "model.name=decon: must be one of carn, deconv, deconv_resize, deconv_strided, ",
        ),
        ("model.name", None, "model.name=None: must be one of"),
        ("seed", -1, "seed=-1: must be a whole number from 0 to 4294967295"),
        ("seed", 2**32, "seed=4294967296: must be a whole number"),
        ("seed", True, "seed=True: must be a whole number"),
        ("seed", "one", "seed=one: must be a whole number"),
        ("color", "grey", "color=grey: must be rgb or y"),
        ("paths.output_dir", "", "paths.output_dir=: is empty"),
        ("paths.data_dir", None, "paths.data_dir=None: must be a folder"),
        ("protocol", {}, "protocol=[]: must name at least one"),
        ("protocol", "rgb", "protocol=rgb: must be options of the group protocol"),
        ("act", None, "act=None: must be an option of the group act"),
    ],
)
def test_a_value_out_of_range_says_what_would_be_right(
    changed: Changed, key: str, value: Any, message: str
) -> None:
    assert message in str(refused(changed("train", {key: value})))


def test_every_number_may_lie_on_its_limits(changed: Changed) -> None:
    for key, value in {
        "model.depth": 2, "model.filters": 1, "act.negative_slope": 1.0, "seed": 2**32 - 1,
        "optimizer.learning_rate": 1000.0, "trainer.hr_patch_size": 4, "degradation.scale": 8,
        "protocol.rgb.border": 0, "trainer.steps": 1,
    }.items():  # fmt: skip
        experiment_of(changed("train", {key: value}))


def test_the_warm_up_is_shorter_than_the_schedule(changed: Changed) -> None:
    experiment_of(changed("train", {"schedule.steps": 300, "schedule.warmup_steps": 299}))
    error = refused(changed("train", {"schedule.steps": 300, "schedule.warmup_steps": 300}))
    assert str(error).startswith("schedule.warmup_steps=300: must be fewer than the 300 steps")


def test_a_missing_key_is_named(changed: Changed) -> None:
    values = changed("train", {})
    del values["model"]["depth"]
    assert str(refused(values)) == "model.depth: is missing"


@pytest.mark.parametrize(
    ("scale", "size", "near"),
    [(2, 47, "46 or 48 would do"), (3, 48, None), (3, 49, "48 or 51"), (8, 4, "; 8 would do")],
)
def test_a_patch_that_the_scale_does_not_divide(
    changed: Changed, scale: int, size: int, near: str | None
) -> None:
    values = changed("train", {"degradation.scale": scale, "trainer.hr_patch_size": size})
    if near is None:
        assert experiment_of(values).trainer.hr_patch_size % scale == 0
        return
    message = str(refused(values))
    assert f"trainer.hr_patch_size={size}: degradation.scale={scale} does not divide it" in message
    assert near in message


def test_a_resampler_cannot_be_trained_and_the_message_says_how_to_score_it(
    changed: Changed,
) -> None:
    values = changed(
        "train",
        {"model": {"name": "resampler", "interpolation": "lanczos"}, "degradation.scale": 3},
    )
    message = str(refused(values))
    assert "model=lanczos: has no weights" in message
    assert "srexp evaluate model=lanczos degradation.scale=3 benchmark=photos" in message


def test_a_network_cannot_be_scored_without_a_run(changed: Changed) -> None:
    network = {"name": "deconv", **vars(Deconv(
        depth=2, filters=1, kernel_size=3, output_activation="linear", value_range=[0.0, 1.0],
        residual=False, upscale_interpolation=None,
    ))}  # fmt: skip
    values = changed("evaluate", {"model": network})
    assert "model=deconv: has weights; say which run's" in str(refused(values, command="evaluate"))
    assert evaluate_settings({**values, "run": "latest"}).run == "latest"
    for key, value, message in (
        ("weights", "newest", "weights=newest: must be best or last"),
        ("benchmark", {}, "must each name at least one"),
        ("protocol", {}, "must each name at least one"),
    ):
        given = changed("evaluate", {key: value})
        assert message in str(refused(given, command="evaluate"))


def test_an_output_folder_that_is_a_file_or_may_not_be_written(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for below in ("", "/a/b"):
        values = changed("train", {"paths.output_dir": f"{tmp_path}/file{below}"})
        assert f"{tmp_path}/file is a file, not a folder" in str(refused(values))
    import os

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    values = changed("train", {"paths.output_dir": f"{tmp_path}/new"})
    assert f"{tmp_path} may not be written" in str(refused(values))


def test_folders_become_absolute_from_the_working_directory_and_home(
    changed: Changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    values = changed("train", {"paths.output_dir": "runs/../out", "paths.data_dir": "~/data"})
    paths = experiment_of(values).paths
    assert paths.output_dir == tmp_path / "out"
    assert paths.data_dir == tmp_path / "home" / "data"


def test_a_kernel_that_the_engine_lacks_is_refused_before_anything_is_read(
    changed: Changed,
) -> None:
    """`hamming` is Pillow's alone: enlarging by it needs engine=pillow."""
    values = changed("train", {"model.upscale_interpolation": "hamming"})
    assert "hamming" in str(refused(values))


def test_a_resampler_that_the_engine_lacks_is_refused(changed: Changed) -> None:
    values = changed("evaluate", {"model.interpolation": "hamming"})
    assert "hamming" in str(refused(values, command="evaluate"))


def test_build_option_names_where_the_node_stands() -> None:
    with pytest.raises(
        OptionError, match=r"^benchmark\.mine\.dir=null: must name a folder"
    ) as caught:
        build_option(
            "benchmark",
            {"name": "folder", "dir": None, "expected_images": None, "expected_digest": None},
            "benchmark.mine",
        )
    assert caught.value.key == "benchmark.mine.dir"


def test_folders_are_kept_absolute_to_be_found_again_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    given = {
        "paths": {"output_dir": "o", "data_dir": "/d"},
        "data": {"name": "folder", "train_dir": ["a", "~/b"], "val_dir": None, "prepare": "a"},
        "benchmark": {"set5": {"name": "folder", "dir": "x/../c", "expected_images": 5}},
        "seed": 0,
    }
    assert absolute_paths(given) == {
        "paths": {"output_dir": f"{tmp_path}/o", "data_dir": "/d"},
        "data": {
            "name": "folder", "train_dir": [f"{tmp_path}/a", f"{tmp_path}/home/b"],
            "val_dir": None, "prepare": "a",
        },
        "benchmark": {"set5": {"name": "folder", "dir": f"{tmp_path}/c", "expected_images": 5}},
        "seed": 0,
    }  # fmt: skip


def test_flatten() -> None:
    nested = {"a": {"b": {"c": 1}, "d": [1, {"e": 2}]}, "f": None, "g": {}}
    assert flatten(nested) == {"a.b.c": 1, "a.d": [1, {"e": 2}], "f": None, "g": {}}
