"""By what pictures are enlarged: networks of some scales, or a resampler of any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from srexp.images.resize import resize
from srexp.models.upscaler import SelfEnsemble
from srexp.pictures.picture import Frame
from srexp.upscaling.network import FINISH, Finish, Network, as_float, to_float
from srexp.upscaling.sizes import chain
from srexp.upscaling.transparency import fill_clear, within_neighbours

# Of a result that is larger or smaller than a network makes it.
_KERNEL = "bicubic"


@dataclass
class Method:
    """Enlarges images to any size.

    Attributes:
        name: By which people call it.
        digest: Equal for what gives equal results.
        scales: Of the networks that there are; none for a resampler.
        network: Makes the one of a scale ready.
        interpolation: The resampler's kernel.
        ensemble: The mean of the results of the eight flips and rotations.
    """

    name: str
    digest: str
    scales: tuple[int, ...] = ()
    network: Callable[[int], Network] | None = None
    interpolation: str = _KERNEL
    ensemble: bool = False

    @cached_property
    def _networks(self) -> dict[int, Network]:
        return {}

    def _enlarge(self, scale: int, image: np.ndarray, finish: Finish) -> np.ndarray:
        assert self.network is not None
        if scale not in self._networks:
            self._networks[scale] = self.network(scale)
        network = self._networks[scale]
        if self.ensemble:
            return finish(SelfEnsemble(lambda lr, **_: network(lr))(image))
        return network(image, finish)

    def steps(self, width: int, height: int, size: tuple[int, int]) -> list[int]:
        """The networks that enlarge a picture to at least a size (width and height), one by one."""
        return chain(max(size[0] / width, size[1] / height), self.scales) if self.scales else []

    def enlarged(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        kind: str,
        made: Callable[[int], None] = lambda pixels: None,
    ) -> np.ndarray:
        """An image in another size.

        Args:
            image: `[h, w, 1 or 3]`, uint8 or float32 in [0, 1].
            size: Width and height of the result.
            kind: Its type: `uint8`, `uint16` or `float32`.
            made: Told how many pixels more are finished.
        """
        width, height = size

        def finish(part: np.ndarray, *, keep: Finish = FINISH[kind]) -> np.ndarray:
            made(part.shape[0] * part.shape[1])
            return keep(part)

        steps = self.steps(image.shape[1], image.shape[0], size)
        for number, scale in enumerate(steps, 1):
            last = number == len(steps)
            right = last and (image.shape[0] * scale, image.shape[1] * scale) == (height, width)
            if right:
                return self._enlarge(scale, image, finish)
            # What lies between two networks, or a network and a resize, is not rounded.
            image = self._enlarge(scale, image, lambda part: finish(part, keep=to_float))
        kernel = _KERNEL if self.scales else self.interpolation
        return FINISH[kind](resize(as_float(image), (height, width), kernel))

    def enlarged_frame(
        self, frame: Frame, size: tuple[int, int], made: Callable[[int], None] = lambda pixels: None
    ) -> Frame:
        """A frame in another size, uint8, or uint16 where it was float32. See `transparency`."""
        kind = "uint8" if frame.colour.dtype == np.uint8 else "uint16"
        if frame.alpha is None:
            return Frame(self.enlarged(frame.colour, size, kind, made), None, frame.milliseconds)
        colour = fill_clear(frame.colour, frame.alpha)
        alpha = self.enlarged(frame.alpha, size, kind, made)
        return Frame(
            self.enlarged(colour, size, kind, made),
            within_neighbours(alpha, frame.alpha),
            frame.milliseconds,
        )
