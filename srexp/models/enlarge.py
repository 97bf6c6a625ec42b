"""Resizing inside a network, by the kernels of `srexp.images.resize`.

So that one saved file takes LR and gives SR, with Keras' own operations alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.images.resize import resize
from srexp.models.upscaler import Upscaler

if TYPE_CHECKING:
    import keras

# Longer than any kernel is wide.
_LENGTH = 16


def enlarge_tensor(lr: Any, scale: int, interpolation: str, engine: str) -> Any:
    """As `srexp.images.resize.enlarge`, in float32: equal but for rounding.

    Each of the scale² places of an SR pixel within its LR pixel has fixed weights, so that
    enlarging is one convolution and a rearrangement of its channels (polyphase filters).

    Args:
        lr: `[N, h, w, C]`.
        scale: SR over LR.
        interpolation: One of `INTERPOLATIONS`.
        engine: Mirrors at the edges (`matlab`), or drops the taps beyond them (`pillow`).

    Returns:
        `[N, h * scale, w * scale, C]`, not clipped.
    """
    from keras import ops

    weights = _phases(scale, interpolation, engine)
    reach = weights.shape[1] // 2
    channels = lr.shape[-1]

    def enlarged(padded: Any, channels: int) -> Any:
        kernel = _kernel(weights, channels)
        return ops.depth_to_space(ops.conv(padded, kernel, padding="valid"), scale)

    if engine == "matlab":
        return enlarged(_mirrored(_mirrored(lr, 1, reach), 2, reach), channels)
    pads = [[0, 0], [reach, reach], [reach, reach], [0, 0]]
    # What the taps that are left amount to: Pillow divides by it.
    whole = enlarged(ops.pad(ops.ones_like(lr[..., :1]), pads), 1)
    return enlarged(ops.pad(lr, pads), channels) / whole


def _mirrored(image: Any, axis: int, reach: int) -> Any:
    """Continued beyond both ends of an axis, the last pixel twice.

    As symmetric padding, which Keras, LiteRT and TensorFlow.js refuse for sides shorter than it.
    """
    from keras import ops

    if not reach:
        return image
    ones = ops.ones_like(image[0, :, 0, 0] if axis == 1 else image[0, 0, :, 0], dtype="float32")
    side = ops.sum(ones)
    places = ops.cumsum(ops.pad(ones, [[reach, reach]], constant_values=1.0)) - (reach + 1.0)
    for _ in range(reach // 2 + 1):  # as often as a side of one pixel is left
        places = ops.maximum(places, -1.0 - places)
        places = ops.minimum(places, 2.0 * side - 1.0 - places)
    return ops.take(image, ops.cast(places, "int32"), axis=axis)


def reduce_tensor(hr: Any, factor: int) -> Any:
    """MATLAB's bicubic with antialiasing, as `srexp.images.resize.resize`: equal but for rounding.

    Args:
        hr: `[N, H, W, C]`; the sides divide by `factor` and are at least four times as long.
        factor: Of the sides.

    Returns:
        `[N, H / factor, W / factor, C]`, not clipped.
    """
    from keras import ops

    eye = np.eye(_LENGTH * factor, dtype=np.float32)[..., None]
    middle = _LENGTH // 2
    row = resize(eye, (_LENGTH, _LENGTH * factor), "bicubic", "matlab")[middle, :, 0]
    first, last = (int(place) for place in np.flatnonzero(row)[[0, -1]])
    pads = middle * factor - first, last - (middle + 1) * factor + 1
    taps = row[first : last + 1]
    channels = hr.shape[-1]
    kernel = np.outer(taps, taps)[..., None, None] * np.eye(channels, dtype=np.float32)
    padded = ops.pad(hr, [[0, 0], pads, pads, [0, 0]], mode="symmetric")
    return ops.conv(padded, kernel, strides=factor, padding="valid")


def _phases(scale: int, interpolation: str, engine: str) -> np.ndarray:
    """Weights `[scale, taps]` of one axis, taps odd: those of the LR pixel itself in the middle."""
    responses = resize(np.eye(_LENGTH, dtype=np.float32)[..., None], (_LENGTH * scale, _LENGTH),
                       interpolation, engine)[..., 0]  # fmt: skip
    middle = _LENGTH // 2
    rows = responses[middle * scale : (middle + 1) * scale]
    reach = int(np.abs(np.flatnonzero(rows.any(axis=0)) - middle).max())
    return rows[:, middle - reach : middle + reach + 1]


def _kernel(weights: np.ndarray, channels: int) -> np.ndarray:
    """`[taps, taps, C, scale² C]`: each channel for itself, in the order of `depth_to_space`."""
    scale, taps = weights.shape
    kernel = np.zeros((taps, taps, channels, scale, scale, channels), np.float32)
    for channel in range(channels):
        kernel[:, :, channel, :, :, channel] = np.einsum("ya,xb->abyx", weights, weights)
    return kernel.reshape(taps, taps, channels, scale**2 * channels)


def network_from_lr(network: keras.Model, upscaler: Upscaler) -> keras.Model:
    """A network with its enlarging inside.

    Args:
        network: As its model built it.
        upscaler: The same network's, which says how LR is enlarged for it.

    Returns:
        `[N, h, w, C]` LR in [0, 1] -> `[N, h * scale, w * scale, C]`, not clipped, with the
        network's weights. The sides of LR must divide by the model's `size_multiple` (those of
        the enlarged image, where the network gets that alone).
    """
    import keras

    degradation = upscaler.degradation
    lr = keras.Input((None, None, upscaler.channels), name="lr")
    inputs = [
        lr
        if name == "lr"
        else enlarge_tensor(lr, degradation.scale, upscaler.interpolation, degradation.engine)
        for name in upscaler.model.inputs
    ]
    return keras.Model(lr, network(inputs if len(inputs) > 1 else inputs[0]), name=network.name)


def clipped(whole: keras.Model) -> keras.Model:
    """A network from LR to SR (`network_from_lr`) whose results lie in [0, 1]."""
    import keras

    lr = keras.Input(whole.input_shape[1:], name="lr")
    return keras.Model(lr, keras.ops.clip(whole(lr), 0.0, 1.0), name=whole.name)
