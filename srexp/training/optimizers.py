"""Optimizers (`optimizer=...`): Keras' own, with Keras' own clipping, accumulation and EMA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.options import OptionError, Options, bounded
from srexp.training.schedules import Schedule

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class Optimizer(Options, group="optimizer"):
    """What turns gradients into steps.

    Attributes:
        learning_rate: At the start, or at the end of the warm-up.
        clip_norm: Largest norm of all gradients together; None for no clipping.
        accumulate: Steps whose gradients are averaged before the weights move; 1 for none.
    """

    learning_rate: float = bounded(above=0, high=1000)
    clip_norm: float | None = bounded(above=0)
    accumulate: int = bounded(1, 1024)

    def build(self, schedule: Schedule, *, ema: float | None) -> keras.optimizers.Optimizer:
        """The Keras optimizer.

        Args:
            schedule: Learning rate over the steps.
            ema: Momentum of the running average of the weights; None for none.
        """
        common: dict[str, Any] = {
            "learning_rate": schedule.build(self.learning_rate),
            "global_clipnorm": self.clip_norm,
            "gradient_accumulation_steps": self.accumulate if self.accumulate > 1 else None,
            "use_ema": ema is not None,
        }
        if ema is not None:
            common["ema_momentum"] = ema
        return self._make(common)

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        raise NotImplementedError


@dataclass(kw_only=True)
class SGD(Optimizer, name="sgd"):
    """Stochastic gradient descent with momentum."""

    momentum: float = bounded(0, 1)
    nesterov: bool

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without `nesterov` where there is no momentum."""
        return values if values.get("momentum") else {**values, "nesterov": False}

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        import keras

        return keras.optimizers.SGD(momentum=self.momentum, nesterov=self.nesterov, **common)


@dataclass(kw_only=True)
class Adam(Optimizer, name="adam"):
    """Kingma and Ba, 2015; epsilon before the bias correction, as at the end of section 2."""

    beta_1: float = bounded(0, 1)
    beta_2: float = bounded(0, 1)
    epsilon: float = bounded(above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("beta_1", "beta_2"):
            if getattr(self, key) == 1:
                raise OptionError(f"{key}=1: must be below 1", key)

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        import keras

        return keras.optimizers.Adam(
            beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, **common
        )


@dataclass(kw_only=True)
class AdamW(Adam, name="adamw"):
    """Adam with decoupled weight decay. Loshchilov and Hutter, 2019, algorithm 2."""

    weight_decay: float = bounded(0, 1)

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        import keras

        return keras.optimizers.AdamW(
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
            **common,
        )
