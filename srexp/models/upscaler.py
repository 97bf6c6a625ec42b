"""From an LR image to an SR image, whatever the model: the one way through which all go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from srexp.degradations.base import Degradation
from srexp.images.colour import as_rgb, grey_of_rgb, rgb_to_ycbcr, ycbcr_to_rgb
from srexp.images.resize import MATLAB_INTERPOLATIONS, enlarge
from srexp.models.base import Model, PreUpsampling
from srexp.models.resampler import Resampler
from srexp.models.tiles import Forward, forward_in_tiles
from srexp.options import OptionError


class Enlarge(Protocol):
    """LR `[h, w, C]` -> SR `[h * scale, w * scale, C]`, float32, not clipped."""

    def __call__(self, lr: np.ndarray, *, eight_bit: bool = False) -> np.ndarray: ...


def to_network_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """An image as the network wants it: grey as three equal channels, or the Y of a picture."""
    if image.shape[2] == channels:
        return image
    return as_rgb(image) if channels == 3 else rgb_to_ycbcr(image)[..., :1]


def check_kernel(model: Model, degradation: Degradation) -> None:
    """Raises OptionError: the engine has no kernel by which the model wants to enlarge."""
    key = "interpolation" if isinstance(model, Resampler) else "upscale_interpolation"
    kernel = getattr(model, key, None)
    if (
        kernel is not None
        and degradation.engine == "matlab"
        and kernel not in MATLAB_INTERPOLATIONS
    ):
        raise OptionError(
            f"model.{key}={kernel}: degradation.engine=matlab has no such kernel; "
            "use degradation.engine=pillow",
            f"model.{key}",
        )


@dataclass
class Upscaler:
    """LR `[h, w, C]` -> SR `[h * scale, w * scale, C]`, float32, not clipped.

    Attributes:
        model: The options of the model.
        degradation: What made LR: its scale, engine and interpolation.
        channels: Of the network, 1 (Y) or 3 (RGB).
        forward: `[N, h, w, channels]` -> `[N, H, W, channels]`; None for a resampler.
    """

    model: Model
    degradation: Degradation
    channels: int
    forward: Forward | None = None

    def __post_init__(self) -> None:
        check_kernel(self.model, self.degradation)

    def prepare(self, lr: np.ndarray) -> np.ndarray:
        """What the network sees of an LR image with its own number of channels."""
        if not isinstance(self.model, PreUpsampling):
            return lr
        degradation = self.degradation
        interpolation = self.model.upscale_interpolation or degradation.interpolation
        return enlarge(lr, degradation.scale, interpolation, degradation.engine)

    def __call__(self, lr: np.ndarray, *, eight_bit: bool = False) -> np.ndarray:
        """Enlarge one image.

        A Y network given a picture takes its Y and leaves Cb and Cr to bicubic; an RGB network
        given a grey image gets it as three equal channels.

        Args:
            lr: `[h, w, 1 or 3]` in [0, 1].
            eight_bit: LR is a stored 8-bit picture; see `resize_pillow`.
        """
        scale, engine = self.degradation.scale, self.degradation.engine
        if isinstance(self.model, Resampler):
            kernel = self.model.interpolation
            return enlarge(lr, scale, kernel, engine, eight_bit=eight_bit)
        assert self.forward is not None
        inputs = self.prepare(to_network_channels(lr, self.channels))
        sr = forward_in_tiles(
            self.forward,
            inputs,
            factor=scale if self.model.upsampling == "post" else 1,
            reach=lambda: self.model.receptive_field // 2,
        )
        del inputs
        if lr.shape[2] == self.channels:
            return sr
        if lr.shape[2] == 1:
            return grey_of_rgb(sr)
        chroma = rgb_to_ycbcr(enlarge(lr, scale, "bicubic", engine))[..., 1:]
        return ycbcr_to_rgb(np.concatenate([sr, chroma], axis=2))


@dataclass
class SelfEnsemble:
    """The mean of an upscaler's eight results on the flips and rotations of an image.

    EDSR+ (Lim et al., CVPRW 2017, section 3.3) after Timofte et al., CVPR 2016. The mean is taken
    in floats, before anything is rounded.

    Attributes:
        upscaler: What is asked eight times.
    """

    upscaler: Enlarge

    def __call__(self, lr: np.ndarray, *, eight_bit: bool = False) -> np.ndarray:
        """As `Upscaler.__call__`."""
        total: np.ndarray | None = None
        for turns in range(4):
            for step in (1, -1):
                turned = np.ascontiguousarray(np.rot90(lr, turns)[:, ::step])
                sr = np.rot90(self.upscaler(turned, eight_bit=eight_bit)[:, ::step], -turns)
                total = sr.astype(np.float64) if total is None else np.add(total, sr, out=total)
        assert total is not None
        total /= 8
        return total.astype(np.float32)


def bicubic(degradation: Degradation) -> Upscaler:
    """The baseline of every table, by the engine that made the LR images."""
    return Upscaler(Resampler(interpolation="bicubic"), degradation, channels=3)
