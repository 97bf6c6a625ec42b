"""Reading and writing picture files."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from srexp.images.quantize import from_uint8, to_uint8

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


class ImageFileError(ValueError):
    """A file that is no readable picture; the message names it and says why."""


def list_images(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, by name. Hidden files are passed over."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
    )


def read_image(path: Path) -> tuple[np.ndarray, str | None]:
    """Read one picture.

    Palettes become RGB; 1-bit becomes grey; CMYK becomes RGB; transparent pixels are laid on
    white; the EXIF orientation is applied; 16-bit grey keeps its 16 bits. 16-bit colour is
    reduced to 8 bits, and the second value says so.

    Returns:
        The image, `[H, W, 1 or 3]` float32 in [0, 1], and a remark or None.

    Raises:
        ImageFileError: Not a picture, cut short, or of a kind that is not read.
    """
    try:
        with Image.open(path) as file:
            remark = None
            if _is_16bit_colour(file, path):
                remark = f"{path}: 16-bit colour was reduced to 8 bits"
            elif _png_kind(file, path) == (16, 4):
                remark = f"{path}: 16-bit grey with transparency was reduced to 8 bits"
            file.load()
            image = _to_array(ImageOps.exif_transpose(file), path)
            if _png_kind(file, path)[1] == 4:  # Pillow opens 16-bit grey with alpha as colour
                image = image[..., :1]
            return image, remark
    except UnidentifiedImageError:
        raise ImageFileError(f"{path}: not a picture (its content is of no known format)") from None
    except ImageFileError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageFileError(f"{path}: too large to read ({error})") from None
    except (OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
        raise ImageFileError(f"{path}: cannot be read ({error or type(error).__name__})") from None


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture file as `read_image` gives it, from its header alone.

    Raises:
        ImageFileError: Not a picture.
    """
    try:
        with Image.open(path) as file:
            turned = file.getexif().get(274, 1) in (5, 6, 7, 8)  # the EXIF orientation
            return (file.height, file.width) if turned else file.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error) as error:
        raise ImageFileError(f"{path}: not a picture ({error})") from None


def stored_as(path: Path) -> tuple[str, str, int]:
    """How a picture file holds its pixels: format, Pillow's mode, bits a channel.

    Raises:
        ImageFileError: Not a picture.
    """
    try:
        with Image.open(path) as file:
            bits = _png_kind(file, path)[0]
            if file.format == "TIFF":
                depths = getattr(file, "tag_v2", {}).get(258, 8)
                bits = max(depths) if isinstance(depths, tuple) else depths
            by_mode = {"1": 1, "I": 32, "F": 32}
            wide = 16 if file.mode.startswith("I;16") else by_mode.get(file.mode, 8)
            return file.format or "?", file.mode, bits or wide
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error) as error:
        raise ImageFileError(f"{path}: not a picture ({error})") from None


def _to_array(picture: Image.Image, path: Path) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.float64)
        values[values == picture.info.get("transparency", -1)] = (
            65535  # that level is laid on white
        )
        return (values / 65535).astype(np.float32)[..., None]
    if picture.mode == "I":  # some 16-bit files open as 32-bit integers
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise ImageFileError(f"{path}: 32-bit grey is not read; save it with 8 or 16 bits")
        return (values / 65535).astype(np.float32)[..., None]
    if picture.mode == "F":
        raise ImageFileError(f"{path}: floating-point grey is not read; save it with 8 or 16 bits")
    if picture.has_transparency_data:
        grey = picture.mode in ("LA", "La", "L", "1")
        layer = picture.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        flat = Image.alpha_composite(white, layer)
        picture = flat.convert("L" if grey else "RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode != "L":
        picture = picture.convert("RGB")
    array = from_uint8(np.asarray(picture))
    return array if array.ndim == 3 else array[..., None]


def _is_16bit_colour(file: Image.Image, path: Path) -> bool:
    """Pillow opens such files as 8 bits without a word, so look at the header."""
    if file.format == "PNG":
        return _png_kind(file, path) in ((16, 2), (16, 6))
    if file.format == "TIFF":
        bits = getattr(file, "tag_v2", {}).get(258, ())
        bits = bits if isinstance(bits, tuple) else (bits,)
        return len(bits) >= 3 and max(bits) > 8
    return False


def _png_kind(file: Image.Image, path: Path) -> tuple[int, int]:
    """Bit depth and colour type from a PNG's header; zeros for another format."""
    if file.format != "PNG":
        return 0, 0
    with path.open("rb") as raw:
        header = raw.read(26)
    # Signature (8), IHDR length and type (8), width and height (8), bit depth, colour type.
    return (header[24], header[25]) if len(header) == 26 else (0, 0)


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
