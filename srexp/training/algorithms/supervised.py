"""Supervised training: the network's images come closer to HR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.training.algorithms.base import Algorithm

if TYPE_CHECKING:
    import keras

    from srexp.losses.base import Loss, LossFunction
    from srexp.models.base import Comparison
    from srexp.training.experiment import Experiment
    from srexp.training.learner import Learner
    from srexp.training.strategy import Strategy


@dataclass(kw_only=True)
class Supervised(Algorithm, name="supervised"):
    """One network, one optimizer, one loss (of one or several terms) between SR and HR.

    What of them is compared is the model's affair (`Model.comparison`).
    """

    def curves(self, loss: Loss) -> tuple[str, ...]:
        terms = loss.terms_given
        if len(terms) == 1:
            return ("loss",)
        return ("loss", *(f"loss_{name}" for name in terms)) if terms else ()

    def build(self, experiment: Experiment, network: keras.Model, strategy: Strategy) -> Learner:
        return supervised(
            network,
            experiment.build_optimizer(),
            experiment.build_loss(),
            comparison=experiment.model.comparison(network),
            rates=experiment.model.rates,
            strategy=strategy,
            jit_compile=bool(experiment.trainer.jit_compile),
            mixed_precision=experiment.trainer.mixed_precision,
        )


def supervised(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: LossFunction,
    *,
    comparison: Comparison | None = None,
    rates: Mapping[str, float] | None = None,
    strategy: Strategy | None = None,
    jit_compile: bool = False,
    mixed_precision: bool = False,
) -> Learner:
    """As `Supervised.build`, of what is made already."""
    import tensorflow as tf

    from srexp.models.base import Model
    from srexp.training.learner import Learner, Trained, total
    from srexp.training.strategy import Strategy

    strategy = strategy or Strategy()
    compare = comparison or Model().comparison(network)
    trained = Trained(network, optimizer, mixed_precision, rates or {})

    def step(inputs: Any, hr: Any, number: Any) -> dict[str, Any]:
        def compute(inputs: Any, hr: Any) -> tuple[dict[str, Any], list[Any]]:
            with tf.GradientTape() as tape:
                terms: dict[str, Any] = {}
                for sr, target, weight in compare(inputs, hr):
                    for name, value in loss(target, tf.cast(sr, tf.float32), number).items():
                        value = value if weight == 1 else weight * value
                        terms[name] = terms[name] + value if name in terms else value
                scalars = total(terms, network.losses)
                scaled = trained.scale(scalars["loss"])
            return scalars, tape.gradient(scaled, network.trainable_variables)

        scalars, gradients = strategy.mean(compute, network.trainable_variables, inputs, hr)
        trained.apply(gradients)
        return scalars

    return Learner({"model": trained}, step, strategy=strategy, jit_compile=jit_compile)
