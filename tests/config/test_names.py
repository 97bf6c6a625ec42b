"""What runs, methods and jobs are called."""

from __future__ import annotations

import re

import pytest

from srexp.config.compose import compose
from srexp.config.names import (
    LONGEST,
    as_name,
    comparable,
    followed,
    job_name,
    names_of,
    slug,
    typed_words,
)
from srexp.config.sweeps import choices_of
from srexp.config.sweeps import names_of as jobs_named
from srexp.options import flatten
from srexp.tracking.record import RunFolder


def configs(*overrides: list[str]) -> list[dict[str, object]]:
    return [comparable(flatten(compose(overrides=given))) for given in overrides]


def test_a_key_that_follows_another_is_not_named() -> None:
    """`schedule.steps` is `${trainer.steps}` unless it is set."""
    assert followed()["schedule.steps"] == "trainer.steps"
    assert names_of(configs(["trainer.steps=60"], ["trainer.steps=90"])) == ["steps=60", "steps=90"]
    set_apart = configs(["trainer.steps=60"], ["trainer.steps=60", "schedule.steps=30"])
    assert names_of(set_apart) == ["steps=60", "steps=30"]


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        (["model.depth=3"], ["model.depth=5"], ["depth=3", "depth=5"]),
        (["act=relu"], ["act=leaky_relu"], ["act=relu", "act=leaky_relu"]),
        (["act.negative_slope=0.1"], [], ["negative_slope=0.1", "negative_slope=0.2"]),
        (["protocol=rgb"], ["protocol=y_paper"], ["protocol=rgb", "protocol=y_paper"]),
        (
            ["protocol=[rgb,y_paper]"], ["protocol=[y_paper,rgb]"],
            ["protocol=rgb,y_paper", "protocol=y_paper,rgb"],
        ),
        (
            ["model=srcnn"], ["model=deconv"],
            ["act=relu model=srcnn", "act=leaky_relu model=deconv"],
        ),
        (
            ["init_from=2026-01-01_00-00-00_depth-3_ab12"], [],
            ["init_from=ab12", "init_from=null"],
        ),
        ([], [], ["", ""]),
    ],
)  # fmt: skip
def test_methods_are_called_by_what_differs(
    one: list[str], other: list[str], names: list[str]
) -> None:
    assert names_of(configs(one, other)) == names


TINY = ["model.depth=2", "model.filters=4", "trainer.steps=6", "trainer.eval_every=3"]


def test_what_tells_apart_is_said_and_defaults_of_most_are_not() -> None:
    """One change at a time: the value that most have, which is the default, says little."""
    changes = [[], ["trainer.patience=1"], ["act=prelu"], ["data.train=[coffee]"]]
    assert names_of(configs(*[[*TINY, *change] for change in changes])) == [
        "act=leaky_relu", "act=leaky_relu patience=1", "act=prelu", "train=[coffee] act=leaky_relu",
    ]  # fmt: skip


def test_without_room_no_default_is_said() -> None:
    """`data.train` was behind the `…`, and `patience=null` was not."""
    found = names_of(configs(
        TINY, [*TINY[:2], "trainer.steps=8", "trainer.eval_every=4", "trainer.patience=2"],
        [*TINY, "data.train=[coffee]"],
    ))  # fmt: skip
    assert len(set(found)) == 3 and "train=[coffee]" in found[2]
    assert not any("null" in name or "…" in name for name in found)


def test_a_grid_is_named_in_full_though_it_holds_defaults() -> None:
    grid = [[f"model.depth={d}", f"act={a}"] for d in (5, 7) for a in ("leaky_relu", "prelu")]
    assert names_of(configs(*grid)) == [
        "act=leaky_relu depth=5", "act=prelu depth=5", "act=leaky_relu depth=7", "act=prelu depth=7"
    ]  # fmt: skip


def test_what_tells_most_apart_comes_first() -> None:
    grid = [[f"trainer.steps={n}", f"act={'relu' if n < 8 else 'prelu'}"] for n in (6, 7, 8)]
    assert names_of(configs(*grid)) == [
        "steps=6 act=relu", "steps=7 act=relu", "steps=8 act=prelu"
    ]  # fmt: skip


def test_long_values_are_cut_behind_what_tells_them_apart() -> None:
    scenes = ["rocket", "motorcycle_left", "motorcycle_right", "china"]
    found = names_of([{"data.train": [*scenes, end]} for end in ("coffee", "chelsea")])
    assert len(set(found)) == 2 and all(len(name) <= LONGEST for name in found)
    begin = names_of([{"data.train": [first, *scenes, "coffee"]} for first in ("cat", "astronaut")])
    assert begin[0].startswith("train=[cat,rocket") and begin[1].startswith("train=[astronaut,")
    assert all(len(name) <= LONGEST for name in begin)


def test_names_that_would_be_too_long_keep_what_tells_most_apart() -> None:
    keys = ("model.depth", "model.filters", "trainer.eval_every", "trainer.batch_size",
            "trainer.patience", "trainer.hr_patch_size")  # fmt: skip
    given = [[f"{key}={10 + 2 * (number % 2)}" for key in keys] + [f"trainer.steps={100 + number}"]
             for number in range(6)]  # fmt: skip
    names = names_of(configs(*given))
    assert len(set(names)) == 6 and all(len(name) <= LONGEST for name in names)
    assert all(f"steps={100 + n}" in name for n, name in enumerate(names))
    assert all(name.endswith(" …") for name in names)


