"""Patches into TensorFlow, prepared while the steps before run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from srexp.cores import available_cores
from srexp.data.patches import PatchSampler, TrainingPair
from srexp.images.quantize import unpack

# Of the training images, up to which they are kept in the memory of a GPU.
RESIDENT = 1 << 32

# What the graph of a step makes of its share of a `Call`: inputs (several are a tuple) and HR.
Decode = Callable[[tuple[tf.Tensor, ...]], tuple[Any, tf.Tensor]]


class Call(NamedTuple):
    """What several steps, done in one call, get.

    Attributes:
        steps: How many; the elements may have more, which stand for nothing.
        elements: `[K, ...]` each, of K steps.
        decode: What makes patches of the elements of one step.
    """

    steps: int
    elements: tuple[tf.Tensor, ...]
    decode: Decode


class Source(Protocol):
    """Where patches come from: NumPy cuts them, or the graph out of images that are there."""

    def load(self, step: int) -> tuple[np.ndarray, ...]:
        """The elements of one step."""
        ...

    def decode(self, elements: tuple[tf.Tensor, ...], side: int) -> tuple[Any, tf.Tensor]:
        """Inputs and HR, by operations of TensorFlow; `side` is of the patches in LR pixels."""
        ...


class Streamed:
    """Patches are cut by NumPy and turned in the graph."""

    def __init__(self, sampler: PatchSampler, part: slice = slice(None)) -> None:
        self._sampler, self._part = sampler, part

    def load(self, step: int) -> tuple[np.ndarray, ...]:
        """Each input and HR, packed, and the poses."""
        return self._sampler.packed(step, self._part)

    def decode(self, elements: tuple[tf.Tensor, ...], side: int) -> tuple[Any, tf.Tensor]:
        """See `Source`."""
        *arrays, poses = elements
        images = []
        for array in arrays:
            count, size, _, channels = array.shape
            row, column = turned(size, poses)
            pixels = tf.reshape(array, [count, size * size, channels])
            pixels = tf.gather(pixels, row * size + column, batch_dims=1)
            images.append(unpacked(tf.reshape(pixels, array.shape)))
        return _inputs_and_hr(images)


class Resident:
    """Images are in the memory of the device; the graph cuts patches and turns them."""

    def __init__(self, sampler: PatchSampler, part: slice = slice(None)) -> None:
        """Copies all images."""
        self._sampler, self._part = sampler, part
        pairs = [pair for pair in sampler.pairs if isinstance(pair, TrainingPair)]
        low = np.array([pair.hr.shape[:2] for pair in pairs]) // sampler.scale
        kinds = list(zip(*((*pair.inputs, pair.hr) for pair in pairs), strict=True))
        self._kinds = []
        with ThreadPool(len(available_cores())) as threads:
            for images in kinds:
                whole = threads.map(lambda image: image[:, :], images)  # what is enlarged is made
                if any(image.dtype != np.uint8 for image in whole):
                    whole = threads.map(unpack, whole)
                sizes = np.array([image.shape[:2] for image in whole])
                ends = np.cumsum(sizes.prod(axis=1))
                pixels = np.concatenate([image.reshape(-1, image.shape[2]) for image in whole])
                factor = int(sizes[0, 0] // low[0, 0])
                starts = np.array([0, *ends[:-1]], np.int32)
                self._kinds.append(
                    (tf.constant(pixels), starts, sizes[:, 1].astype(np.int32), factor)
                )

    @staticmethod
    def fits(sampler: PatchSampler) -> bool:
        """Whether all images are there, and not too much."""
        taken = pixels = 0
        for pair in sampler.pairs:
            if not isinstance(pair, TrainingPair):
                return False
            pixels += int(np.prod(pair.hr.shape[:2]))
            for image in (*pair.inputs, pair.hr):
                eight_bit = getattr(image, "dtype", None) == np.uint8
                taken += int(np.prod(image.shape)) * (1 if eight_bit else 4)
        return taken <= RESIDENT and pixels < 2**31  # they are counted in 32 bits

    def load(self, step: int) -> tuple[np.ndarray, ...]:
        """Where the patches lie."""
        return (self._sampler.places(step, self._part)[0],)

    def decode(self, elements: tuple[tf.Tensor, ...], side: int) -> tuple[Any, tf.Tensor]:
        """See `Source`."""
        (places,) = elements
        image, top, left, poses = tf.unstack(places, axis=1)
        images = []
        for pixels, starts, widths, factor in self._kinds:
            width = tf.gather(tf.constant(widths), image)
            first = tf.gather(tf.constant(starts), image) + (top * width + left) * factor
            row, column = turned(side * factor, poses)
            index = first[:, None] + row * width[:, None] + column
            patches = tf.gather(pixels, index)
            shape = [patches.shape[0], side * factor, side * factor, pixels.shape[1]]
            images.append(unpacked(tf.reshape(patches, shape)))
        return _inputs_and_hr(images)


def unpacked(image: tf.Tensor) -> tf.Tensor:
    """`quantize.unpack`, to the last bit: XLA would multiply by 1/255."""
    if image.dtype != tf.uint8:
        return image
    levels = unpack(np.arange(256, dtype=np.uint8))
    return tf.gather(tf.constant(levels), tf.cast(image, tf.int32))


def turned(size: int, poses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Row and column in a square, `[N, size * size]` each, of what stands there once it is turned.

    Args:
        size: Side of the square.
        poses: `[N]`, as of `PatchSampler.packed`.
    """
    row, column = (grid.reshape(1, -1) for grid in np.indices((size, size), np.int32))
    last = size - 1
    poses = poses[:, None]
    # Of a mirrored square the columns were swapped last.
    column = tf.where(poses >= 4, last - column, column)
    row = tf.broadcast_to(tf.constant(row), tf.shape(column))
    turns = poses % 4
    rows = tf.where(turns == 0, row, tf.where(turns == 1, column, last - row))
    columns = tf.where(turns == 0, column, tf.where(turns == 1, last - row, last - column))
    three = turns == 3
    return tf.where(three, last - column, rows), tf.where(three, row, columns)


