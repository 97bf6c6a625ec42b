"""Going on with a run: what may change, and what would change its past."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.config.resume import MAY_CHANGE, check_folders, resumed
from srexp.config.settings import experiment_of
from srexp.options import OptionError, flatten
from srexp.tracking.record import RunFolder
from srexp.training.materials import RESULTS_VERSION

Composed = Callable[..., dict[str, Any]]
Go = Callable[..., dict[str, Any]]

STEPS = 300
BEGAN = (f"trainer.steps={STEPS}",)


@pytest.fixture
def go(tmp_path: Path, composed: Composed) -> Go:
    """`go("trainer.steps=600", began=["act=relu"])`: what a run that began so goes on with."""

    def resume(
        *overrides: str,
        began: tuple[str, ...] = (),
        step: int = 50,
        status: str = "INTERRUPTED",
        held: bool = False,
    ) -> dict[str, Any]:
        run = RunFolder.create(tmp_path, "n", composed("train", *BEGAN, *began), "")
        run.set_status(status, progress={"step": step})
        if not held:
            run.release()
        given = ["resume=latest", *overrides]
        return resumed(RunFolder.open(run.folder), composed("train", *given), given)

    return resume


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    flat = flatten(before)
    return {k: v for k, v in flatten(after).items() if k not in flat or flat[k] != v}


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ((), {}),
        (("trainer.steps=600",), {"trainer.steps": 600}),
        (("trainer.max_minutes=3",), {"trainer.max_minutes": 3}),
        (("trainer.sample_grids=0",), {"trainer.sample_grids": 0}),
        (("tracking.uri=http://h:5000",), {"tracking.uri": "http://h:5000"}),
        (("tracking.experiment=e",), {"tracking.experiment": "e"}),
        (("paths.output_dir=elsewhere",), {"paths.output_dir": "elsewhere"}),
        (("trainer.steps=400", "trainer.max_minutes=1"),
         {"trainer.steps": 400, "trainer.max_minutes": 1}),
        # What is as it was may be said again.
        (("seed=0", "data=photos", "color=rgb", f"trainer.steps={STEPS}"), {}),
        (("trainer=default", "trainer.steps=400"), {"trainer.steps": 400}),
    ],
)  # fmt: skip
def test_what_lies_ahead_may_change_and_nothing_else_does(
    go: Go, composed: Composed, overrides: tuple[str, ...], changes: dict[str, Any]
) -> None:
    values = go(*overrides)
    assert difference(composed("train", *BEGAN), values) == {"resume": "latest", **changes}
    experiment_of(values)


def test_the_runs_own_values_count_not_todays_defaults(go: Go, composed: Composed) -> None:
    began = ("model=deconv", "model.depth=3", "act=prelu", "optimizer.learning_rate=0.002")
    values = go("trainer.steps=400", began=began)
    assert difference(composed("train", *BEGAN, *began), values) == {
        "resume": "latest", "trainer.steps": 400,
    }  # fmt: skip
    # The schedule ends where it was to end: a longer run does not stretch it.
    assert values["schedule"]["steps"] == 300


@pytest.mark.parametrize(
    ("override", "key", "asked"),
    [
        ("model.depth=91", "model.depth", "91"),
        ("++model.depth=91", "model.depth", "91"),
        ("act=tanh", "act.name", "tanh"),
        ("seed=91", "seed", "91"),
        ("color=y", "color", "y"),
        ("trainer.eval_every=91", "trainer.eval_every", "91"),
        ("trainer.batch_size=91", "trainer.batch_size", "91"),
        ("trainer.ema=0.91", "trainer.ema", "0.91"),
        ("schedule.steps=600", "schedule.steps", "600"),
        ("optimizer.learning_rate=0.91", "optimizer.learning_rate", "0.91"),
        ("degradation.scale=8", "degradation.scale", "8"),
    ],
)
def test_what_would_change_the_past_is_refused(
    go: Go, composed: Composed, override: str, key: str, asked: str
) -> None:
    before = flatten(composed("train", *BEGAN))[key]
    with pytest.raises(OptionError) as caught:
        go(override, began=("model=deconv", "schedule=cosine"))
    text = str(caught.value)
    assert text.startswith(f"{key}={asked}: run ")
    assert f"began with {before}," in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "override",
    ["model=srcnn", "loss=mae", "optimizer=sgd", "data=t91", "protocol=[rgb,y_paper]",
     "benchmark=[set5]", "experiment=tutorial2018", "~act"],
)  # fmt: skip
def test_another_option_is_refused(go: Go, override: str) -> None:
    with pytest.raises(OptionError, match="changing it would change its past"):
        go(override)


def test_the_experiment_that_it_began_with_may_be_said_again(go: Go) -> None:
    began = ("experiment=tutorial2018",)
    values = go("experiment=tutorial2018", f"trainer.steps={STEPS}", began=began)
    assert values["model"]["value_range"] == [-1, 1]
    assert values["resume"] == "latest"


def test_the_experiment_may_be_said_again_with_more_steps(go: Go) -> None:
    values = go("experiment=tutorial2018", "trainer.steps=600", began=("experiment=tutorial2018",))
    assert (values["trainer"]["steps"], values["schedule"]["steps"]) == (600, STEPS)


def test_a_default_that_the_experiment_had_changed_is_refused(go: Go) -> None:
    with pytest.raises(OptionError, match=r"^model.residual=True: run .* began with False"):
        go("model.residual=true", began=("experiment=tutorial2018",))


@pytest.mark.parametrize(("began", "now"), [("mlflow", "none"), ("none", "mlflow")])
def test_tracking_may_be_switched(go: Go, composed: Composed, began: str, now: str) -> None:
    values = go(f"tracking={now}", began=(f"tracking={began}",))
    assert values["tracking"] == composed("train", f"tracking={now}")["tracking"]
    experiment_of(values)


def test_the_data_folder_may_have_moved(go: Go) -> None:
    """`paths` may change: then the images are looked for where it says."""
    began = ("data=t91", "benchmark=set5", "paths.data_dir=/old")
    values = go("paths.data_dir=/new", began=began)
    assert values["data"]["train_dir"] == "/new/t91"
    assert values["benchmark"]["set5"]["dir"] == "/new/set5"


def folders(tmp_path: Path, *names: str) -> list[str]:
    for name in names:
        (tmp_path / name).mkdir(parents=True)
    return [str(tmp_path / name) for name in names]


def test_a_folder_that_was_typed_is_taken(go: Go) -> None:
    """The images themselves are compared; data=folder says nothing of the other folders."""
    began = ("data=folder", "data.train_dir=[/a,/b]", "data.val_dir=/v")
    for given in (["++data.train_dir=/new"], ["data=folder", "data.train_dir=/new"]):
        values = go(*given, began=began)
        assert (values["data"]["train_dir"], values["data"]["val_dir"]) == ("/new", "/v")
    values = go("++data.val_dir=/new", began=began)
    assert (values["data"]["train_dir"], values["data"]["val_dir"]) == (["/a", "/b"], "/new")


def test_a_data_folder_that_moved_is_found_where_it_is_now(
    tmp_path: Path, composed: Composed
) -> None:
    """`SREXP_DATA_DIR` says another place than when the run began, and nothing was typed."""
    old, new = folders(tmp_path, "old/t91", "new/t91")
    began = composed("train", "data=t91", f"paths.data_dir={tmp_path / 'old'}")
    run = RunFolder.create(tmp_path / "out", "n", began, "")
    run.release()
    now = composed("train")
    now["paths"]["data_dir"] = str(tmp_path / "new")
    assert resumed(run, now, [])["data"]["train_dir"] == old, "it is still there"
    Path(old).rmdir()
    values = resumed(run, now, [])
    assert (values["data"]["train_dir"], values["paths"]["data_dir"]) == (new, f"{tmp_path}/new")
    Path(new).rmdir()
    assert resumed(run, now, [])["data"]["train_dir"] == old


def test_a_folder_that_is_gone_is_said_with_the_key_that_names_it(
    tmp_path: Path, composed: Composed
) -> None:
    (there,) = folders(tmp_path, "there")
    run = RunFolder.create(tmp_path, "n", composed("train"), "")
    run.release()
    check_folders(run, {"data": {"train_dir": [there], "val_dir": None}})
    for data, said in (
        ({"train_dir": "/gone"}, "data.train_dir=/gone: .* data.train_dir=DIR$"),
        (
            {"train_dir": [there, "/gone"]},
            r"data.train_dir=/gone: .* 'data.train_dir=\[DIR,DIR\]'$",
        ),
        ({"val_dir": "/gone"}, "data.val_dir=/gone: .* data.val_dir=DIR$"),
    ):
        with pytest.raises(OptionError, match=f"^{said}"):
            check_folders(run, {"data": data, "paths": {"data_dir": "/gone"}})


@pytest.mark.parametrize(
    ("override", "hint"),
    [("trainer.step=3", "; did you mean trainer.steps?"), ("++optimizer.momentum=0.3", "")],
)
def test_a_key_that_the_run_does_not_have(go: Go, override: str, hint: str) -> None:
    """The command line lets keys through that today's defaults do not have."""
    with pytest.raises(OptionError, match=r"^[a-z_.]+: run .* has no such key") as caught:
        go(override if override.startswith("++") else f"++{override}")
    assert hint in str(caught.value)


