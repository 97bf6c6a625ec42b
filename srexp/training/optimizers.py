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
        clip_value: Largest value of a gradient; None for no clipping.
        clip_value_over_rate: Largest value of a gradient times the learning rate of its weights, so
            that gradients may be larger the smaller the rate is (Kim et al., VDSR, CVPR 2016,
            section 3.2); None for no clipping.
        accumulate: Steps whose gradients are averaged before the weights move; 1 for none.
    """

    learning_rate: float = bounded(above=0, high=1000)
    clip_norm: float | None = bounded(above=0)
    accumulate: int = bounded(1, 1024)
    clip_value: float | None = bounded(above=0, default=None)
    clip_value_over_rate: float | None = bounded(above=0, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = ("clip_norm", "clip_value", "clip_value_over_rate")
        first, *others = [kind for kind in kinds if getattr(self, kind) is not None] or [""]
        if others:
            raise OptionError(
                f"{others[0]}={getattr(self, others[0])}: must be null where {first} is not",
                others[0],
            )

    def build(self, schedule: Schedule, *, ema: float | None) -> keras.optimizers.Optimizer:
        """The Keras optimizer.

        Args:
            schedule: Learning rate over the steps.
            ema: Momentum of the running average of the weights; None for none.
        """
        common: dict[str, Any] = {
            "learning_rate": schedule.build(self.learning_rate),
            "global_clipnorm": self.clip_norm,
            "clipvalue": self.clip_value,
            "gradient_accumulation_steps": self.accumulate if self.accumulate > 1 else None,
            "use_ema": ema is not None,
        }
        if ema is not None:
            common["ema_momentum"] = ema
        made = self._make(common)
        if self.clip_value_over_rate is not None:
            _clip_over_rate(made, self.clip_value_over_rate)
        return made

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        raise NotImplementedError


def _clip_over_rate(optimizer: keras.optimizers.Optimizer, bound: float) -> None:
    """Clip each gradient to ±`bound` over the rate of the step, which Keras' optimizers cannot."""
    from keras import ops

    update_step = optimizer.update_step

    def clipped(gradient: Any, variable: Any, learning_rate: Any) -> None:
        # A warm-up starts at a rate of 0, where any gradient will do.
        largest = bound / ops.maximum(ops.cast(learning_rate, gradient.dtype), 1e-30)
        update_step(ops.clip(gradient, -largest, largest), variable, learning_rate)

    optimizer.update_step = clipped


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
        _below_one(self, "beta_1", "beta_2")

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


@dataclass(kw_only=True)
class Lamb(Adam, name="lamb"):
    """Adam's step, scaled for each variable by its norm over the step's. You et al., 2020."""

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        import keras

        return keras.optimizers.Lamb(
            beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon, **common
        )


@dataclass(kw_only=True)
class Lion(Optimizer, name="lion"):
    """The sign of a mean of gradients. Chen et al., 2023, algorithm 2."""

    beta_1: float = bounded(0, 1)
    beta_2: float = bounded(0, 1)
    weight_decay: float = bounded(0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _below_one(self, "beta_1", "beta_2")
        if not self.beta_1:
            raise OptionError("beta_1=0.0: must be greater than 0", "beta_1")  # as Keras wants it

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        import keras

        return keras.optimizers.Lion(
            beta_1=self.beta_1, beta_2=self.beta_2, weight_decay=self.weight_decay, **common
        )


@dataclass(kw_only=True)
class RMSprop(Optimizer, name="rmsprop"):
    """The gradient over the root of the mean of its squares. Hinton, lecture 6e, 2012."""

    rho: float = bounded(0, 1)
    momentum: float = bounded(0, 1)
    epsilon: float = bounded(above=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _below_one(self, "rho")

    def _make(self, common: dict[str, Any]) -> keras.optimizers.Optimizer:
        import keras

        return keras.optimizers.RMSprop(
            rho=self.rho, momentum=self.momentum, epsilon=self.epsilon, **common
        )


def _below_one(options: Optimizer, *keys: str) -> None:
    for key in keys:
        if getattr(options, key) == 1:
            raise OptionError(f"{key}=1: must be below 1", key)