def _inputs_and_hr(images: list[tf.Tensor]) -> tuple[Any, tf.Tensor]:
    *inputs, hr = images
    return tuple(inputs) if len(inputs) > 1 else inputs[0], hr


def source_of(sampler: PatchSampler, part: slice = slice(None)) -> Source:
    """Images on a GPU where there is one and they fit, else patches one batch after the other."""
    if tf.config.list_physical_devices("GPU") and Resident.fits(sampler):
        return Resident(sampler, part)
    return Streamed(sampler, part)


def calls(
    sampler: PatchSampler, first: int, last: int, source: Source, per_call: int = 1
) -> Iterator[Call]:
    """What the steps `first` up to, not including, `last` get, in order.

    A call ends where a multiple of `per_call` is reached, or the patches' size changes.

    Args:
        sampler: What draws them.
        first: Step.
        last: Step.
        source: What cuts them.
        per_call: Steps in a call.
    """

    @cache  # one function a size, for which a learner compiles its step once
    def decode(side: int) -> Decode:
        return lambda elements: source.decode(elements, side)

    for start, end in sampler.segments(first, last):
        made = _segment(source, start, end, per_call)
        for (begin, until), elements in zip(_cells(start, end, per_call), made, strict=False):
            yield Call(until - begin, elements, decode(sampler.side(start)))


def _cells(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    for cell in range(first // size, -(-last // size)):
        yield max(first, cell * size), min(last, (cell + 1) * size)


def _segment(
    source: Source, first: int, last: int, per_call: int
) -> Iterator[tuple[tf.Tensor, ...]]:
    """The elements of `calls` of one size."""
    example = source.load(first)
    shapes = [(per_call, *array.shape) for array in example]
    types = [tf.as_dtype(array.dtype) for array in example]

    def load(cell: np.ndarray) -> list[np.ndarray]:
        begin, until = max(first, int(cell) * per_call), min(last, (int(cell) + 1) * per_call)
        steps = [source.load(step) for step in range(begin, until)]
        steps += [steps[-1]] * (per_call - len(steps))
        return [np.stack(arrays) for arrays in zip(*steps, strict=True)]

    @tf.autograph.experimental.do_not_convert
    def shaped(cell: tf.Tensor) -> tuple[tf.Tensor, ...]:
        arrays = tf.numpy_function(load, [cell], types)
        return tuple(tf.ensure_shape(a, s) for a, s in zip(arrays, shapes, strict=True))

    options = tf.data.Options()
    # With autotuning, an iterator's end waits for the tuner's next wake-up: up to a minute.
    options.autotune.enabled = False
    options.deterministic = True
    dataset = tf.data.Dataset.range(first // per_call, -(-last // per_call))
    dataset = dataset.map(shaped, num_parallel_calls=2)
    return iter(dataset.prefetch(4).with_options(options))
