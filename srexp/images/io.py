"""Reading and writing picture files."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from srexp.images import png, tiff
from srexp.images.quantize import from_uint8, to_uint8
from srexp.options import OptionError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
# By content, whatever their names.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
# How other files begin that are found under such names.
_OTHERS = {b"GIF8": "GIF", b"8BPS": "Photoshop", b"%PDF": "PDF", b"<svg": "SVG", b"<?xm": "SVG"}
# How those begin that are read.
_READ = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"RIFF")
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
# Pillow would refuse more than this, and warn of more than half of it.
_MOST_MEGAPIXELS = 178.0
MOST_MEGAPIXELS = "SREXP_MAX_MEGAPIXELS"
# EXIF 2.3, tag 0x0112: which corner of the scene the first stored row and column lie at.
_ORIENTATION = 0x0112
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
_SIDEWAYS = (5, 6, 7, 8)
_OPENING = threading.Lock()


class ImageFileError(ValueError):
    """A file that is no readable picture; the message names it and says why."""


def list_images(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, by name. Hidden files are passed over."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )


@dataclass(frozen=True)
class Stored:
    """How a picture file holds its pixels, whatever its name ends in.

    Attributes:
        format: `PNG`, `JPEG`, `WEBP`, `TIFF` or `BMP`.
        mode: Pillow's: `RGB`, `L`, ...
        alpha: Whether pixels may be transparent.
        bits: A channel.
        width: Pixels, as `read_image` gives them.
        height: Likewise.
        frames: How many pictures are in it; the first one is read.
        lossy: Whether its compression has lost something.
    """

    format: str
    mode: str
    alpha: bool
    bits: int
    width: int
    height: int
    frames: int
    lossy: bool


def read_image(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read one picture; docs/images.md says how each kind is read.

    Returns:
        The image, `[H, W, 1 or 3]` float32 in [0, 1], and what a person should know of its
        reading, such as that the file holds other pictures too.

    Raises:
        ImageFileError: Not a picture, cut short, too large, or of a kind that is not read.
    """
    with _opened(path) as (file, kind):
        stored = _stored(file, kind, path)
        if file is None:
            assert kind is not None
            image, clear = _on_white(*tiff.read_deep(path, kind))
            image, profile = UPRIGHT.get(kind.orientation, np.asarray)(image), kind.profile
        else:
            profile = file.info.get("icc_profile")
            # Pillow turns TIFF files itself.
            turned = 1 if kind else file.getexif().get(_ORIENTATION, 1)
            image, clear = _pixels(file, path)
            image = UPRIGHT.get(turned, np.asarray)(image)
    remarks = []
    if stored.frames > 1:
        what = "pages" if stored.format == "TIFF" else "frames"
        remarks.append(f"{stored.frames} {what}, of which the first is read")
    if clear:
        remarks.append("transparent pixels are laid on white")
    if name := other_profile(profile):
        remarks.append(f"colour profile {name!r} is not applied: levels are taken as sRGB")
    return np.ascontiguousarray(image, np.float32), remarks


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture file as `read_image` gives it, from its header alone.

    Raises:
        ImageFileError: Not a picture, too large, or of a kind that is not read.
    """
    stored = stored_as(path)
    return stored.width, stored.height


def stored_as(path: Path) -> Stored:
    """How a picture file holds its pixels, from its header alone.

    Raises:
        ImageFileError: Not a picture, too large, or of a kind that is not read.
    """
    with _opened(path) as (file, kind):
        return _stored(file, kind, path)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[ImageFile.ImageFile | None, tiff.Layout | None]]:
    """A file of a kind that is read: as Pillow opens it, its layout if it is a TIFF, or both.

    Raises:
        ImageFileError: Whatever goes wrong, also while it is open.
        OptionError: See `most_megapixels`.
    """
    most = most_megapixels()
    try:
        kind = tiff.layout(path) if _begins(path, 4) in tiff.SIGNATURES else None
        if kind is not None:
            check_size(path, kind.width, kind.height, most)
            if kind.refusal:
                raise ImageFileError(f"{path}: {kind.refusal}")
            if kind.deep:
                yield None, kind
                return
        with _open(path) as file:
            check_size(path, *file.size, most)
            yield file, kind
    except ImageFileError:
        raise
    except UnidentifiedImageError:
        raise ImageFileError(f"{path}: {what_else(_begins(path, 12))}") from None
    except MemoryError:
        raise ImageFileError(f"{path}: does not fit into memory") from None
    except _DAMAGED as error:
        why = getattr(error, "strerror", None) or error or type(error).__name__
        raise ImageFileError(f"{path}: cannot be read ({why})") from None


# What decoders were seen to raise of damaged files.
_DAMAGED = (
    OSError, SyntaxError, ValueError, struct.error, EOFError, TypeError, LookupError,
    ArithmeticError, RuntimeError, AttributeError,
)  # fmt: skip


def _open(path: Path) -> ImageFile.ImageFile:
    return open_any(path, _FORMATS)


def open_any(source: Path | BinaryIO, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    """Without Pillow's limit, which would be a warning to one and a traceback to another."""
    with _OPENING:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def most_megapixels() -> float:
    """Of pictures that are read.

    Raises:
        OptionError: The environment variable is no such number.
    """
    given = os.environ.get(MOST_MEGAPIXELS, str(_MOST_MEGAPIXELS))
    try:
        most = float(given)
    except ValueError:
        most = math.nan
    if not most > 0:
        raise OptionError(f"{MOST_MEGAPIXELS}={given}: must be a number of megapixels above 0")
    return most


