"""Networks to enlarge pictures by: those that come with srexp, and those of runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srexp.library.images import upscale
from srexp.library.run import where
from srexp.options import OptionError
from srexp.upscaling import bundled
from srexp.upscaling.method import Method
from srexp.upscaling.sizes import Wanted


@dataclass(frozen=True)
class Enlarger:
    """Enlarges images; see `load`.

    Attributes:
        method: By what.
        wanted: How large.
    """

    method: Method
    wanted: Wanted

    def upscale(self, image: Any) -> Any:
        """Enlarge an image, or several.

        >>> srexp.load("tiny", scale=2).upscale(np.zeros((12, 10, 3), np.uint8)).shape
        (24, 20, 3)

        Args:
            image: `[h, w]`, `[h, w, 1]` or `[h, w, 3]`, uint8 or float in [0, 1]; `[N, h, w, 1 or
                3]`; a Pillow image of mode L, RGB, LA or RGBA; or a list of such.

        Returns:
            The same kind; floats are float32, clipped.

        Raises:
            OptionError: The image is none of these.
        """
        if isinstance(image, list | tuple):
            return [self.upscale(one) for one in image]
        if isinstance(image, np.ndarray) and image.ndim == 4:
            return np.stack([self.upscale(one) for one in image])
        if getattr(image, "mode", None) in ("LA", "RGBA"):
            return self._with_alpha(image)

        def enlarge(lr: np.ndarray, *, eight_bit: bool = False) -> np.ndarray:
            size = self.wanted.of(lr.shape[1], lr.shape[0])
            return self.method.enlarged(lr, size, "float32")

        return upscale(image, enlarge)

    def _with_alpha(self, image: Any) -> Any:
        from PIL import Image

        from srexp.pictures.picture import Frame

        layers = np.asarray(image)
        frame = Frame(layers[..., :-1], layers[..., -1:])
        made = self.method.enlarged_frame(frame, self.wanted.of(*image.size))
        assert made.alpha is not None
        return Image.fromarray(np.concatenate([made.colour, made.alpha], axis=2))


def load(
    network: Any = "tiny",
    *,
    scale: int = 2,
    kind: str = "clean",
    ensemble: bool = False,
    output_dir: str | Path | None = None,
) -> Enlarger:
    """A network that is ready to enlarge pictures; TensorFlow is not imported.

    Args:
        network: `tiny`, which comes with srexp; or a finished run: what `srexp.train` gave, its
            folder, its id, or `latest`. A run's network is exported the first time (TensorFlow,
            some ten seconds).
        scale: Any; networks are used one after the other, and their result resized to it.
        kind: Of the network that comes with srexp.
        ensemble: The mean of the results of the eight flips and rotations.
        output_dir: Where runs are; None for `$SREXP_OUTPUT_DIR`, else `outputs`.

    Raises:
        OptionError: No such kind or scale.
        RunError: No such run, or one that is not finished.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= 16:
        raise OptionError(f"scale={scale!r}: must be a whole number from 1 to 16")
    if network == "tiny":
        if kind not in bundled.KINDS:
            raise OptionError(f"kind={kind!r}: must be one of {', '.join(bundled.KINDS)}")
        method = bundled.method(kind)
    else:
        from srexp.tracking.record import find_run
        from srexp.upscaling.of_run import method_of_run

        found = find_run(str(getattr(network, "folder", network)), where(output_dir))
        method = method_of_run(found)
    method.ensemble = ensemble
    return Enlarger(method, Wanted(scale=scale))
