"""Parts that several networks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from srexp.activations.base import Activation
from srexp.options import OptionError


def check_kernels(filters: Sequence[int], kernel_sizes: Sequence[int], last: str) -> None:
    """Raises OptionError: not one odd size for each layer; `last` says what the last one's are."""
    if not filters or len(kernel_sizes) != len(filters) + 1:
        raise OptionError(
            f"kernel_sizes={kernel_sizes}: must have one entry more than filters={filters} "
            f"(the last layer's filters {last})",
            "kernel_sizes",
        )
    if any(size % 2 == 0 for size in kernel_sizes):
        raise OptionError(f"kernel_sizes={kernel_sizes}: must be odd", "kernel_sizes")


def hidden_layers(
    x: Any,
    filters: Sequence[int],
    kernel_sizes: Sequence[int],
    act: Activation,
    padding: str = "same",
) -> Any:
    """Convolutions `conv_1`, `conv_2`, ..., He's start, an activation after each.

    Args:
        x: `[N, h, w, C]`.
        filters: Of each layer.
        kernel_sizes: Of each layer.
        act: The activation.
        padding: `same` (zeros) or `valid` (the result is smaller).
    """
    import keras

    for index, (count, size) in enumerate(zip(filters, kernel_sizes, strict=True)):
        x = keras.layers.Conv2D(
            count,
            size,
            padding=padding,
            kernel_initializer="he_normal",
            name=f"conv_{index + 1}",
        )(x)
        x = act.build()(x)
    return x


def replicate_edges(x: Any, pixels: int) -> Any:
    """`[N, h, w, C]` with its outermost pixels repeated `pixels` times on each side."""
    from keras import ops

    for _ in range(pixels):  # mirrored, one pixel is itself: any image is large enough
        x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="symmetric")
    return x


def shuffle(x: Any, factor: int) -> Any:
    """`[N, h, w, C factor²]` -> `[N, h factor, w factor, C]`. Shi et al., CVPR 2016, equation 4."""
    from keras import ops

    return ops.depth_to_space(x, factor)


def repeated(x: Any, factor: int, name: str = "repeated") -> Any:
    """Channels so often that `shuffle` makes nearest-neighbour enlarging of it."""
    import keras

    return keras.layers.Concatenate(dtype="float32", name=name)([x] * factor**2)


def transposed(x: Any, filters: int, size: int, stride: int, **options: Any) -> Any:
    """A strided transposed convolution whose result lies over its input.

    The whole result is cropped by `size - stride`; an LR pixel's middle then lies where it should,
    or half a pixel from there if that number is odd. (Keras' `same` is off by more.)

    Args:
        x: `[N, h, w, C]`.
        filters: Channels of the result, `[N, h stride, w stride, filters]`.
        size: Side of the kernel, at least the stride.
        stride: How many times larger the result is.
        **options: Of Keras' layer.
    """
    import keras

    x = keras.layers.Conv2DTranspose(filters, size, strides=stride, **options)(x)
    before = (size - stride) // 2
    crop = ((before, size - stride - before),) * 2
    kept = {key: value for key, value in options.items() if key == "dtype"}
    return keras.layers.Cropping2D(crop, **kept)(x)


def factors(scale: int) -> list[int]:
    """The steps by which a scale is reached: 4 as twice 2, 8 as three times 2, others at once."""
    steps = []
    while scale > 3 and scale % 2 == 0:
        steps.append(2)
        scale //= 2
    return [*steps, scale] if scale > 1 else steps


def enlarging_layers(x: Any, filters: int, scale: int, act: Activation | None = None) -> Any:
    """A 3x3 convolution and a shuffle for each of `factors`. Lim et al., CVPRW 2017, figure 3.

    Args:
        x: `[N, h, w, C]`.
        filters: Channels after each shuffle.
        scale: How many times larger the result is.
        act: After each shuffle (SRResNet), or None.
    """
    for index, factor in enumerate(factors(scale)):
        x = shuffle(conv(x, filters * factor**2, f"upsample_{index + 1}"), factor)
        x = act.build()(x) if act else x
    return x


def conv(x: Any, filters: int, name: str, size: int = 3, **options: Any) -> Any:
    """A zero-padded convolution; `options` are those of Keras' layer."""
    import keras

    return keras.layers.Conv2D(filters, size, padding="same", name=name, **options)(x)


