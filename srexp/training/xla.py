"""Whether XLA makes a training step faster on this CPU: measured, where a run is long enough.

On some processors it does, on others it takes twice as long (docs/performance.md), so that no
constant is right. What was measured is remembered for this user: `XDG_STATE_HOME/srexp/steps/`.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tensorflow as tf

from srexp import __version__
from srexp.cores import available_cores
from srexp.data.pipeline import Call
from srexp.files import write_atomically
from srexp.paths import state_dir
from srexp.protocol import digest
from srexp.tracking.record import processor
from srexp.training.experiment import Experiment
from srexp.training.learner import Learner

# Steps to be done, and seconds that they take without XLA, from which on it is measured.
STEPS = 1000
SECONDS = 300.0
# How many times as fast a step must be: what noise and compiling cost.
CLEARLY = 1.05
# Alternating measurements of each, and seconds of one.
_ROUNDS, _EACH = 5, 0.5


@dataclass(frozen=True)
class StepTimes:
    """What was measured.

    Attributes:
        without: Seconds of a step without XLA.
        xla: Seconds of a step with it; infinite where it cannot compile it.
        took: Seconds of the measurement; None where it is remembered.
    """

    without: float
    xla: float
    took: float | None

    @property
    def faster(self) -> bool:
        """Whether XLA is to be used."""
        return self.without >= CLEARLY * self.xla

    def __str__(self) -> str:
        when = "measured before" if self.took is None else f"measured in {self.took:.0f} s"
        by_xla = "cannot be compiled" if math.isinf(self.xla) else f"takes {1000 * self.xla:.3g} ms"
        return (
            f"a step {by_xla} by XLA, {1000 * self.without:.3g} ms without ({when}): "
            f"trainer.jit_compile={str(self.faster).lower()}"
        )


def step_times(
    experiment: Experiment,
    learner: Learner,
    by_xla: Callable[[], Learner],
    call: Call,
    first: int,
    say: Callable[[str], None],
) -> StepTimes | None:
    """Measure a step of a training on a CPU, or remember it.

    Args:
        experiment: What is trained.
        learner: Trains it without XLA; has the same state afterwards.
        by_xla: Makes what trains the same network by XLA.
        call: What the next step gets.
        first: Its number.
        say: Is told when measuring begins.

    Returns:
        None where the steps that are left are too few, or too quick, to earn it back.
    """
    left = experiment.trainer.steps - first
    if left < STEPS:
        return None
    shapes = [(tuple(array.shape), array.dtype.name) for array in call.elements]
    name = f"{_key(experiment, shapes)}.json"
    if (known := _remembered(name)) is not None:
        return known
    began = time.perf_counter()
    before = {name: np.array(value) for name, value in learner.arrays().items()}
    try:
        _seconds(learner, call, first, 1)  # it is traced
        quick = min(_seconds(learner, call, first, 1) for _ in range(3))
        if quick * left < SECONDS:
            return None
        say("measuring a step with and without XLA ...")
        without, xla = _in_turn(learner, by_xla, call, first, max(1, round(_EACH / quick)))
    finally:
        learner.restore(before)
    found = StepTimes(without or quick, xla, time.perf_counter() - began)
    _remember(name, found)
    return found


def _remembered(name: str) -> StepTimes | None:
    try:
        kept = json.loads((_folder() / name).read_text(encoding="utf-8"))
        return StepTimes(float(kept["without"]), float(kept["xla"]), None)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None


def _remember(name: str, found: StepTimes) -> None:
    with suppress(OSError, RuntimeError):  # no home that can be written: measured another time
        _folder().mkdir(parents=True, exist_ok=True)
        kept = json.dumps({"without": found.without, "xla": found.xla})
        write_atomically(_folder() / name, kept.encode())


def _folder() -> Path:
    return state_dir() / "steps"


def _in_turn(
    learner: Learner, by_xla: Callable[[], Learner], call: Call, first: int, count: int
) -> tuple[float, float]:
    """Seconds of a step without XLA (0: not measured) and with it."""
    try:
        other = by_xla()
        _seconds(other, call, first, 1)
        pairs = [
            [_seconds(one, call, first, count) for one in (learner, other)] for _ in range(_ROUNDS)
        ]
    except tf.errors.OpError:  # an operation that XLA does not have, or too much memory
        return 0.0, math.inf
    without, xla = (median(times) for times in zip(*pairs, strict=True))
    return without, xla


def _seconds(learner: Learner, call: Call, first: int, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        scalars = learner.steps(call, first)
    np.asarray(next(iter(scalars.values())))  # it is done
    return (time.perf_counter() - began) / count


def _key(experiment: Experiment, shapes: list[tuple[tuple[int, ...], str]]) -> str:
    """Of everything that the time of a step depends on."""
    trainer = experiment.trainer
    parts = (
        processor(), len(available_cores()), trainer.threads, tf.__version__, __version__,
        experiment.model, experiment.act, experiment.loss, experiment.optimizer,
        experiment.algorithm, experiment.degradation.scale, trainer.mixed_precision, trainer.ema,
        shapes,
    )  # fmt: skip
    return digest([repr(part) for part in parts])
