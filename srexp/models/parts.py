"""Parts that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
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
    x: Any, filters: Sequence[int], kernel_sizes: Sequence[int], act: Activation
) -> Any:
    """Zero-padded convolutions `conv_1`, `conv_2`, ..., He's start, an activation after each."""
    import keras

    for index, (count, size) in enumerate(zip(filters, kernel_sizes, strict=True)):
        x = keras.layers.Conv2D(
            count,
            size,
            padding="same",
            kernel_initializer="he_normal",
            name=f"conv_{index + 1}",
        )(x)
        x = act.build()(x)
    return x


def shuffle(x: Any, factor: int) -> Any:
    """`[N, h, w, C factor²]` -> `[N, h factor, w factor, C]`. Shi et al., CVPR 2016, equation 4."""
    from keras import ops

    return ops.depth_to_space(x, factor)


def repeated(x: Any, factor: int) -> Any:
    """Channels so often that `shuffle` makes nearest-neighbour enlarging of it."""
    import keras

    return keras.layers.Concatenate(dtype="float32", name="repeated")([x] * factor**2)


def factors(scale: int) -> list[int]:
    """The steps by which a scale is reached: 4 as twice 2, 8 as three times 2, others at once."""
    steps = []
    while scale > 3 and scale % 2 == 0:
        steps.append(2)
        scale //= 2
    return [*steps, scale] if scale > 1 else steps


def enlarging_layers(x: Any, filters: int, scale: int) -> Any:
    """A 3x3 convolution and a shuffle for each of `factors`. Lim et al., CVPRW 2017, figure 3."""
    import keras

    for index, factor in enumerate(factors(scale)):
        x = keras.layers.Conv2D(
            filters * factor**2, 3, padding="same", name=f"upsample_{index + 1}"
        )(x)
        x = shuffle(x, factor)
    return x
