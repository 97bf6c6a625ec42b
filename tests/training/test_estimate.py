"""How large a training would be, and how long it would take."""

from __future__ import annotations

import pytest

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.training.estimate import estimate, forward_seconds
from srexp.training.experiment import Experiment


def _experiment(*overrides: str) -> Experiment:
    tiny = ["model.filters=4", "trainer.batch_size=2", "trainer.hr_patch_size=12"]
    return experiment_of(compose(overrides=[*tiny, *overrides]))


def test_the_lightest_and_the_heaviest_are_timed_the_others_lie_between() -> None:
    found = estimate([_experiment(f"model.depth={depth}") for depth in (3, 2, 16)])
    assert [each.measured for each in found] == [False, True, True]
    # From 3 to 4 channels, from 4 to 4, from 4 to 3, kernels of 9, and the biases.
    assert [each.cost.parameters for each in found] == [
        9 * (12 + 12 + 16 * n) + 4 * (n + 1) + 3 for n in (1, 0, 14)
    ]
    work = [each.cost.multiply_adds for each in found]
    seconds = [each.step_seconds for each in found]
    assert 0 < seconds[1] < seconds[2]
    share = (work[0] - work[1]) / (work[2] - work[1])
    assert seconds[0] == pytest.approx(seconds[1] + share * (seconds[2] - seconds[1]))


def test_trainings_alike_are_timed_once() -> None:
    found = estimate([_experiment(f"seed={seed}") for seed in range(3)])
    assert [each.measured for each in found].count(True) == 1
    assert len({each.step_seconds for each in found}) == 1


def test_a_third_of_a_step_is_its_forward_pass() -> None:
    """2 patches of 12x12 in 3 s: one second forward for 288 pixels."""
    assert forward_seconds(_experiment(), 3.0, 576) == pytest.approx(2.0)
