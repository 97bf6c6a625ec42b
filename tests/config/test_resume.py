"""Going on with a run: what may change, and what would change its past."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.config.resume import MAY_CHANGE, resumed
from srexp.config.settings import experiment_of
from srexp.options import OptionError, flatten
from srexp.tracking.record import RunFolder

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


def test_a_run_can_only_grow(go: Go) -> None:
    with pytest.raises(OptionError, match=r"^trainer.steps=40: run .* has done 50 steps already"):
        go("trainer.steps=40")
    assert go("trainer.steps=50")["trainer"]["steps"] == 50


def test_a_finished_run_goes_on_only_with_more_steps(go: Go) -> None:
    with pytest.raises(OptionError, match=r"finished, all 300 steps of it; trainer\.steps=N"):
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
