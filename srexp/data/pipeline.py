"""Patches into TensorFlow, prepared while the step before runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from srexp.data.patches import PatchSampler


def batches(
    sampler: PatchSampler, first: int, last: int, part: slice = slice(None)
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """(inputs, hr) of the steps `first` up to, not including, `last`, in order.

    Args:
        sampler: What draws them.
        first: Step.
        last: Step.
        part: Which patches of each batch.
    """
    inputs, hr = sampler.batch(first, part)

    def load(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return sampler.batch(int(step), part)

    @tf.autograph.experimental.do_not_convert
    def shaped(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        a, b = tf.numpy_function(load, [step], [tf.float32, tf.float32])
        return tf.ensure_shape(a, inputs.shape), tf.ensure_shape(b, hr.shape)

    options = tf.data.Options()
    # With autotuning, an iterator's end waits for the tuner's next wake-up: up to a minute.
    options.autotune.enabled = False
    options.deterministic = True
    dataset = tf.data.Dataset.range(first, last).map(shaped, num_parallel_calls=2)
    return iter(dataset.prefetch(4).with_options(options))
