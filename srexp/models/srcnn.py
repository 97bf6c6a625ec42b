"""SRCNN.

C. Dong, C. C. Loy, K. He, X. Tang: Image super-resolution using deep convolutional networks.
IEEE TPAMI 38(2), 2016 (the ECCV 2014 paper's network is 9-1-5). Sections 3.1, 3.3 and 4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.models.base import Comparison, PreUpsampling, Published
from srexp.models.parts import check_kernels, hidden_layers, replicate_edges
from srexp.options import OptionError, bounded, choice

if TYPE_CHECKING:
    import keras

# The layer behind which no pixel is padded any more, with padding=valid.
_PADDED = "padded"


@dataclass(kw_only=True)
class SRCNN(PreUpsampling, name="srcnn"):
    """Patch extraction, non-linear mapping, reconstruction.

    Attributes:
        filters: Channels of every layer but the last; the paper's are [64, 32].
        kernel_sizes: Side of each layer's kernel, odd: [9, 1, 5] or [9, 5, 5].
        residual: Add the enlarged input to the result (not in the paper); the last layer then
            starts at zero.
        last_layer_rate: What the last layer's learning rate is multiplied by; the paper's is 0.1.
        padding: `same`: every layer is padded with zeros. `valid`: none is, as in the paper; the
            loss sees the inner pixels of a patch, and a whole image gets its outermost pixels
            repeated at once before the first layer (the paper's code does so before each).
        initialisation: Of the kernels. `he`: He et al. for the hidden layers, Glorot for the last,
            linear one. `paper`: normal, standard deviation 0.001. `delta`: the network starts as
            the identity (where the activation leaves [0, 1] as it is): a delta carries each of the
            image's channels through the first hidden ones; the other hidden channels start as
            with `he` and join in through the last layer, where their kernels are zero.
    """

    published = (
        Published(8032, "weights", scale=3, channels=1, settings={"kernel_sizes": [9, 1, 5]}),
        Published(24416, "weights", scale=3, channels=1, settings={"kernel_sizes": [9, 3, 5]}),
        Published(57184, "weights", scale=3, channels=1, settings={"kernel_sizes": [9, 5, 5]}),
    )

    filters: list[int] = bounded(1, 4096)
    kernel_sizes: list[int] = bounded(1, 31)
    residual: bool
    last_layer_rate: float = bounded(above=0, high=1000, default=1.0)
    padding: str = choice("same", "valid", default="same")
    initialisation: str = choice("he", "paper", "delta", default="he")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_kernels(self.filters, self.kernel_sizes, "are the image's channels")
        if self.residual and self.initialisation == "delta":
            raise OptionError(
                "initialisation=delta: starts as the enlarged image, which residual=true adds "
                "once more; use residual=false",
                "initialisation",
            )

    def check(self, *, scale: int, channels: int) -> None:
        super().check(scale=scale, channels=channels)
        if self.initialisation == "delta" and min(self.filters) < channels:
            raise OptionError(
                f"model.filters={self.filters}: initialisation=delta needs at least {channels} in "
                "each layer, one for each channel of the image",
                "model.filters",
            )

    @property
    def rates(self) -> Mapping[str, float]:
        last = f"conv_{len(self.kernel_sizes)}"
        return {last: self.last_layer_rate} if self.last_layer_rate != 1 else {}

    @property
    def _reach(self) -> int:
        """How many pixels to each side a pixel depends on."""
        return sum(size // 2 for size in self.kernel_sizes)

    def compared_side(self, hr_patch_size: int, scale: int) -> int:
        return hr_patch_size - (2 * self._reach if self.padding == "valid" else 0)

    def comparison(self, network: keras.Model) -> Comparison:
        if self.padding == "same":
            return super().comparison(network)
        import keras

        inner = keras.Model(network.get_layer(_PADDED).output, network.output)
        unseen = slice(self._reach, -self._reach or None)

        def compare(inputs: Any, hr: Any) -> list[tuple[Any, Any, float]]:
            return [(inner(inputs, training=True), hr[:, unseen, unseen], 1.0)]

        return compare

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        import keras

        x = inputs = keras.Input((None, None, channels))
        if self.padding == "valid":
            # In mixed precision the image itself stays in float32.
            x = keras.layers.Identity(dtype="float32", name=_PADDED)(
                replicate_edges(x, self._reach)
            )
        image = x
        x = hidden_layers(x, self.filters, self.kernel_sizes[:-1], act, self.padding)
        x = keras.layers.Conv2D(
            channels,
            self.kernel_sizes[-1],
            padding=self.padding,
            kernel_initializer="zeros" if self.residual else "glorot_uniform",
            dtype="float32",
            name=f"conv_{len(self.kernel_sizes)}",
        )(x)
        if self.residual:
            if self.padding == "valid":
                image = keras.layers.Cropping2D(self._reach, dtype="float32")(image)
            x = keras.layers.Add(dtype="float32")([image, x])
        network = keras.Model(inputs, x, name="srcnn")
        self._initialise(network, channels)
        return network

    def _initialise(self, network: keras.Model, channels: int) -> None:
        """Give the kernels other values than Keras did."""
        import keras

        if self.initialisation == "he":
            return
        hidden = len(self.filters)
        for index in range(hidden + 1):
            kernel = network.get_layer(f"conv_{index + 1}").kernel
            if self.initialisation == "paper":
                if index < hidden or not self.residual:
                    normal = keras.initializers.RandomNormal(stddev=0.001)
                    kernel.assign(normal(kernel.shape, kernel.dtype))
                continue
            values, middle = keras.ops.convert_to_numpy(kernel).copy(), kernel.shape[0] // 2
            values[..., :channels] = 0
            for channel in range(channels):
                values[middle, middle, channel, channel] = 1
            kernel.assign(values)
