"""A network with its optimizer and loss: the compiled step, and all state that a run has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srexp.losses.base import LossFunction
from srexp.options import OptionError
from srexp.training.checkpoint import CheckpointError
from srexp.training.strategy import Strategy


class Learner:
    """Owns the variables of a run.

    Attributes:
        network: The Keras model, `[N, h, w, C]` -> `[N, H, W, C]`.
        step: `step(inputs, hr)` updates the weights once and returns the loss before the update,
            that of the whole batch.
        strategy: Where it runs.
    """

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: LossFunction,
        *,
        jit_compile: bool,
        mixed_precision: bool,
        strategy: Strategy | None = None,
    ) -> None:
        """Raises OptionError: the network cannot be trained under the strategy."""
        self.network = network
        self.strategy = strategy or Strategy()
        if self.strategy.description and network.non_trainable_variables:
            # Noise, and moving averages over a part of the batch: not what one device computes.
            raise OptionError(
                "trainer.strategy: the network has state beside its weights (such as "
                "BatchNormalization or Dropout have), which replicas do not share; "
                "trainer.strategy=none trains it"
            )
        self.uses_ema = optimizer.use_ema
        if mixed_precision:
            # Before building: gradients of float16 activations vanish without the scaling.
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(network.trainable_variables)
        self.optimizer = optimizer
        # Nothing in it branches on data: without AutoGraph it is traced in half the time.
        self.step = tf.function(self._make_step(loss), jit_compile=jit_compile, autograph=False)

    def _make_step(self, loss: LossFunction) -> Any:
        network, optimizer, strategy = self.network, self.optimizer, self.strategy

        def compute(inputs: tf.Tensor, hr: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                sr = tf.cast(network(inputs, training=True), tf.float32)
                value = loss(hr, sr)
                if network.losses:  # of weight regularisers, where a model has any
                    value += tf.add_n(network.losses)
                scaled = optimizer.scale_loss(value)
            return value, tape.gradient(scaled, network.trainable_variables)

        def step(inputs: tf.Tensor, hr: tf.Tensor) -> tf.Tensor:
            value, gradients = strategy.mean(compute, network.trainable_variables, inputs, hr)
            optimizer.apply(gradients, network.trainable_variables)
            return value

        return step

    def learning_rate(self) -> float:
        """At the next step."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that changes during training: weights, optimizer, EMA, counters."""
        return {
            f"{part}/{index:04d}": np.asarray(variable)
            for part, variables in self._variables().items()
            for index, variable in enumerate(variables)
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Inverse of `arrays`.

        Raises:
            CheckpointError: The arrays are of another network or optimizer.
        """
        variables = {
            f"{part}/{index:04d}": variable
            for part, group in self._variables().items()
            for index, variable in enumerate(group)
        }
        if set(variables) != set(arrays):
            raise CheckpointError(
                f"the checkpoint holds {len(arrays)} arrays, the run has {len(variables)}: "
                "it is of another network or optimizer"
            )
        for name, variable in variables.items():
            if tuple(variable.shape) != arrays[name].shape:
                raise CheckpointError(
                    f"{name} has shape {arrays[name].shape} in the checkpoint and "
                    f"{tuple(variable.shape)} here: it is of another network"
                )
        for name, variable in variables.items():
            variable.assign(arrays[name])

    def set_weights(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over a network's scored weights: `trained.scored_weights`."""
        current = self.arrays()
        network = {k: v for k, v in arrays.items() if k.startswith("model/")}
        # The average of the weights begins where the weights do.
        self.restore({**current, **network})

    def synchronise(self, step: int) -> None:
        """Give every process the chief's state, which it has but for rounding of the start.

        Args:
            step: Where this process is.

        Raises:
            OptionError: The processes are at different steps.
        """
        if self.strategy.workers == 1:
            return
        self.strategy.check_same(str(step), "checkpoint")
        own = self.arrays()
        vector = np.concatenate([array.astype(np.float64).ravel() for array in own.values()])
        ends = np.cumsum([array.size for array in own.values()])[:-1]
        parts = np.split(self.strategy.chiefs(vector), ends)
        self.restore(
            {
                name: part.reshape(array.shape).astype(array.dtype)
                for (name, array), part in zip(own.items(), parts, strict=True)
            }
        )

    def _variables(self) -> dict[str, list[Any]]:
        return {"model": self.network.variables, "optimizer": self.optimizer.variables}

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(np.isfinite(np.asarray(v)).all() for v in self.network.trainable_variables)

    @contextmanager
    def scored_weights(self) -> Iterator[None]:
        """The weights that are scored: the running average where there is one."""
        if not self.uses_ema:
            yield
            return
        raw = [np.asarray(v) for v in self.network.trainable_variables]
        self.optimizer.finalize_variable_values(self.network.trainable_variables)
        try:
            yield
        finally:
            for variable, value in zip(self.network.trainable_variables, raw, strict=True):
                variable.assign(value)
