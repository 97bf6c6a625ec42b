"""Parts that several networks share."""

from __future__ import annotations

from typing import Any


def shuffle(x: Any, factor: int) -> Any:
    """`[N, h, w, C factor²]` -> `[N, h factor, w factor, C]`. Shi et al., CVPR 2016, equation 4."""
    from keras import ops

    return ops.depth_to_space(x, factor)


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