def test_the_first_protocol_made_the_training_pairs(go: Go) -> None:
    began = ("protocol=[rgb,y_paper,y_of_rgb]",)
    values = go("protocol=[rgb,y_of_rgb,y_paper]", began=began)
    assert list(values["protocol"]) == ["rgb", "y_of_rgb", "y_paper"]
    with pytest.raises(OptionError, match=r"^protocol\.name=y_paper: run .* began with rgb"):
        go("protocol=[y_paper,rgb,y_of_rgb]", began=began)


def test_what_has_no_effect_may_be_said_otherwise(go: Go) -> None:
    values = go("data.prepare_size=64", "optimizer.clip_norm=1", began=("optimizer.clip_norm=1.0",))
    assert values["data"]["prepare_size"] == 64


@pytest.mark.parametrize("begun", [True, False])
def test_code_that_was_changed_would_go_on_to_other_weights(
    tmp_path: Path, composed: Composed, begun: bool
) -> None:
    values = composed("train", "degradation=chain")
    for info, said in (
        ({"results_version": RESULTS_VERSION, "sources": {"act": "an older one"}},
         "the code of act=leaky_relu was changed since it began"),
        ({"results_version": RESULTS_VERSION, "sources": {"degradation.links.3": "jpeg 0.1"}},
         "the code of degradation.links.3=jpeg was changed since it began"),
        ({"results_version": RESULTS_VERSION + 1}, "was begun by a newer srexp"),
        ({}, "was begun by an older srexp"),
    ):  # fmt: skip
        run = RunFolder.create(tmp_path, "n", values, "", **info)
        run.set_status("INTERRUPTED", progress={"step": 5})
        run.release()
        if not begun:  # without a checkpoint it begins anew
            assert resumed(run, values, []) == values
            continue
        (run.checkpoints / "best.npz").touch()
        message = f"^resume={run.id}: {said}.*: python -m srexp train init_from={run.typed()}$"
        with pytest.raises(OptionError, match=message):
            resumed(run, values, [])