@pytest.mark.parametrize(
    ("typed", "name", "folder"),
    [
        ([], "defaults", "defaults"),
        (["experiment=tutorial2018"], "tutorial2018", "tutorial2018"),
        (["model.depth=5", "act=prelu"], "depth=5 act=prelu", "depth-5_act-prelu"),
        (["seed=3", "experiment=tutorial2018"], "tutorial2018 seed=3", "tutorial2018_seed-3"),
        (
            ["tracking=none", "paths.output_dir=x", "trainer.sample_grids=0", "hydra.verbose=true",
             "trainer.max_minutes=5", "+sweep=depth_act"],
            "defaults", "defaults",
        ),
        (
            ["data=folder", "data.train_dir=/home/me/My Pictures (2)/street é"],
            "data=folder train_dir=street é", "data-folder_train_dir-street_e",
        ),
        (["data.train_dir='/日本'", "data=folder"], "train_dir=日本 data=folder",
         "train_dir_data-folder"),
        (["model.filters=[64,32]", "optimizer.learning_rate=1e-4"],
         "filters=[64,32] learning_rate=1e-4", "filters-64-32_learning_rate-1e-4"),
        (["trainer.steps=60", "schedule.steps=30"], "trainer.steps=60 schedule.steps=30",
         "trainer.steps-60"),
    ],
)  # fmt: skip
def test_a_run_is_called_by_what_was_typed(typed: list[str], name: str, folder: str) -> None:
    assert as_name(typed_words(typed)) == name
    assert slug(name) == folder


@pytest.mark.parametrize("place", [0, 3, 6])
@pytest.mark.parametrize("job", [None, "depth=2 learning_rate=0.00012345 weight_decay=0.00012345"])
def test_a_seed_is_in_the_name_however_long_it_is(place: int, job: str | None) -> None:
    more = [*TINY, "data.train=[rocket,motorcycle_left,motorcycle_right,china]", "act=prelu"]
    found = []
    for seed in (1, 2147483647):
        typed = [*more[:place], f"seed={seed}", *more[place:]]
        name = as_name(typed_words(typed)) if job is None else job_name(job, typed)
        assert f"seed={seed}" in name.split() and len(name) <= LONGEST
        assert f"seed-{seed}" in slug(name).split("_")
        found.append(name)
    assert len(set(found)) == 2


def test_the_word_at_the_end_is_kept_where_there_is_no_room_for_all() -> None:
    typed = [*TINY, "trainer.batch_size=2", "act=prelu"]
    name = as_name(typed_words(typed))
    assert name == "depth=2 filters=4 steps=6 act=prelu …"
    assert slug(name) == "depth-2_filters-4_act-prelu"


def test_a_job_is_called_by_what_was_swept_and_what_else_was_typed() -> None:
    typed = ["seed=1", "model.depth=3", "trainer.steps=60", "experiment=tutorial2018"]
    assert job_name("depth=3 seed=1", typed) == "tutorial2018 depth=3 seed=1 steps=60"
    assert job_name("all defaults", []) == "defaults"
    folders = [{"data.train_dir": f"/very/{'long/' * 20}{end}"} for end in "ab"]
    assert jobs_named(folders) == ["train_dir=a", "train_dir=b"]
    alike = [{"data.train_dir": f"/{start}/x"} for start in "ab"]
    assert jobs_named(alike) == ["train_dir=/a/x", "train_dir=/b/x"]


@pytest.mark.parametrize(
    "name",
    ["a=b c", "../../etc/passwd", "-rf *", "$(rm -rf x)", "日本", "", ".", "a" * 300, "x y" * 90,
     "a/b\\c:d*e?f\"g<h>i|j", "~", "'", "{a: b}", "e\u0301", "…", "a=[1,2]"],
)  # fmt: skip
def test_a_folder_holds_nothing_that_a_system_a_shell_or_hydra_reads(name: str) -> None:
    assert re.fullmatch(r"\w[\w.-]{0,31}", slug(name), re.ASCII)


def test_long_names_lose_whole_words() -> None:
    words = [f"key{n}={n}" for n in range(20)]
    name = as_name(words)
    assert len(name) <= LONGEST and name.endswith(" …")
    assert set(name.split()[:-1]) <= set(words)
    assert len(as_name(["x" * 99])) == LONGEST


def test_an_id_of_a_run_is_one_word_that_can_be_typed(output: object) -> None:
    run = RunFolder.create(output, slug("depth=5 act=prelu"), {}, "")  # type: ignore[arg-type]
    run.release()
    assert re.fullmatch(r"\d{4}(-\d\d){2}_\d\d(-\d\d){2}_depth-5_act-prelu_[0-9a-f]{4}", run.id)
    assert compose(overrides=[f"init_from={run.id}"])["init_from"] == run.id


def test_a_folder_in_quotes_is_named_without_them() -> None:
    jobs = choices_of([["data.train_dir='x y/a'"], ["data.train_dir='x y/b'"]])
    assert jobs_named(jobs) == ["train_dir=a", "train_dir=b"]
    assert choices_of([["model.depth=2", "paths.output_dir='a,b'"]]) == [{"model.depth": "2"}]
