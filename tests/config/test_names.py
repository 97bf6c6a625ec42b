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
