"""What holds for every optimizer and every schedule."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.training.schedules import Constant


def test_every_optimizer_goes_downhill(option, optimizer_name: str) -> None:
    options = option("optimizer", optimizer_name)
    optimizer = options.build(Constant(), ema=None)
    variable, target = keras.Variable(np.full((3, 3), 0.5, "float32")), 0.2
    optimizer.build([variable])
    start = np.square(np.asarray(variable) - target).sum()
    for _ in range(max(50, round(0.05 / options.learning_rate))):
        optimizer.apply([2 * (variable.value - target)], [variable])
    assert np.square(np.asarray(variable) - target).sum() < 0.9 * start
    assert float(optimizer.learning_rate) == pytest.approx(options.learning_rate)


def test_every_schedule_starts_and_stays_within_the_learning_rate(
    option, schedule_name: str
) -> None:
    options = option("schedule", schedule_name)
    schedule = options.build(0.01)
    rates = [float(schedule(step)) if callable(schedule) else schedule for step in range(0, 900, 9)]
    assert np.isfinite(rates).all()
    assert rates[0] == pytest.approx(0 if getattr(options, "warmup_steps", 0) else 0.01)
    assert min(rates) >= 0
    assert max(rates) <= 0.01 * (1 + 1e-6)


def test_every_optimizer_takes_every_schedule(
    option, optimizer_name: str, schedule_name: str
) -> None:
    options, schedule = option("optimizer", optimizer_name), option("schedule", schedule_name)
    optimizer = options.build(schedule, ema=0.9)
    variable = keras.Variable(np.ones(2, "float32"))
    optimizer.build([variable])
    wanted = schedule.build(options.learning_rate)
    for step in range(3):
        rate = float(wanted(step)) if callable(wanted) else wanted
        assert float(optimizer.learning_rate) == pytest.approx(rate)
        optimizer.apply([variable.value], [variable])
