"""Supervised training: the network's images come closer to HR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.training.algorithms.base import Algorithm

if TYPE_CHECKING:
    import keras

    from srexp.losses.base import Loss, LossFunction
    from srexp.training.experiment import Experiment
    from srexp.training.learner import Learner
    from srexp.training.strategy import Strategy


@dataclass(kw_only=True)
class Supervised(Algorithm, name="supervised"):
    """One network, one optimizer, one loss (of one or several terms) between SR and HR."""

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
            rates=experiment.model.rates,
            strategy=strategy,
            jit_compile=experiment.trainer.jit_compile,
            mixed_precision=experiment.trainer.mixed_precision,
        )


def supervised(
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: LossFunction,
    *,
    rates: Mapping[str, float] | None = None,
    strategy: Strategy | None = None,
    jit_compile: bool = False,
    mixed_precision: bool = False,
) -> Learner:
    """As `Supervised.build`, of what is made already."""
    import tensorflow as tf

    from srexp.training.learner import Learner, Trained, total
    from srexp.training.strategy import Strategy

    strategy = strategy or Strategy()
    trained = Trained(network, optimizer, mixed_precision, rates or {})

    def step(inputs: Any, hr: Any, number: Any) -> dict[str, Any]:
        def compute(inputs: Any, hr: Any) -> tuple[dict[str, Any], list[Any]]:
            with tf.GradientTape() as tape:
                sr = tf.cast(network(inputs, training=True), tf.float32)
                scalars = total(loss(hr, sr, number), network.losses)
                scaled = trained.scale(scalars["loss"])
            return scalars, tape.gradient(scaled, network.trainable_variables)

        scalars, gradients = strategy.mean(compute, network.trainable_variables, inputs, hr)
        trained.apply(gradients)
        return scalars

    return Learner({"model": trained}, step, strategy=strategy, jit_compile=jit_compile)
