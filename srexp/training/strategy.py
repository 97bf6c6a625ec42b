"""Several devices for one step (`trainer.strategy`): data parallel, with the arithmetic of one.

Each replica computes the gradient of its share of the batch; the gradients are summed over all
replicas, and only then does the optimizer see them. So clipping, accumulation, loss scaling and
the running average act on the gradient of the whole batch, as on one device, and a checkpoint
does not know where it was made. Keras' optimizers in the scope of a strategy clip each replica's
gradient before the sum, and can neither accumulate nor scale the loss outside a replica; here the
variables are plain ones, on the first device of each process, and `tf.distribute` only runs the
replicas and sums. What that costs is one copy of the weights to each other device a step.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from srexp import signals
from srexp.options import OptionError
from srexp.training.trainer import Trainer
from srexp.words import count

# Why a run ends early, in the order in which one wins over the other.
_REASONS = ("stopped", "max_minutes", "patience")

Compute = Callable[[Any, tf.Tensor], tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]]


@dataclass(frozen=True)
class Cluster:
    """The processes of `multi_worker`.

    Attributes:
        addresses: `host:port` of each, the chief's first.
        index: Of this process; 0 is the chief.
    """

    addresses: list[str]
    index: int

    @classmethod
    def from_environment(cls) -> Cluster:
        """From TF_CONFIG, or from Slurm's variables where there is none.

        Raises:
            OptionError: Neither is there, or it cannot be understood.
        """
        if os.environ.get("TF_CONFIG"):
            return cls._from_tf_config(os.environ["TF_CONFIG"])
        if "SLURM_STEP_NODELIST" in os.environ:
            return cls._from_slurm()
        raise OptionError(
            "trainer.strategy=multi_worker: needs TF_CONFIG in the environment, or a Slurm step "
            "(srun)"
        )

    @classmethod
    def _from_tf_config(cls, text: str) -> Cluster:
        try:
            config = json.loads(text)
            jobs = config["cluster"]
            addresses = [*jobs.get("chief", []), *jobs["worker"]]
            task = config["task"]
            index = int(task["index"])
            if task["type"] == "worker":
                index += len(jobs.get("chief", []))
            fits = set(jobs) <= {"chief", "worker"} and task["type"] in jobs
            if not fits or not 0 <= index < len(addresses):
                raise ValueError("its task is not one of its cluster's chief and workers")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OptionError(
                f"TF_CONFIG: cannot be understood ({type(error).__name__}: {error}); it must be "
                '{"cluster": {"worker": ["HOST:PORT", ...]}, '
                '"task": {"type": "worker", "index": 0}}'
            ) from None
        return cls([str(address) for address in addresses], index)

    @classmethod
    def _from_slurm(cls) -> Cluster:
        tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "")
        try:
            # Two jobs may share a node, so the port depends on the job.
            port = 15000 + int(os.environ.get("SLURM_JOB_ID", 0)) % 20000
            resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
                # We ask it for addresses alone; which GPUs a task sees is up to Slurm.
                gpus_per_node=int(tasks), gpus_per_task=1, auto_set_gpu=False,
            )  # fmt: skip
            # Its `cluster_spec` sorts hosts as text, n10 before n9, while Slurm's ranks do not.
            hosts = resolver._resolve_task_configuration()
            index = int(os.environ["SLURM_PROCID"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise OptionError(
                f"Slurm's environment cannot be understood ({error}); TF_CONFIG would do"
            ) from None
        return cls([f"{h}:{port + i}" for h, n in hosts.items() for i in range(n)], index)

    def as_tf_config(self) -> str:
        """For `tf.distribute`, all processes of one kind."""
        return json.dumps(
            {
                "cluster": {"worker": self.addresses},
                "task": {"type": "worker", "index": self.index},
            }
        )


class Strategy:
    """Where the replicas of a step run. Without arguments: one device, nothing distributed.

    Attributes:
        replicas: Among how many a batch is shared, over all processes.
        workers: Number of processes.
        index: Of this process; 0 is the chief, who alone evaluates and writes.
    """

    def __init__(
        self, distribution: tf.distribute.Strategy | None = None, workers: int = 1, index: int = 0
    ) -> None:
        self._distribution = distribution
        self.replicas = distribution.num_replicas_in_sync if distribution else 1
        self.workers, self.index = workers, index
        self._total: Callable[[tf.Tensor], tf.Tensor] | None = None

    @property
    def chief(self) -> bool:
        """Whether this process evaluates, writes and logs."""
        return self.index == 0

    @property
    def description(self) -> str:
        """Words for a person, empty for one device."""
        if self._distribution is None:
            return ""
        among = f" in {self.workers} processes" if self.workers > 1 else ""
        return f"{count(self.replicas, 'replica')}{among}"

    def part(self, batch_size: int) -> slice:
        """Which patches of a batch this process computes."""
        share = batch_size // self.workers
        return slice(self.index * share, (self.index + 1) * share)

    def mean(
        self,
        compute: Compute,
        variables: list[keras.Variable],
        inputs: Any,
        hr: tf.Tensor,
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor | None]]:
        """Scalars and gradients of the whole batch; to be called while a step is traced.

        Args:
            compute: Scalars (means over patches) by name, and gradients, of some patches.
            variables: Whose gradients these are.
            inputs: `[n, h, w, C]`, or a tuple of such: the part of this process.
            hr: `[n, H, W, C]`.
        """
        distribution = self._distribution
        if distribution is None:
            return compute(inputs, hr)
        local = self.replicas // self.workers
        share = hr.shape[0] // local
        names: list[str] = []

        def replica(inputs: Any, hr: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group % local * share
            with tf.device("/device:CPU:0"):  # so that a GPU is sent its share alone
                inputs, hr = tf.nest.map_structure(
                    lambda images: images[first : first + share], (inputs, hr)
                )
            scalars, gradients = compute(inputs, hr)
            names[:] = scalars
            gradients = [
                tf.zeros(v.shape) if g is None else g
                for g, v in zip(gradients, variables, strict=True)
            ]
            # One vector: one message a step instead of one for each variable.
            flat = [tf.reshape(tensor, [-1]) for tensor in (*scalars.values(), *gradients)]
            return tf.concat(flat, 0) / self.replicas

        total = distribution.reduce("SUM", distribution.run(replica, (inputs, hr)), axis=None)
        sizes = [v.shape.num_elements() for v in variables]
        values, *flat = tf.split(total, [len(names), *sizes])
        scalars = dict(zip(names, tf.unstack(values, len(names)), strict=True))
        return scalars, [tf.reshape(f, v.shape) for f, v in zip(flat, variables, strict=True)]

    def agreed(self, reason: str, *, now: bool) -> str:
        """The reason to end on which all processes agree, `done` for none.

        Args:
            reason: Of this process. One that is asked to stop stops all.
            now: Whether to ask the others; all processes must at the same step.
        """
        if self.workers == 1:
            return reason
        if not now:
            return "done"
        asked = self._sum(np.array([reason == other for other in _REASONS], np.float64))
        return next((r for r, count in zip(_REASONS, asked, strict=True) if count), "done")

    def chiefs(self, values: np.ndarray) -> np.ndarray:
        """The chief's values `[n]`, float64, in every process."""
        if self.workers == 1:
            return values
        return self._sum(values if self.chief else np.zeros_like(values))

    def check_same(self, text: str, what: str) -> None:
        """Raises OptionError in every process: `text` is not the same in all of them."""
        if self.workers == 1:
            return
        own = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8).astype(np.float64)
        others = self._sum(np.array([float((own != self.chiefs(own)).any())]))
        if others[0]:
            raise OptionError(
                f"trainer.strategy=multi_worker: {others[0]:.0f} of {self.workers} processes "
                f"have another {what} than the chief; start all with the same command"
            )

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """`[n]`, float64: over all processes."""
        if self._total is None:
            signature = [tf.TensorSpec([None], tf.float64)]
            self._total = tf.function(self._traced_sum, input_signature=signature)
        return self._total(tf.constant(values)).numpy()

    def _traced_sum(self, values: tf.Tensor) -> tf.Tensor:
        local = self.replicas // self.workers
        distribution: tf.distribute.Strategy = self._distribution

        def replica() -> tf.Tensor:
            # The replicas of a process hold the same: the first one counts.
            first = tf.distribute.get_replica_context().replica_id_in_sync_group % local == 0
            return values if first else tf.zeros_like(values)

        return distribution.reduce("SUM", distribution.run(replica), axis=None)


