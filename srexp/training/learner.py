"""What is trained: networks with their optimizers, the compiled step, all state that a run has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srexp.data.pipeline import Call, Decode
from srexp.options import OptionError
from srexp.training.checkpoint import CheckpointError
from srexp.training.strategy import Strategy
from srexp.training.variables import network_variables, optimizer_variables

# `step(inputs, hr, number)`: updates the weights once, and gives the scalars of before it by name.
Step = Callable[[Any, tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


def _layer(name: str) -> str:
    """`model/conv_1/kernel` -> `conv_1`."""
    return name.partition("/")[2].rpartition("/")[0]


def total(terms: Mapping[str, tf.Tensor], regularisers: Sequence[tf.Tensor]) -> dict[str, Any]:
    """`loss`, the sum of all; and of several terms `loss_TERM` for each.

    Args:
        terms: Of a loss.
        regularisers: Of the weights, where a network has any.
    """
    loss = tf.add_n([*terms.values(), *regularisers])
    several = {f"loss_{name}": value for name, value in terms.items()} if len(terms) > 1 else {}
    return {"loss": loss, **several}


@dataclass
class Trained:
    """A network and the optimizer that moves its weights.

    Attributes:
        network: The network.
        optimizer: Keras' optimizer, with loss scaling in mixed precision.
        mixed_precision: Whether the network computes in float16.
        rates: Layer -> what the learning rate of its weights is multiplied by.
        averages: Where the optimizer averages the weights: averages, by the same momentum, of the
            statistics that belong to them (BatchNormalization's), by the names of these.
    """

    network: keras.Model
    optimizer: keras.optimizers.Optimizer
    mixed_precision: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.uses_ema = self.optimizer.use_ema
        if self.rates:
            _multiply_rates(self.optimizer, self._factors())
        if self.mixed_precision:
            # Before building: gradients of float16 activations vanish without the scaling.
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self.optimizer.build(self.network.trainable_variables)
        statistics = set(map(id, self.network.non_trainable_variables))
        self._statistics = {
            name: variable
            for name, variable in network_variables(self.network).items()
            if self.uses_ema and id(variable) in statistics and "float" in variable.dtype
        }
        self.averages = {
            name: keras.Variable(variable, trainable=False, name="average")
            for name, variable in self._statistics.items()
        }

    def _factors(self) -> list[float]:
        """Of each trainable variable."""
        names = {id(v): name for name, v in network_variables(self.network).items()}
        unknown = set(self.rates)
        factors = []
        for variable in self.network.trainable_variables:
            layer = next((r for r in self.rates if names[id(variable)].startswith(f"{r}/")), None)
            factors.append(1.0 if layer is None else self.rates[layer])
            unknown.discard(layer or "")
        if unknown:
            raise ValueError(f"rates: the network has no layer {', '.join(sorted(unknown))}")
        return factors

    def scale(self, loss: tf.Tensor) -> tf.Tensor:
        """What is differentiated in place of the loss."""
        return self.optimizer.scale_loss(loss)

    def apply(self, gradients: Sequence[tf.Tensor | None]) -> None:
        """Move the weights; the gradients are of `scale(loss)`, in the variables' order."""
        self.optimizer.apply(gradients, self.network.trainable_variables)
        if self.averages:
            inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
            # As Keras' own: the average begins as the value after the first step.
            momentum = keras.ops.where(inner.iterations > 1, inner.ema_momentum, 0.0)
            for name, average in self.averages.items():
                now = keras.ops.cast(self._statistics[name], average.dtype)
                average.assign(momentum * average + (1 - momentum) * now)

    def use_averages(self) -> None:
        """Put the running averages where the weights and their statistics are."""
        self.optimizer.finalize_variable_values(self.network.trainable_variables)
        for name, average in self.averages.items():
            self._statistics[name].assign(average)


def _multiply_rates(optimizer: keras.optimizers.Optimizer, factors: Sequence[float]) -> None:
    """Give each variable a learning rate of its own, which Keras' optimizers do not know."""
    update_step = optimizer.update_step

    def multiplied(gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = factors[optimizer._get_variable_index(variable)]
        update_step(gradient, variable, learning_rate * factor)

    optimizer.update_step = multiplied


class Learner:
    """Owns the variables of a run.

    Attributes:
        network: The network that is scored, `[N, h, w, C]` -> `[N, H, W, C]`.
        optimizer: Its optimizer.
        strategy: Where the step runs.
    """

    def __init__(
        self,
        parts: Mapping[str, Trained],
        step: Step,
        *,
        strategy: Strategy,
        jit_compile: bool,
    ) -> None:
        """Args:
        parts: The networks that are trained; the first one is the one that is scored.
        step: One update.
        strategy: Where it runs.
        jit_compile: By XLA.

        Raises:
            OptionError: A network cannot be trained under the strategy.
        """
        self.parts = dict(parts)
        self.strategy = strategy
        scored = next(iter(parts.values()))
        self.network, self.optimizer = scored.network, scored.optimizer
        self.uses_ema = scored.uses_ema
        stateful = any(part.network.non_trainable_variables for part in parts.values())
        if strategy.description and stateful:
            # Noise, and moving averages over a part of the batch: not what one device computes.
            raise OptionError(
                "trainer.strategy: the network has state beside its weights (such as "
                "BatchNormalization or Dropout have), which replicas do not share; "
                "trainer.strategy=none trains it"
            )
        self._traced, self._jit_compile = step, jit_compile
        # Nothing in it branches on data: without AutoGraph it is traced in half the time.
        self._step = tf.function(step, jit_compile=jit_compile, autograph=False)
        self._compiled: dict[Decode, Callable[..., dict[str, tf.Tensor]]] = {}

    def step(self, inputs: Any, hr: tf.Tensor, number: int) -> dict[str, tf.Tensor]:
        """Update the weights once.

        Args:
            inputs: What the network gets, `[N, h, w, C]`; several are a tuple.
            hr: `[N, H, W, C]`.
            number: Of the step, from 0.

        Returns:
            Scalars of the whole batch before the update: `loss`, and what else the algorithm logs.
        """
        return self._step(inputs, hr, tf.constant(number, tf.int32))

    def steps(self, call: Call, first: int) -> dict[str, tf.Tensor]:
        """Update the weights `call.steps` times, without Python in between.

        Args:
            call: What the steps get.
            first: Number of the first of them.

        Returns:
            As `step`, `[K]` each, of which the first `call.steps` count.
        """
        if call.decode not in self._compiled:
            self._compiled[call.decode] = self._compile(call)
        count, number = (tf.constant(value, tf.int32) for value in (call.steps, first))
        return self._compiled[call.decode](call.elements, count, number)

    def _compile(self, call: Call) -> Callable[..., dict[str, tf.Tensor]]:
        most = call.elements[0].shape[0]

        def one(elements: tuple[tf.Tensor, ...], number: tf.Tensor) -> dict[str, tf.Tensor]:
            # Replicas are sent their shares from there.
            with tf.device("/device:CPU:0" if self.strategy.description else None):
                inputs, hr = call.decode(elements)
            return self._traced(inputs, hr, number)

        if most == 1:

            def alone(elements: Any, count: tf.Tensor, first: tf.Tensor) -> dict[str, tf.Tensor]:
                del count  # it is 1
                given = one(tuple(array[0] for array in elements), first)
                return {name: value[None] for name, value in given.items()}

            return tf.function(alone, jit_compile=self._jit_compile, autograph=False)

        # Traced by itself, since a loop wants to know beforehand what it will gather.
        step = tf.function(one, autograph=False)
        like = tuple(tf.TensorSpec(a.shape[1:], a.dtype) for a in call.elements)
        traced = step.get_concrete_function(like, tf.TensorSpec((), tf.int32))
        names = sorted(traced.structured_outputs)

        def several(elements: Any, count: tf.Tensor, first: tf.Tensor) -> dict[str, tf.Tensor]:
            def body(index: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                given = step(tuple(array[index] for array in elements), first + index)
                row = tf.stack([tf.cast(given[name], tf.float32) for name in names])
                return index + 1, tf.tensor_scatter_nd_update(rows, [[index]], [row])

            empty = tf.zeros((most, len(names)), tf.float32)
            _, rows = tf.while_loop(
                lambda index, _: index < count, body, (tf.constant(0), empty), parallel_iterations=1
            )
            return {name: rows[:, place] for place, name in enumerate(names)}

        return tf.function(several, jit_compile=self._jit_compile, autograph=False)

    def learning_rate(self) -> float:
        """At the next step, of the scored network."""
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        return float(keras.ops.convert_to_numpy(optimizer.learning_rate))

    def variables(self) -> dict[str, keras.Variable]:
        """Everything that changes during training, by names that are the same in every process.

        Weights (`model/deconv_1/kernel`), optimizers (`model.optimizer/adam/...`), running
        averages, counters.
        """
        found = {}
        for name, part in self.parts.items():
            for path, variable in network_variables(part.network).items():
                found[f"{name}/{path}"] = variable
            for path, variable in optimizer_variables(part.optimizer, part.network).items():
                found[f"{name}.optimizer/{path}"] = variable
            for path, variable in part.averages.items():
                found[f"{name}.averages/{path}"] = variable
        return found

    def arrays(self) -> dict[str, np.ndarray]:
        """The values of all `variables`."""
        return {name: np.asarray(variable) for name, variable in self.variables().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Inverse of `arrays`.

        Raises:
            CheckpointError: The arrays are of another network or optimizer.
        """
        variables = self.variables()
        arrays = self._named(arrays)
        # Older checkpoints have no averages of statistics, and were scored with these themselves.
        of_what = {name: name.replace(".averages/", "/", 1) for name in variables.keys() - arrays}
        arrays = {
            **{name: arrays[of] for name, of in of_what.items() if of != name and of in arrays},
            **arrays,
        }
        if set(variables) != set(arrays):
            others = sorted(set(variables) ^ set(arrays))
            raise CheckpointError(
                f"the checkpoint holds {len(arrays)} arrays, the run has {len(variables)} (only "
                f"one of them has {others[0]}): it is of another network or optimizer"
            )
        for name, variable in variables.items():
            if tuple(variable.shape) != arrays[name].shape:
                raise CheckpointError(
                    f"{name} has shape {arrays[name].shape} in the checkpoint and "
                    f"{tuple(variable.shape)} here: it is of another network"
                )
        for name, variable in variables.items():
            variable.assign(arrays[name])

    def _named(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Checkpoints of formats 1 and 2 name arrays by their place: `model/0000`."""
        if not all(re.fullmatch(r"(model|optimizer)/\d{4,}", name) for name in arrays):
            return arrays
        names = list(self.variables())
        of_network = [name for name in names if name.startswith("model/")]
        of_optimizer = [name for name in names if name.startswith("model.optimizer/")]
        places = {f"model/{i:04d}": name for i, name in enumerate(of_network)}
        places |= {f"optimizer/{i:04d}": name for i, name in enumerate(of_optimizer)}
        return {places.get(name, name): array for name, array in arrays.items()}

    def set_weights(
        self, arrays: Mapping[str, np.ndarray], *, other_scale: bool = False
    ) -> list[str]:
        """Take over the scored network's weights of another run: `trained.scored_weights`.

        Args:
            arrays: Its variables.
            other_scale: The run enlarges by another factor: what has the same name and shape here
                is taken, the rest starts as it would have.

        Returns:
            The layers that do not start from the run, in the network's order.

        Raises:
            CheckpointError: They are of another network.
        """
        own = self.arrays()
        theirs = {k: v for k, v in self._named(arrays).items() if k.startswith("model/")}
        if not other_scale:
            # The average of the weights begins where the weights do.
            self.restore({**{k: v for k, v in own.items() if not k.startswith("model/")}, **theirs})
            return []
        shapes = {name: array.shape for name, array in theirs.items()}
        fits = {name for name, array in own.items() if shapes.get(name) == array.shape}
        # A layer whose kernel does not fit does not keep its bias either.
        left = {_layer(name) for name in own if name.startswith("model/") and name not in fits}
        taken = {name: theirs[name] for name in own if name in fits and _layer(name) not in left}
        if not taken:
            raise CheckpointError("no layer of the run to start from has the same name and shape")
        self.restore({**own, **taken})
        return list(dict.fromkeys(_layer(name) for name in own if _layer(name) in left))

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

    def use_averages(self) -> None:
        """Give the scored network its running averages, where there are any, for good."""
        if self.uses_ema:
            next(iter(self.parts.values())).use_averages()

    def finite(self) -> bool:
        """Whether every weight is a finite number."""
        return all(
            np.isfinite(np.asarray(variable)).all()
            for part in self.parts.values()
            for variable in part.network.trainable_variables
        )

    @contextmanager
    def scored_weights(self) -> Iterator[None]:
        """The weights that are scored: the running average where there is one."""
        if not self.uses_ema:
            yield
            return
        raw = [np.asarray(v) for v in self.network.variables]
        self.use_averages()
        try:
            yield
        finally:
            for variable, value in zip(self.network.variables, raw, strict=True):
                variable.assign(value)
