"""What lossy picture files leave of an image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, features

from srexp.degradations.links.base import Link, draw
from srexp.images.io import to_picture
from srexp.images.quantize import from_uint8, to_uint8
from srexp.options import choice, spread


@dataclass(kw_only=True)
class Compression(Link):
    """Saved as an 8-bit file and opened again.

    Attributes:
        quality: As Pillow counts it, 1 to 100; a drawn one is rounded.
    """

    stored: ClassVar[bool] = True

    quality: Any = spread(1, 100)

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        content = io.BytesIO()
        self._save(to_picture(to_uint8(image)), content, round(draw(self.quality, random)))
        with Image.open(content) as file:
            # WebP keeps no grey.
            opened = np.asarray(file.convert("L" if image.shape[2] == 1 else "RGB"))
        return from_uint8(opened if opened.ndim == 3 else opened[..., None])

    def _save(self, picture: Image.Image, content: io.BytesIO, quality: int) -> None:
        raise NotImplementedError


@dataclass(kw_only=True)
class Jpeg(Compression, name="jpeg"):
    """JPEG by libjpeg(-turbo), as Pillow brings it.

    Attributes:
        subsampling: Of the chroma: `4:4:4`, `4:2:2` or `4:2:0`.
    """

    subsampling: str = choice("4:4:4", "4:2:2", "4:2:0")

    def _save(self, picture: Image.Image, content: io.BytesIO, quality: int) -> None:
        more = {"subsampling": self.subsampling} if picture.mode == "RGB" else {}
        picture.save(content, "JPEG", quality=quality, **more)

    @property
    def version(self) -> str:
        """Of the library: others may differ by a level here and there."""
        return f"jpeg {features.version('jpg')}"


@dataclass(kw_only=True)
class WebP(Compression, name="webp"):
    """WebP by libwebp, as Pillow brings it."""

    def _save(self, picture: Image.Image, content: io.BytesIO, quality: int) -> None:
        picture.save(content, "WEBP", quality=quality)

    @property
    def version(self) -> str:
        """Of the library: others may differ by a level here and there."""
        return f"webp {features.version('webp')}"