def make(trainer: Trainer, say: Callable[[str], None] = print) -> Strategy:
    """The strategy of `trainer.strategy`; with `multi_worker`, waits for all processes.

    To be called before TensorFlow's first operation.

    Args:
        trainer: The options.
        say: Is told that the others are waited for.

    Raises:
        OptionError: No cluster is named, or the replicas do not divide the batch.
    """
    strategy = _make(trainer.strategy, say)
    replicas, size = strategy.replicas, trainer.batch_size
    if size % replicas:
        below, above = size - size % replicas, size - size % replicas + replicas
        raise OptionError(
            f"trainer.batch_size={size}: trainer.strategy={trainer.strategy} shares it among "
            f"{replicas} replicas, which do not divide it; "
            + (f"{below} or {above} would do" if below else f"{above} would do")
        )
    return strategy


def _make(name: str, say: Callable[[str], None]) -> Strategy:
    if name == "none":
        return Strategy()
    if name == "mirrored":
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return Strategy(tf.distribute.MirroredStrategy([device.name for device in devices]))
    cluster = Cluster.from_environment()
    if cluster.index == 0:
        say(f"waiting for all {len(cluster.addresses)} processes: {', '.join(cluster.addresses)}")
    os.environ["TF_CONFIG"] = cluster.as_tf_config()
    with _killable():
        distribution = tf.distribute.MultiWorkerMirroredStrategy()
    return Strategy(distribution, len(cluster.addresses), cluster.index)


@contextmanager
def _killable() -> Iterator[None]:
    """Ctrl-C, SIGTERM and notices end the process: no handler in Python runs while C++ waits."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [n for n in signals.ENDING if signal.getsignal(n) != signal.SIG_IGN]
    before = [signal.signal(number, signal.SIG_DFL) for number in handled]
    try:
        yield
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)


def lost_worker(error: Exception, trainer: Trainer, run: str = "RUN") -> str | None:
    """One line where an error says that another process has gone, else None; `run` is the run."""
    gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
    if trainer.strategy != "multi_worker" or not isinstance(error, gone):
        return None
    return (
        "another process of trainer.strategy=multi_worker has ended or does not answer "
        f"(its own output says why); to go on, start all of them again with resume={run}"
    )
