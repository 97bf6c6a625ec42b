"""The contract between a model and everything around it.

A model is an option (`model=...`): its fields say how it is built, a few attributes say what a
caller must know. Training, scoring and everything later see a network only through
`Upscaler` (`srexp.models.upscaler`), which asks these attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from srexp.activations.base import Activation
from srexp.images.resize import INTERPOLATIONS
from srexp.options import OptionError, Options, choice

if TYPE_CHECKING:
    import keras

# `compare(inputs, hr)` of a batch -> SR, HR (`[N, H, W, C]` both, of one size) and weight of each
# output of the network: what training minimises is the sum of their losses times their weights.
Comparison = Callable[[Any, Any], Sequence[tuple[Any, Any, float]]]


@dataclass(frozen=True)
class Published:
    """How many parameters a paper states for one of its networks.

    Attributes:
        parameters: The number.
        counts: What it counts: `weights` (kernels), `weights+bias`, or `all` (activations too).
        scale: Of that network.
        channels: Of that network, 1 or 3.
        settings: Field -> value of the model where that network differs from the YAML.
    """

    parameters: int
    counts: str
    scale: int
    channels: int
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Model(Options, group="model"):
    """A way to make a large image of a small one.

    Attributes:
        trainable: Whether there are weights; a classical resampler has none.
        inputs: What the network gets, in this order: `lr`, and `enlarged`, which is LR enlarged to
            HR's size (SRCNN, VDSR). With `lr` the network enlarges inside (FSRCNN, ESPCN, EDSR).
        size_multiple: The height and width of the first input must divide by it. Other images
            are mirrored at their edges to fit, and the result is cropped.
        scales: Those that it has.
        sees_all: Whether an output pixel depends on the whole image (attention that pools over
            it), so that a tile gives another result.
        published: What papers state of their networks; tests count ours.
    """

    trainable: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("lr",)
    size_multiple: ClassVar[int] = 1
    scales: ClassVar[Sequence[int]] = range(2, 9)
    sees_all: ClassVar[bool] = False
    published: ClassVar[tuple[Published, ...]] = ()

    @classmethod
    def input_factors(cls, scale: int) -> tuple[int, ...]:
        """The size of each of `inputs` over LR's."""
        return tuple({"lr": 1, "enlarged": scale}[name] for name in cls.inputs)

    @property
    def rates(self) -> Mapping[str, float]:
        """Layer -> what the learning rate of its weights is multiplied by; of all others by 1."""
        return {}

    def check(self, *, scale: int, channels: int) -> None:
        """Raises OptionError: there is no such network for this scale or these channels."""
        if scale not in self.scales:
            has = ", ".join(map(str, self.scales))
            raise OptionError(
                f"degradation.scale={scale}: model={self.name} has the scales {has}",
                "degradation.scale",
            )

    def compared_side(self, hr_patch_size: int, scale: int) -> int:
        """Side of the smallest image that the loss sees of an HR patch, in pixels."""
        return hr_patch_size

    def comparison(self, network: keras.Model) -> Comparison:
        """What supervised training compares in a step: SR and HR, unless a network says more.

        Args:
            network: As `build` made it.
        """
        return lambda inputs, hr: [(network(inputs, training=True), hr, 1.0)]

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        """The network: a functional Keras model for images of any height and width.

        Its inputs are `inputs`, each `[N, h, w, channels]` in [0, 1], its output is
        `[N, H, W, channels]`, meant to lie in [0, 1] and not clipped. What range the network uses
        between the two is its own affair.

        Args:
            scale: HR over LR.
            channels: 1 or 3.
            act: The activation; `act.build()` gives a new layer each time.
        """
        raise NotImplementedError

    @staticmethod
    def collapse(network: keras.Model) -> keras.Model:
        """A network as it is used once it is trained: of Keras' own layers alone.

        It gives what `network` gives, to within rounding. What is saved, scored from a run, timed
        and counted is this one.

        Args:
            network: As `build` made it, with any weights; it stays as it is.

        Returns:
            A network with plain convolutions where there were collapsible layers; `network`
            itself where there were none.
        """
        from srexp.models.layers.collapsible import collapse

        return collapse(network)


@dataclass(kw_only=True)
class PreUpsampling(Model):
    """Base of networks that refine an enlarged image.

    Attributes:
        upscale_interpolation: How LR is enlarged before the first layer; None for the
            degradation's own interpolation.
    """

    inputs: ClassVar[tuple[str, ...]] = ("enlarged",)

    upscale_interpolation: str | None = choice(None, *INTERPOLATIONS)
