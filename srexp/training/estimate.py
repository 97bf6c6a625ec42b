"""How large a training would be, and how long it would take, from a few steps on noise."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from srexp.evaluation import cost
from srexp.training.experiment import Experiment
from srexp.training.session import build_learner, build_network

# Steps that are timed, after one that compiles; fewer where they take longer than that.
STEPS = 5
_SECONDS = 3.0
# A step is a forward and a backward pass, and the latter takes about twice as long.
_PASSES = 3


@dataclass(frozen=True)
class Estimate:
    """Attributes:
    cost: Of the network.
    step_seconds: Of one step, on one device.
    measured: Whether its own steps were timed, or those of others.
    """

    cost: cost.Cost
    step_seconds: float
    measured: bool


def estimate(experiments: Sequence[Experiment]) -> list[Estimate]:
    """What each training would take.

    The one with the fewest multiply-adds a step and the one with the most are timed; what lies
    between has a share of the difference by its multiply-adds.
    """
    costs = _costs(experiments)
    work = [_work(e, c) for e, c in zip(experiments, costs, strict=True)]
    ends = sorted({int(np.argmin(work)), int(np.argmax(work))})
    if max(work) == min(work):
        ends = ends[:1]
    seconds = {index: step_seconds(experiments[index]) for index in ends}
    known = sorted((work[index], seconds[index]) for index in ends)
    between = np.interp(work, [w for w, _ in known], [s for _, s in known])
    return [
        Estimate(c, float(s), index in seconds)
        for index, (c, s) in enumerate(zip(costs, between, strict=True))
    ]


def step_seconds(experiment: Experiment) -> float:
    """Median time of a step on patches of noise."""
    learner = build_learner(experiment, build_network(experiment))
    size, scale = experiment.trainer.hr_patch_size, experiment.degradation.scale
    random = np.random.default_rng(0)

    def noise(side: int) -> tf.Tensor:
        shape = (experiment.trainer.batch_size, side, side, experiment.channels)
        return tf.constant(random.random(shape, np.float32))

    lr_side = size // scale
    given = tuple(noise(lr_side * factor) for factor in experiment.model.input_factors(scale))
    inputs, hr = given if len(given) > 1 else given[0], noise(size)
    float(learner.step(inputs, hr, 0)["loss"])  # compiles
    times: list[float] = []
    while len(times) < STEPS and sum(times) < _SECONDS:
        began = time.perf_counter()
        float(learner.step(inputs, hr, len(times) + 1)["loss"])
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def forward_seconds(experiment: Experiment, seconds: float, pixels: int) -> float:
    """About how long the network takes for SR images, from the time of a step.

    Args:
        experiment: Whose step it is.
        seconds: Of a step.
        pixels: Of all SR images.
    """
    return seconds / _PASSES * pixels / _step_pixels(experiment)


def training_seconds(experiment: Experiment, seconds: float) -> float:
    """About how long all steps take, from the time of one of the last patches' size.

    Args:
        experiment: Whose step it is.
        seconds: Of a step.
    """
    # Smaller patches take less, about by their pixels.
    return seconds * experiment.trainer.pixels() / _step_pixels(experiment)


def _step_pixels(experiment: Experiment) -> int:
    """HR pixels of a step, of the last patches' size."""
    return experiment.trainer.batch_size * experiment.trainer.hr_patch_size**2


def _work(experiment: Experiment, measured: cost.Cost) -> float:
    """Multiply-adds of a step's forward pass."""
    return measured.multiply_adds / (cost.WIDTH * cost.HEIGHT) * _step_pixels(experiment)


def _costs(experiments: Sequence[Experiment]) -> list[cost.Cost]:
    known: dict[str, cost.Cost] = {}
    costs = []
    for experiment in experiments:
        scale, model = experiment.degradation.scale, experiment.model
        key = repr((model, experiment.act, scale, experiment.channels))
        if key not in known:
            known[key] = cost.measure(build_network(experiment), model, scale)
        costs.append(known[key])
    return costs
