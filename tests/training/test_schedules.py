"""Learning rates against closed forms, at every step that a reader may ask about."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from srexp.options import OptionError
from srexp.training.schedules import Constant, Cosine, Schedule, Step

RATE = 0.02


def rate(schedule: Schedule, step: int) -> float:
    built = schedule.build(RATE)
    return float(built(step)) if callable(built) else built


def cosine(steps: int, warmup: int, final: float) -> Callable[[int], float]:
    """Loshchilov and Hutter, 2017, equation 5, after a straight line from 0."""

    def at(step: int) -> float:
        if step < warmup:
            return RATE * step / warmup
        done = min(1.0, (step - warmup) / (steps - warmup))
        return RATE * (final + (1 - final) * (1 + math.cos(math.pi * done)) / 2)

    return at


@pytest.mark.parametrize("step", [0, 1, 10**6])
def test_constant(step: int) -> None:
    assert rate(Constant(), step) == RATE


@pytest.mark.parametrize("steps", [100, 7])
@pytest.mark.parametrize("warmup", [0, 1, 5])
@pytest.mark.parametrize("final", [0.0, 0.01, 1.0])
def test_cosine(steps: int, warmup: int, final: float) -> None:
    schedule = Cosine(steps=steps, warmup_steps=warmup, final_fraction=final)
    wanted = cosine(steps, warmup, final)
    for step in {0, 1, 2, warmup, warmup + 1, steps // 2, steps - 1, steps, steps + 1, 10 * steps}:
        assert rate(schedule, step) == pytest.approx(wanted(step), rel=1e-5, abs=1e-8), step


def test_cosine_by_hand() -> None:
    schedule = Cosine(steps=100, warmup_steps=0, final_fraction=0.1)
    # Full at the start, the mean of both ends half-way, a tenth at the end and ever after.
    for step, wanted in ((0, 0.02), (50, 0.011), (100, 0.002), (5000, 0.002)):
        assert rate(schedule, step) == pytest.approx(wanted, rel=1e-5)
    warm = Cosine(steps=100, warmup_steps=20, final_fraction=0.1)
    for step, wanted in ((0, 0), (5, 0.005), (10, 0.01), (20, 0.02), (60, 0.011), (100, 0.002)):
        assert rate(warm, step) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("step", "drops"),
    [(0, 0), (1, 0), (299, 0), (300, 1), (301, 1), (599, 1), (600, 2), (3000, 10)],
)
def test_step(step: int, drops: int) -> None:
    assert rate(Step(every=300, factor=0.5), step) == pytest.approx(RATE * 0.5**drops, rel=1e-5)
    assert rate(Step(every=300, factor=1.0), step) == pytest.approx(RATE, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: Cosine(steps=10, warmup_steps=10, final_fraction=0.1), "warmup_steps"),
        (lambda: Cosine(steps=0, warmup_steps=0, final_fraction=0.1), "steps"),
        (lambda: Cosine(steps=10, warmup_steps=-1, final_fraction=0.1), "warmup_steps"),
        (lambda: Cosine(steps=10, warmup_steps=0, final_fraction=1.1), "final_fraction"),
        (lambda: Step(every=0, factor=0.5), "every"),
        (lambda: Step(every=10, factor=0.0), "factor"),
        (lambda: Step(every=10, factor=1.5), "factor"),
    ],
)
def test_refuses(make: Callable[[], Schedule], key: str) -> None:
    with pytest.raises(OptionError, match=f"^{key}=.*must be") as caught:
        make()
    assert caught.value.key == key
