"""What lossy picture files leave of an image."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from PIL import Image, features

from srexp.degradations.links.base import Link, draw, shown
from srexp.images.io import to_picture
from srexp.images.quantize import from_uint8, to_uint8
from srexp.options import choice, spread


def _library(*names: str) -> str:
    """The first of these of Pillow's libraries that is there, and its version."""
    found = ((name, features.version(name)) for name in names)
    return next((f"{name} {version}" for name, version in found if version), "")


@dataclass(kw_only=True)
class Compression(Link):
    """Saved as an 8-bit file and opened again.

    Files differ by a level here and there with the library that writes them, so that its version
    is told.

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

    @property
    def label(self) -> str:
        return f"{type(self).__name__} {shown(self.quality)} ({self.code_version})"

    def _save(self, picture: Image.Image, content: io.BytesIO, quality: int) -> None:
        raise NotImplementedError


@dataclass(kw_only=True)
class Jpeg(Compression, name="jpeg"):
    """JPEG by libjpeg(-turbo), as Pillow brings it.

    Attributes:
        subsampling: Of the chroma: `4:4:4`, `4:2:2` or `4:2:0`.
    """

    code_version: ClassVar[str] = _library("libjpeg_turbo", "jpg")

    def reach(self, factor: float) -> float:
        return 16  # a block of chroma that was halved, or the next one, with which it is smoothed

    subsampling: str = choice("4:4:4", "4:2:2", "4:2:0")

    def _save(self, picture: Image.Image, content: io.BytesIO, quality: int) -> None:
        more = {"subsampling": self.subsampling} if picture.mode == "RGB" else {}
        picture.save(content, "JPEG", quality=quality, **more)

    @property
    def label(self) -> str:
        return f"JPEG {shown(self.quality)} {self.subsampling} ({self.code_version})"


@dataclass(kw_only=True)
class WebP(Compression, name="webp"):
    """WebP by libwebp, as Pillow brings it."""

    code_version: ClassVar[str] = _library("webp")

    def reach(self, factor: float) -> float:
        return 24  # a block, 16x16, and what is filtered across its edges

    def _save(self, picture: Image.Image, content: io.BytesIO, quality: int) -> None:
        picture.save(content, "WEBP", quality=quality)