def grouped_conv(filters: int, groups: int, name: str) -> Callable[[Any], Any]:
    """A zero-padded 3x3 convolution whose channels see only those of their group.

    What it returns may be applied several times. It is a convolution a group: for Keras' own
    `groups` TensorFlow compiles anew for every image size on a CPU.
    """
    import keras
    from keras import ops

    names = [name] if groups == 1 else [f"{name}_group_{index + 1}" for index in range(groups)]
    layers = [keras.layers.Conv2D(filters // groups, 3, padding="same", name=one) for one in names]

    def apply(x: Any) -> Any:
        if groups == 1:
            return layers[0](x)
        parts = ops.split(x, groups, axis=-1)
        made = [layer(part) for layer, part in zip(layers, parts, strict=True)]
        return keras.layers.Concatenate()(made)

    return apply


def residual_block(x: Any, act: Activation, name: str, change: Any = None, scale: float = 1) -> Any:
    """Convolution, activation, convolution, plus what came in.

    Args:
        x: `[N, h, w, C]`.
        act: The activation.
        name: Of the block; its layers are `NAME_conv_1` and so on.
        change: What is done to the result of each convolution, given it and the number 1 or 2
            (`change(y, 1)`): normalisation, attention.
        scale: What the branch is multiplied by before it is added.
    """
    import keras

    change = change or (lambda y, number: y)
    y = change(conv(x, x.shape[-1], f"{name}_conv_1"), 1)
    y = change(conv(act.build()(y), x.shape[-1], f"{name}_conv_2"), 2)
    if scale != 1:
        y = keras.layers.Rescaling(scale, name=f"{name}_scale")(y)
    return keras.layers.Add(name=name)([x, y])


def dense_block(x: Any, act: Activation, name: str, layers: int, growth: int) -> Any:
    """Convolutions that see all before them, 1x1 to as many channels as came in, plus these.

    Zhang et al., CVPR 2018 (RDN), section 3.2.

    Args:
        x: `[N, h, w, C]`.
        act: The activation.
        name: Of the block.
        layers: 3x3 convolutions.
        growth: Channels of each.
    """
    import keras

    seen = [x]
    for index in range(layers):
        y = keras.layers.Concatenate()(seen) if index else x
        seen.append(act.build()(conv(y, growth, f"{name}_conv_{index + 1}")))
    y = conv(keras.layers.Concatenate()(seen), x.shape[-1], f"{name}_fusion", 1)
    return keras.layers.Add(name=name)([x, y])


def channel_attention(x: Any, act: Activation, name: str, reduction: int) -> Any:
    """Each channel times a factor in (0, 1) that follows from the means of all over the image.

    Zhang et al., ECCV 2018 (RCAN), section 3.3.

    Args:
        x: `[N, h, w, C]`.
        act: The activation between the two 1x1 layers.
        name: Of the part.
        reduction: C over the channels between them (at least 1).
    """
    import keras

    # In float32: float16 ends at 65504, and a mean may be computed as a sum.
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype="float32", name=f"{name}_mean")
    return gate(x, mean(x), act, name, reduction)


def gate(x: Any, y: Any, act: Activation, name: str, reduction: int) -> Any:
    """Each channel times a factor in (0, 1): 1x1, activation, 1x1 and a sigmoid of `[N, 1, 1, C]`.

    Args:
        x: `[N, h, w, C]`.
        y: What is known of each channel.
        act: The activation between the two layers.
        name: Of the part.
        reduction: C over the channels between them (at least 1).
    """
    import keras

    channels = x.shape[-1]
    y = act.build()(conv(y, max(1, channels // reduction), f"{name}_down", 1))
    y = conv(y, channels, f"{name}_up", 1, activation="sigmoid")
    return keras.layers.Multiply(name=name)([x, y])


# ITU-R BT.601 in studio swing, for networks of luma alone: weights of R, G, B and offset.
_LUMA, _OFFSET = (65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255


def check_mean(mean: Sequence[float]) -> None:
    """Raises OptionError: not one mean for each of red, green and blue."""
    if len(mean) != 3:
        raise OptionError(f"mean={mean}: must be three numbers, of R, G and B", "mean")


def subtract_mean(x: Any, mean: Sequence[float], sign: int = -1) -> Any:
    """An image without the mean of a training set, or with `sign=1` with it again.

    Args:
        x: `[N, h, w, 1 or 3]`, Y or RGB in [0, 1].
        mean: Of R, G and B.
        sign: -1 or 1.
    """
    import keras

    if x.shape[-1] == 1:
        mean = [_OFFSET + sum(w * m for w, m in zip(_LUMA, mean, strict=True))]
    name = "add_mean" if sign > 0 else "subtract_mean"
    return keras.layers.Rescaling(1.0, [sign * m for m in mean], dtype="float32", name=name)(x)