def check_size(name: Path | str, width: int, height: int, most: float | None = None) -> None:
    """Raises ImageFileError: More megapixels than `most`, or than `most_megapixels`."""
    size, most = width * height / 1e6, most or most_megapixels()
    if size > most:
        raise ImageFileError(
            f"{name}: is {width}x{height}, {size:.3g} megapixels, and more than {most:g} are not "
            f"read; to read it, set the environment variable {MOST_MEGAPIXELS}={math.ceil(size)}"
        )


def _begins(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def what_else(start: bytes) -> str:
    """What a file is that Pillow does not take for a picture of the kinds that are read.

    Args:
        start: Its first 12 bytes or more.
    """
    if start[4:8] == b"ftyp":
        other = "AVIF" if start[8:12] in (b"avif", b"avis") else "HEIC or a film"
    else:
        other = _OTHERS.get(start[:4], "")
    if other:
        return f"is {other} inside, which is not read; save it as PNG"
    if start.startswith(tiff.SIGNATURES):
        return "cannot be read (damaged, or a TIFF of a layout that is not read); save it as PNG"
    if start.startswith(_READ):
        return "cannot be read (damaged, or of a kind that is not read, as 12-bit JPEG)"
    return "not a picture (its content is of no known format)"


def _stored(file: ImageFile.ImageFile | None, kind: tiff.Layout | None, path: Path) -> Stored:
    if kind is not None:
        width, height = kind.width, kind.height
        if kind.orientation in _SIDEWAYS:
            width, height = height, width
        mode = file.mode if file else kind.mode
        alpha = file.has_transparency_data if file else "A" in mode
        return Stored("TIFF", mode, alpha, kind.bits, width, height, kind.pages, kind.lossy)
    assert file is not None
    width, height = file.size
    if file.getexif().get(_ORIENTATION, 1) in _SIDEWAYS:
        width, height = height, width
    bits = _png_bits(file, path) or (1 if file.mode == "1" else 8)
    lossy = file.format in ("JPEG", "MPO") or (file.format == "WEBP" and _webp_is_lossy(path))
    frames = getattr(file, "n_frames", 1)
    alpha = file.has_transparency_data
    return Stored(file.format or "?", file.mode, alpha, bits, width, height, frames, lossy)


def _pixels(file: ImageFile.ImageFile, path: Path) -> tuple[np.ndarray, bool]:
    """`[H, W, 1 or 3]` in [0, 1] as stored, and whether anything transparent was laid on white."""
    if _png_bits(file, path) == 16:
        return _on_white(*png.read_deep(path.read_bytes()), False)
    file.load()
    picture: Image.Image = file
    clear = False
    if picture.mode not in _MODES:
        raise ImageFileError(f"{path}: is of mode {picture.mode}, which is not read; save RGB")
    if picture.has_transparency_data:
        grey = picture.mode in ("LA", "La", "L", "1")
        layer = picture.convert("RGBA")
        clear = layer.getchannel("A").getextrema()[0] < 255  # type: ignore[operator]
        if clear:
            layer = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        picture = layer.convert("L" if grey else "RGB")
    elif picture.mode != "L":
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    array = from_uint8(np.asarray(picture))
    return (array if array.ndim == 3 else array[..., None]), clear


def _on_white(
    colour: np.ndarray, alpha: np.ndarray | None, multiplied: bool
) -> tuple[np.ndarray, bool]:
    """Colour over white, and whether anything shines through; `multiplied`: alpha is in it."""
    if alpha is None or alpha.min() == 1:
        return colour, False
    over = (colour if multiplied else colour * alpha) + (1 - np.asarray(alpha, np.float32))
    return np.clip(over, 0, 1), True


def other_profile(profile: bytes | None) -> str | None:
    """The name of a colour profile other than sRGB."""
    if not profile:
        return None
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (OSError, ImageCms.PyCMSError):
        name = "damaged"
    return None if "srgb" in name.casefold() else name


def _png_bits(file: Image.Image, path: Path) -> int:
    """A sample, from a PNG's header; 0 for another format."""
    return png.kind(_begins(path, png.HEADER))[0] if file.format == "PNG" else 0


def _webp_is_lossy(path: Path) -> bool:
    """By its first chunk of pixels (RFC 9649): `VP8L` is lossless."""
    with path.open("rb") as file:
        file.seek(12)
        while len(header := file.read(8)) == 8:
            name, length = header[:4], int.from_bytes(header[4:], "little")
            if name in (b"VP8 ", b"VP8L"):
                return name == b"VP8 "
            # A frame's chunks follow its own header.
            file.seek(16 if name == b"ANMF" else length + length % 2, os.SEEK_CUR)
    return True


def to_picture(image: np.ndarray) -> Image.Image:
    """`[H, W, 1 or 3]` float in [0, 1], or uint8, as an 8-bit Pillow picture."""
    data = image if image.dtype == np.uint8 else to_uint8(image)
    return Image.fromarray(data[..., 0] if data.shape[2] == 1 else data)


def to_png(image: np.ndarray) -> bytes:
    """`[H, W, 1 or 3]` float in [0, 1], or uint8, as the content of a PNG file."""
    content = io.BytesIO()
    # Level 3 takes half the time of the default, and no more room.
    to_picture(image).save(content, "PNG", compress_level=3)
    return content.getvalue()
