"""Learning-rate schedules (`schedule=...`): functions of the step alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srexp.options import OptionError, Options, bounded
from srexp.words import count

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class Schedule(Options, group="schedule"):
    """Learning rate over the steps of a run."""

    def build(
        self, learning_rate: float
    ) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """A Keras schedule (or the number itself) that starts from `learning_rate`."""
        raise NotImplementedError


@dataclass(kw_only=True)
class Constant(Schedule, name="constant"):
    """The same learning rate throughout."""

    def build(self, learning_rate: float) -> float:
        return learning_rate


@dataclass(kw_only=True)
class Cosine(Schedule, name="cosine"):
    """Linear warm-up, then half a cosine down to a fraction. Loshchilov and Hutter, 2017.

    Attributes:
        steps: Where the cosine ends, warm-up included; the rate stays there afterwards.
        warmup_steps: Steps of the linear rise from 0.
        final_fraction: Of the learning rate, at the end.
    """

    steps: int = bounded(1)
    warmup_steps: int = bounded(0)
    final_fraction: float = bounded(0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup_steps >= self.steps:
            raise OptionError(
                f"warmup_steps={self.warmup_steps}: must be fewer than the "
                f"{count(self.steps, 'step')} of the schedule "
                "(schedule.warmup_steps=0 turns the warm-up off)",
                "warmup_steps",
            )

    def build(self, learning_rate: float) -> keras.optimizers.schedules.LearningRateSchedule:
        import keras

        return keras.optimizers.schedules.CosineDecay(
            # Keras takes `initial_learning_rate` as the start of the warm-up where there is one.
            initial_learning_rate=0.0 if self.warmup_steps else learning_rate,
            decay_steps=self.steps - self.warmup_steps,
            alpha=self.final_fraction,
            warmup_target=learning_rate if self.warmup_steps else None,
            warmup_steps=self.warmup_steps,
        )


@dataclass(kw_only=True)
class Step(Schedule, name="step"):
    """Multiplied by `factor` every `every` steps.

    Attributes:
        every: Steps between two drops.
        factor: What the rate is multiplied by at each.
    """

    every: int = bounded(1)
    factor: float = bounded(above=0, high=1)

    def build(self, learning_rate: float) -> keras.optimizers.schedules.LearningRateSchedule:
        import keras

        return keras.optimizers.schedules.ExponentialDecay(
            learning_rate, decay_steps=self.every, decay_rate=self.factor, staircase=True
        )
