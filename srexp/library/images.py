"""An image as people have it, to what an upscaler takes, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.images.io import to_picture
from srexp.images.quantize import from_uint8, to_uint8
from srexp.options import OptionError

if TYPE_CHECKING:
    from PIL import Image

    from srexp.models.upscaler import Enlarge


def upscale(image: np.ndarray | Image.Image, enlarge: Enlarge) -> Any:
    """Enlarge an array or a Pillow image; what comes back is of the same kind.

    Args:
        image: `[h, w]`, `[h, w, 1]` or `[h, w, 3]`, uint8 or float in [0, 1]; or a Pillow image of
            mode L or RGB.
        enlarge: The upscaler.

    Returns:
        An array with the same axes, uint8 or float32 in [0, 1]; or an image of the same mode.

    Raises:
        OptionError: The image is none of these.
    """
    array, back = _taken(image)
    if array.dtype == np.uint8:
        return back(to_uint8(enlarge(from_uint8(array), eight_bit=True)))
    return back(np.clip(enlarge(array), 0, 1))


def _taken(image: Any) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """The image as `[h, w, 1 or 3]`, and the way back."""
    if not isinstance(image, np.ndarray):
        return _of_pillow(image), to_picture
    if image.ndim == 2:
        return _checked(image[..., None]), lambda made: made[..., 0]
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        alpha = image.ndim == 3 and image.shape[2] in (2, 4)
        raise OptionError(
            f"image: must be [h, w], [h, w, 1] or [h, w, 3], and is {list(image.shape)}"
            + ("; leave the alpha channel out: image[..., :-1]" if alpha else "")
        )
    return _checked(image), lambda made: made


def _checked(image: np.ndarray) -> np.ndarray:
    if 0 in image.shape:
        raise OptionError(f"image: has no pixels ({image.shape[0]}x{image.shape[1]})")
    if image.dtype == np.uint8:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise OptionError(f"image: must be uint8 or float, and is {image.dtype}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0 and high <= 1):  # NaN, too
        raise OptionError(
            f"image: floats must be in [0, 1], and are from {low:g} to {high:g}"
            + ("; divide by 255" if 1 < high <= 255 and low >= 0 else "")
        )
    return image.astype(np.float32)


def _of_pillow(image: Any) -> np.ndarray:
    mode = getattr(image, "mode", None)
    if mode in ("L", "RGB") and "transparency" not in getattr(image, "info", {}):
        array = np.asarray(image)
        return _checked(array[..., None] if array.ndim == 2 else array)
    if mode is None:
        kind = type(image).__name__
        raise OptionError(f"image: must be an array or a Pillow image, and is of type {kind}")
    grey = mode in ("1", "LA", "La", "L") or mode.startswith("I")
    clear = mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info
    raise OptionError(
        f"image: mode {mode}{' with transparency' if clear else ''}: must be L or RGB without "
        f"transparency, as image.convert({('L' if grey else 'RGB')!r}) makes it"
    )
