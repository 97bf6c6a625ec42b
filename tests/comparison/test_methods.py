"""Which runs are replicates of one method, and what a method is called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from srexp.comparison.methods import group
from srexp.comparison.results import read_run
from srexp.tracking.record import RunError, RunFolder


def names(*runs: RunFolder) -> dict[str, list[int]]:
    methods, _ = group([read_run(run) for run in runs])
    return {method.name: list(method.seeds) for method in methods}


def test_runs_that_differ_in_seed_alone_are_replicates(make: Any) -> None:
    runs = [
        make([0.1, 0.2], *overrides)
        for overrides in (
            ["seed=2", "model.depth=5"],
            ["seed=0", "model.depth=3"],
            ["seed=0", "model.depth=5", "tracking=none", "trainer.sample_grids=1"],
            ["seed=1", "model.depth=5", "benchmark=set5"],
        )
    ]
    assert names(*runs) == {"depth=5": [0, 1, 2], "depth=3": [0]}


@pytest.mark.parametrize(
    ("overrides", "info"),
    [
        (["model.depth=5"], {}),
        (["trainer.steps=7"], {}),
        (["protocol=y_paper"], {}),
        (["optimizer.learning_rate=0.01"], {}),
        (["init_from=somebody"], {}),
        ([], {"images_digest": "other training images"}),
    ],
)
def test_any_other_difference_sets_methods_apart(make: Any, overrides: Any, info: Any) -> None:
    one, other = make([0.1, 0.2], "seed=0"), make([0.1, 0.2], "seed=1", *overrides, **info)
    assert len(names(one, other)) == 2
    # Whatever they are called, no two are called alike.


def test_a_method_is_called_by_what_sets_it_apart(make: Any) -> None:
    deep = make([0.1, 0.2], "model.depth=9", "act=prelu")
    flat = make([0.1, 0.2], "model.depth=3", "act=relu")
    srcnn = make([0.1, 0.2], "model=srcnn")
    assert set(names(deep, flat)) == {"act=prelu depth=9", "act=relu depth=3"}
    # depth does not set srcnn apart: it has none.
    assert [name.split()[0] for name in names(flat, srcnn)] == ["model=deconv", "model=srcnn"]
    assert set(names(deep)) == {deep.id}
    many = make([0.1, 0.2], *(f"{key}=77" for key in (
        "model.depth", "model.filters", "trainer.steps", "trainer.eval_every",
        "trainer.batch_size", "trainer.patience",
    )))  # fmt: skip
    first, second = names(flat, many)
    assert first == "act=relu depth=3", "no room for the defaults"
    assert len(second) <= 48 and second.endswith(" …"), "too much to say"
    assert "depth=77" in second
    long = [make([0.1, 0.2], f"init_from={'x' * 60}{end}") for end in "ab"]
    assert set(names(*long)) == {"init_from=…a", "init_from=…b"}


def test_the_same_run_again_is_no_replicate(make: Any) -> None:
    """It has the same weights: counted, it would make the spread over seeds too small."""
    first, again, other = (make([0.1, 0.2], f"seed={seed}") for seed in (0, 0, 1))
    methods, remarks = group([read_run(run) for run in (first, again, other)])
    (method,) = methods
    assert [result.run.id for result in method.replicates] == [first.id, other.id]
    (remark,) = remarks
    assert again.id in remark and f"repeats {first.id}" in remark


def test_an_older_run_is_a_replicate_of_a_newer_one(make: Any) -> None:
    """Keys that were added since stand at what was done before there were any."""
    older, newer = make([0.1, 0.2], "seed=0"), make([0.1, 0.2], "seed=1")
    path = older.folder / "config.json"
    config = json.loads(path.read_text())
    assert config["trainer"].pop("patience", "") is None and config.pop("init_from", "") is None
    path.write_text(json.dumps(config))
    assert list(names(older, newer).values()) == [[0, 1]]


def test_an_option_of_a_package_that_is_not_here(make: Any) -> None:
    older, newer = make([0.1, 0.2], "seed=0"), make([0.1, 0.2], "seed=1")
    for run, extra in ((older, {}), (newer, {"more": 1})):
        path = run.folder / "config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "model": {"name": "elsewhere", **extra}}))
    assert len(names(older, newer)) == 2


def test_a_damaged_configuration_is_one_line(make: Any) -> None:
    run = make([0.1, 0.2])
    (run.folder / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json: cannot be read"):
        group([read_run(run)])


def test_one_method_is_called_as_its_run_but_for_the_seed(make: Any) -> None:
    runs = [make([0.1, 0.2], f"seed={n}", title=f"depth=5 seed={n} steps=60") for n in range(2)]
    assert names(*runs) == {"depth=5 steps=60": [0, 1]}
    assert names(make([0.1, 0.2], title="seed=3")) == {"defaults": [0]}
    scales = [make([0.1], f"degradation.scale={n}", title=f"act=elu scale={n}") for n in (2, 3)]
    assert names(*scales) == {"act=elu": [0, 0]}


def test_two_limits_of_time_are_two_methods(make: Any) -> None:
    """Under either the same configuration is trained so far and no farther."""
    short, long = (
        make([0.1, 0.2], f"trainer.max_minutes={minutes}", ended="max_minutes")
        for minutes in (1, 2)
    )
    assert names(short, long) == {"max_minutes=1": [0], "max_minutes=2": [0]}
    # Trained to the end within them they are one.
    runs = [make([0.1, 0.2], f"trainer.max_minutes={m}", f"seed={m}", ended="done") for m in (3, 4)]
    assert list(names(*runs).values()) == [[3, 4]]


@pytest.mark.parametrize("info", [{"results_version": 2}, {"sources": {"model": "0123"}}])
def test_other_code_is_another_method(make: Any, info: Any) -> None:
    assert len(names(make([0.1, 0.2], "seed=0"), make([0.1, 0.2], "seed=1", **info))) == 2


def test_values_are_compared_typed_and_without_what_has_no_effect(make: Any) -> None:
    runs = [
        make([0.1, 0.2], "optimizer.clip_norm=1", "seed=0", "protocol=rgb"),
        make([0.1, 0.2], "optimizer.clip_norm=1.0", "seed=1", "protocol=[rgb,y_paper]"),
        make([0.1, 0.2], "optimizer.clip_norm=1.0", "seed=2", "protocol=rgb",
             "trainer.min_delta=0.3", "data.prepare_size=64"),
    ]  # fmt: skip
    assert list(names(*runs).values()) == [[0, 1, 2]]
    other = make([0.1, 0.2], "optimizer.clip_norm=1.0", "seed=1", "protocol=[y_paper,rgb]")
    assert len(names(runs[0], other)) == 2
