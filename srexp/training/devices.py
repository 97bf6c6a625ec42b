"""Processor settings that must be made before TensorFlow's first operation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from srexp.keras_settings import set_keras
from srexp.options import OptionError
from srexp.training.trainer import Trainer


def configure(trainer: Trainer, seed: int) -> None:
    """Set threads, precision, determinism and every seed.

    Raises:
        OptionError: Keras has another backend.
        RuntimeError: Another number of threads was fixed earlier in this process.
    """
    threads = trainer.threads
    if threads is not None and tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    for gpu in tf.config.list_physical_devices("GPU"):
        if not tf.config.experimental.get_memory_growth(gpu):
            # Otherwise the first process takes all of the memory.
            tf.config.experimental.set_memory_growth(gpu, True)
    if trainer.deterministic and tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    set_keras()
    keras.config.set_dtype_policy("mixed_float16" if trainer.mixed_precision else "float32")
    keras.utils.set_random_seed(seed)


def check_threads(threads: int | None) -> None:
    """Raises OptionError: TensorFlow already computes with another number of threads."""
    now = tf.config.threading.get_intra_op_parallelism_threads()
    if now == (threads or 0):
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads or 0)
    except RuntimeError:
        now = now or "null"
        raise OptionError(
            f"trainer.threads={threads or 'null'}: this process computes with {now} already; give "
            f"trainer.threads={now}, or begin a new process"
        ) from None


def environment() -> dict[str, Any]:
    """What TensorFlow runs on."""
    return {
        "gpus": [
            tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")
        ],
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads() or "all",
        "built_with_cuda": tf.test.is_built_with_cuda(),
    }
