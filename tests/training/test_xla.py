"""XLA where nobody chose it: measured in long runs, remembered, kept; the training is the same."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tests_session import begin, finish, go_on, pictures, state, stop_at, tiny

from srexp.training import xla
from srexp.training.session import Session


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Every run is long enough, and nothing is remembered of before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(xla, "STEPS", 1)
    monkeypatch.setattr(xla, "SECONDS", 0.0)
    monkeypatch.setattr(xla, "_EACH", 0.01)
    return monkeypatch


def values(tmp_path: Path, xla: str) -> dict[str, Any]:
    return tiny(pictures(tmp_path / "in"), f"trainer.jit_compile={xla}")


def chosen(session: Session) -> bool:
    return bool(session.experiment.trainer.jit_compile)


@pytest.mark.parametrize("faster", [False, True])
def test_measuring_changes_nothing_of_the_training(
    tmp_path: Path, measured: pytest.MonkeyPatch, faster: bool
) -> None:
    measured.setattr(xla, "CLEARLY", 0.0 if faster else 1e9)
    session = begin(tmp_path / "a", values(tmp_path, "null"))
    times = session.choose_xla(print)
    assert times is not None and times.faster == faster == chosen(session)
    assert times.without > 0 and times.xla > 0 and times.took is not None and times.took > 0
    assert f"trainer.jit_compile={str(faster).lower()}" in str(times)
    asked = begin(tmp_path / "b", values(tmp_path, str(faster).lower()))
    assert asked.choose_xla(print) is None and chosen(asked) == faster
    assert state(finish(session)) == state(finish(asked))


def test_it_is_remembered_for_the_same_step_alone(
    tmp_path: Path, measured: pytest.MonkeyPatch
) -> None:
    first = begin(tmp_path / "a", values(tmp_path, "null")).choose_xla(print)
    again = begin(tmp_path / "b", values(tmp_path, "null")).choose_xla(print)
    assert first is not None and again is not None
    assert (again.without, again.xla, again.took) == (first.without, first.xla, None)
    wider = {**values(tmp_path, "null")}
    wider["model"] = {**wider["model"], "filters": 4}
    other = begin(tmp_path / "c", wider).choose_xla(print)
    assert other is not None and other.took is not None
    for path in (tmp_path / "state" / "srexp" / "steps").iterdir():
        path.write_text("damaged")
    anew = begin(tmp_path / "d", values(tmp_path, "null")).choose_xla(print)
    assert anew is not None and anew.took is not None


def test_a_run_goes_on_as_it_began(tmp_path: Path, measured: pytest.MonkeyPatch) -> None:
    measured.setattr(xla, "CLEARLY", 0.0)
    whole = begin(tmp_path / "whole", values(tmp_path, "true"))
    part = begin(tmp_path / "part", values(tmp_path, "null"))
    part.choose_xla(print)
    assert chosen(part)
    surroundings = {"gpus": [], "jit_compile": True}
    (part.run.folder / "environment.json").write_text(json.dumps(surroundings))
    stop_at(part, 10)
    measured.setattr(xla, "CLEARLY", 1e9)  # what would be measured now
    session, _ = go_on(part.run.folder)
    assert session.choose_xla(print) is None and chosen(session)
    assert state(finish(session)) == state(finish(whole))


@pytest.mark.parametrize(
    "given", [("trainer.jit_compile=false",), ("trainer.deterministic=true",)], ids=" ".join
)
def test_it_is_not_measured(
    tmp_path: Path, measured: pytest.MonkeyPatch, given: tuple[str, ...]
) -> None:
    session = begin(tmp_path / "a", tiny(pictures(tmp_path / "in"), *given))
    assert session.choose_xla(print) is None and not chosen(session)


def test_a_short_run_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    session = begin(tmp_path / "a", values(tmp_path, "null"))
    assert session.choose_xla(print) is None and not chosen(session)
    monkeypatch.setattr(xla, "STEPS", 1)  # many steps, but they take no time
    assert session.choose_xla(print) is None and not chosen(session)
    assert not (tmp_path / "state").exists()


def test_a_step_that_xla_cannot_compile_is_trained_without(
    tmp_path: Path, measured: pytest.MonkeyPatch
) -> None:
    session = begin(tmp_path / "a", values(tmp_path, "null"))
    before = session.learner.arrays()

    def strange(values: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda array: array, [values], tf.float32)

    by_xla = session._by_xla

    def with_python() -> Any:
        learner = by_xla()
        step = learner._traced
        learner._traced = lambda i, hr, n: {k: strange(v) for k, v in step(i, hr, n).items()}
        return learner

    measured.setattr(session, "_by_xla", with_python)
    times = session.choose_xla(print)
    assert times is not None and math.isinf(times.xla) and not times.faster
    assert "a step cannot be compiled by XLA" in str(times) and not chosen(session)
    after = session.learner.arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    again = begin(tmp_path / "b", values(tmp_path, "null")).choose_xla(print)
    assert again is not None and again.took is None and math.isinf(again.xla)
