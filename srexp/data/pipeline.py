"""Patches into TensorFlow, prepared while the step before runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from srexp.data.patches import PatchSampler


def batches(
    sampler: PatchSampler, first: int, last: int, part: slice = slice(None)
) -> Iterator[tuple[Any, tf.Tensor]]:
    """(inputs, hr) of the steps `first` up to, not including, `last`, in order.

    Several inputs are a tuple.

    Args:
        sampler: What draws them.
        first: Step.
        last: Step.
        part: Which patches of each batch.
    """
    for start, end in sampler.segments(first, last):
        yield from _segment(sampler, start, end, part)


def _segment(
    sampler: PatchSampler, first: int, last: int, part: slice
) -> Iterator[tuple[Any, tf.Tensor]]:
    """`batches` of one size."""
    shapes = [array.shape for array in sampler.batch(first, part)]

    def load(step: np.ndarray) -> tuple[np.ndarray, ...]:
        return sampler.batch(int(step), part)

    @tf.autograph.experimental.do_not_convert
    def shaped(step: tf.Tensor) -> tuple[Any, tf.Tensor]:
        arrays = tf.numpy_function(load, [step], [tf.float32] * len(shapes))
        *inputs, hr = (tf.ensure_shape(a, s) for a, s in zip(arrays, shapes, strict=True))
        return tuple(inputs) if len(inputs) > 1 else inputs[0], hr

    options = tf.data.Options()
    # With autotuning, an iterator's end waits for the tuner's next wake-up: up to a minute.
    options.autotune.enabled = False
    options.deterministic = True
    dataset = tf.data.Dataset.range(first, last).map(shaped, num_parallel_calls=2)
    return iter(dataset.prefetch(4).with_options(options))
