"""The contract between a model and everything around it.

A model is an option (`model=...`): its fields say how it is built, a few properties say what a
caller must know. Training, scoring and everything later see a network only through
`Upscaler` (`srexp.models.upscaler`), which asks these properties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from srexp.activations.base import Activation
from srexp.images.resize import INTERPOLATIONS
from srexp.options import Options, choice

if TYPE_CHECKING:
    import keras


@dataclass(kw_only=True)
class Model(Options, group="model"):
    """A way to make a large image of a small one.

    Attributes:
        trainable: Whether there are weights; a classical resampler has none.
        upsampling: `pre`: the network gets LR already enlarged to HR's size (SRCNN, VDSR).
            `post`: it gets LR itself and enlarges inside (FSRCNN, ESPCN, EDSR).
    """

    trainable: ClassVar[bool] = True
    upsampling: ClassVar[str] = "pre"

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels that one output pixel depends on."""
        raise NotImplementedError

    def build(self, *, scale: int, channels: int, act: Activation) -> keras.Model:
        """The network: a functional Keras model for images of any height and width.

        Its input is `[N, h, w, channels]` in [0, 1] (LR, or LR enlarged with `upsampling="pre"`),
        its output `[N, H, W, channels]`, meant to lie in [0, 1] and not clipped. What range the
        network uses between the two is its own affair.

        Args:
            scale: HR over LR.
            channels: 1 or 3.
            act: The activation; `act.build()` gives a new layer each time.
        """
        raise NotImplementedError


@dataclass(kw_only=True)
class PreUpsampling(Model):
    """Base of networks that refine an enlarged image.

    Attributes:
        upscale_interpolation: How LR is enlarged before the first layer; None for the
            degradation's own interpolation.
    """

    upscale_interpolation: str | None = choice(None, *INTERPOLATIONS)
