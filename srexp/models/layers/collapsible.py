"""Convolutions that are trained wide and collapse into plain ones.

A chain or sum of convolutions with nothing between them is one convolution. Here its kernel is
computed from the wide weights in every forward pass, and that one convolution is run (Bhardwaj et
al., MLSys 2022, section 3.3): a step costs about what the narrow network costs, while the
gradients reach the wide weights. What is trained and what is saved is then the same function, at
the borders too: an inner 1x1 convolution sees the zeros around the image, as with the padding of
Zhang et al., ACM MM 2021, section 3.3.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from srexp.models.layers.rewriting import rewrite


class Collapsible(keras.layers.Layer):  # type: ignore[misc]
    """Base of layers whose weights amount to one zero-padded convolution.

    Args:
        filters: Output channels.
        kernel_size: Side of the kernel, odd.
        use_bias: Add one number to each output channel.
    """

    def __init__(
        self, filters: int, kernel_size: int = 3, *, use_bias: bool = True, **more: Any
    ) -> None:
        super().__init__(**more)
        self.filters, self.kernel_size, self.use_bias = filters, kernel_size, use_bias
        self.bias = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights for this many input channels."""
        self.build_kernel(int(input_shape[-1] or 0))
        if self.use_bias:
            self.bias = self._weight("bias", (self.filters,), "zeros")
        self.built = True

    def build_kernel(self, channels: int) -> None:
        """Make the weights of the kernel."""
        raise NotImplementedError

    def collapsed_kernel(self) -> Any:
        """`[kernel_size, kernel_size, channels, filters]`, float32."""
        raise NotImplementedError

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        # In mixed precision a sum of many products is rounded once, at its end.
        return self.add_weight(name=name, shape=shape, initializer=initializer, autocast=False)

    def call(self, inputs: Any) -> Any:
        """`[N, h, w, channels]` -> `[N, h, w, filters]`."""
        kernel = ops.cast(self.collapsed_kernel(), self.compute_dtype)
        outputs = ops.conv(inputs, kernel, padding="same")
        if self.bias is None:
            return outputs
        return outputs + ops.cast(self.bias, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """All axes but the last stay."""
        return (*input_shape[:-1], self.filters)

    def plain(self) -> keras.layers.Conv2D:
        """Keras' own layer that gives the same; its weights are `plain_weights`."""
        return keras.layers.Conv2D(
            self.filters,
            self.kernel_size,
            padding="same",
            use_bias=self.use_bias,
            name=self.name,
            dtype=self.dtype_policy,
        )

    def plain_weights(self) -> list[np.ndarray]:
        """The kernel, and the bias where there is one."""
        bias: list[np.ndarray] = [] if self.bias is None else [np.asarray(self.bias)]
        return [np.asarray(self.collapsed_kernel()), *bias]


class LinearBlock(Collapsible):
    """A convolution to many channels, then 1x1 to few, plus the input. Bhardwaj et al., figure 2.

    Args:
        filters: Output channels.
        kernel_size: Of the first convolution.
        expansion: Channels between the two.
        shortcut: Add the input, where it has as many channels as the output.
        zero: Start at zero: the last convolution's kernel is.
        more: As of `Collapsible`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        *,
        expansion: int,
        shortcut: bool = True,
        zero: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(filters, kernel_size, **more)
        self.expansion, self.shortcut, self.zero = expansion, shortcut, zero

    def build_kernel(self, channels: int) -> None:
        """The collapsed kernel starts with He et al.'s variance, 2 / fan-in (2015)."""
        size = self.kernel_size
        self.expand = self._weight("expand", (size, size, channels, self.expansion), "he_normal")
        self.project = self._weight(
            "project",
            (1, 1, self.expansion, self.filters),
            "zeros" if self.zero else "lecun_normal",
        )
        self.identity = None
        if self.shortcut and channels == self.filters:
            self.identity = np.zeros((size, size, channels, channels), np.float32)
            self.identity[size // 2, size // 2] = np.eye(channels)

    def collapsed_kernel(self) -> Any:
        kernel = ops.matmul(self.expand, self.project[0, 0])
        return kernel if self.identity is None else kernel + self.identity


# What an edge filter looks like; each sums to zero, so that a bias before it would have no effect.
_EDGES = np.array(
    [
        [[1, 0, -1], [2, 0, -2], [1, 0, -1]],  # Sobel, along x
        [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],  # Sobel, along y
        [[0, 1, 0], [1, -4, 1], [0, 1, 0]],  # Laplacian
    ],
    np.float32,
)


class EdgeBlock(Collapsible):
    """A sum of 3x3, 1x1 and 3x3, and 1x1 and an edge filter for each of three of these.

    ECB of Zhang et al., ACM MM 2021, section 3.2. Biases of the five branches are one bias here,
    their sum.

    Args:
        filters: Output channels.
        widening: Channels between the 1x1 and 3x3 convolution, over `filters`.
        identity: Add the input, where it has as many channels as the output.
        more: As of `Collapsible`.
    """

    def __init__(
        self, filters: int, *, widening: float, identity: bool = False, **more: Any
    ) -> None:
        super().__init__(filters, **more)
        self.widening, self.with_identity = widening, identity

    def build_kernel(self, channels: int) -> None:
        """Edge filters start weak, as in the authors' code."""
        inner, out = max(1, int(self.filters * self.widening)), self.filters
        start = "glorot_uniform"
        self.direct = self._weight("direct", (3, 3, channels, out), start)
        self.widen = self._weight("widen", (1, 1, channels, inner), start)
        self.narrow = self._weight("narrow", (3, 3, inner, out), start)
        weak = keras.initializers.RandomNormal(stddev=1e-3)
        self.edges = [
            (
                self._weight(f"{name}_mix", (1, 1, channels, out), start),
                self._weight(f"{name}_strength", (out,), weak),
            )
            for name in ("sobel_x", "sobel_y", "laplacian")
        ]
        self.identity = None
        if self.with_identity and channels == out:
            self.identity = np.zeros((3, 3, channels, out), np.float32)
            self.identity[1, 1] = np.eye(out)

    def collapsed_kernel(self) -> Any:
        kernel = self.direct + ops.matmul(self.widen[0, 0], self.narrow)
        for edge, (mix, strength) in zip(_EDGES, self.edges, strict=True):
            kernel = kernel + edge[..., None, None] * (mix * strength)
        return kernel if self.identity is None else kernel + self.identity


def collapse(network: keras.Model) -> keras.Model:
    """The same network of Keras' own layers alone, each collapsible one as a plain convolution.

    Args:
        network: A functional one. It stays as it is.

    Returns:
        A new network that gives the same, or `network` itself where nothing can collapse.
    """
    return rewrite(
        network,
        lambda layer: (
            (layer.plain(), layer.plain_weights()) if isinstance(layer, Collapsible) else None
        ),
    )
