"""From an LR image to an SR image, whatever the model: the one way through which all go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from srexp.degradations.base import Degradation
from srexp.images.colour import as_rgb, grey_of_rgb, rgb_to_ycbcr, ycbcr_to_rgb
from srexp.images.resize import HALF_WIDTHS, MATLAB_INTERPOLATIONS, Enlarged, enlarge
from srexp.models.base import Model
from srexp.models.field import Field, receptive_field
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
        forward: `[N, h, w, channels]` of each of the model's inputs -> `[N, H, W, channels]`; None
            for a resampler.
        one_by_one: The same, one layer after the other: fused layers may swallow a NaN, by which
            the receptive field is found. None for `forward` itself.
    """

    model: Model
    degradation: Degradation
    channels: int
    forward: Forward | None = None
    one_by_one: Forward | None = None

    def __post_init__(self) -> None:
        check_kernel(self.model, self.degradation)

    def prepare(self, lr: np.ndarray) -> tuple[np.ndarray, ...]:
        """The network's inputs, of an LR image with its own number of channels."""
        scale, engine = self.degradation.scale, self.degradation.engine
        return tuple(
            lr if name == "lr" else enlarge(lr, scale, self.interpolation, engine)
            for name in self.model.inputs
        )

    def prepare_windows(self, lr: np.ndarray) -> tuple[np.ndarray | Enlarged, ...]:
        """As `prepare`, of a packed LR image; what is enlarged is made where it is looked at.

        Bit for bit the same; for `engine=matlab` alone.
        """
        scale = self.degradation.scale
        return tuple(
            lr if name == "lr" else Enlarged(lr, scale, self.interpolation)
            for name in self.model.inputs
        )

    @property
    def interpolation(self) -> str:
        """How LR is enlarged for the network."""
        own: str | None = getattr(self.model, "upscale_interpolation", None)
        return own or self.degradation.interpolation

    @property
    def kernel_reach(self) -> int:
        """LR pixels to each side on which a pixel of `prepare` depends, at most."""
        enlarges = "enlarged" in self.model.inputs
        return math.ceil(HALF_WIDTHS[self.interpolation]) + 1 if enlarges else 0

    @property
    def _factors(self) -> tuple[list[int], int]:
        """The size of each input, and of the output, over the first input's."""
        scale = self.degradation.scale
        first, *others = self.model.input_factors(scale)
        return [1, *(other // first for other in others)], scale // first

    @cached_property
    def receptive_field(self) -> Field | None:
        """What an output pixel depends on, in pixels of the first input; None for all of them."""
        forward = self.one_by_one or self.forward
        assert forward is not None
        factors, factor = self._factors
        return receptive_field(
            forward,
            channels=self.channels,
            factors=factors,
            factor=factor,
            multiple=self.model.size_multiple,
        )

    def _reach(self) -> int | None:
        return self.receptive_field.reach if self.receptive_field else None

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
            factor=self._factors[1],
            reach=self._reach,
            multiple=self.model.size_multiple,
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