def test_a_run_can_only_grow(go: Go) -> None:
    with pytest.raises(OptionError, match=r"^trainer.steps=40: run .* has done 50 steps already"):
        go("trainer.steps=40")
    assert go("trainer.steps=50")["trainer"]["steps"] == 50


def test_a_finished_run_goes_on_only_with_more_steps(go: Go) -> None:
    with pytest.raises(OptionError, match=r"finished, all of its 300 steps; trainer\.steps=N"):
        go(status="FINISHED", step=300)
    values = go("trainer.steps=301", status="FINISHED", step=300)
    assert values["trainer"]["steps"] == 301
    # Stopped by max_minutes it is finished too, with steps left.
    assert go(status="FINISHED", step=120)["trainer"]["steps"] == 300


def test_a_run_that_is_running_is_refused(go: Go) -> None:
    import os

    with pytest.raises(OptionError, match=f"it is running now .process {os.getpid()}."):
        go(status="RUNNING", held=True)
    assert go(status="RUNNING")["trainer"]["steps"] == 300  # killed: its process is gone


def test_what_may_change_exists(composed: Composed) -> None:
    """A key that was renamed would silently fall out of the list."""
    keys = flatten(composed())
    for allowed in MAY_CHANGE:
        assert any(key == allowed or key.startswith(f"{allowed}.") for key in keys), allowed
