"""Reading a picture file whole."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from srexp.images import png, tiff
from srexp.images.io import UPRIGHT, ImageFileError, check_size, open_any, other_profile, what_else
from srexp.options import OptionError
from srexp.pictures.picture import Beside, Frame, Picture

# By content, whatever their names. Pillow also opens what runs other programs (EPS).
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
EXTENSIONS = (
    ".png", ".apng", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif",
)  # fmt: skip
_ANIMATED = ("PNG", "WEBP", "GIF")
_GREY = ("1", "L", "LA", "La")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr", "CMYK")


@contextmanager
def opened(content: bytes, name: str) -> Iterator[Picture]:
    """A picture file.

    Args:
        content: Of the file.
        name: By which messages call it.

    Raises:
        ImageFileError: No picture, cut short, too large, or of a kind that is not read; also
            while its frames are read.
    """
    with ExitStack() as open_files:
        with _faults(content, name):
            picture = _picture_of(content, name, open_files)

        def frames() -> Iterator[Frame]:
            with _faults(content, name):
                yield from picture.frames()

        yield replace(picture, frames=frames)


@contextmanager
def _faults(content: bytes, name: str) -> Iterator[None]:
    """Raises ImageFileError: For whatever the libraries raise."""
    try:
        yield
    except (ImageFileError, OptionError):
        raise
    except UnidentifiedImageError:
        raise ImageFileError(f"{name}: {what_else(content)}") from None
    except MemoryError:
        raise ImageFileError(f"{name}: does not fit into memory") from None
    except Exception as error:  # of a damaged file a decoder may raise anything
        why = getattr(error, "strerror", None) or error or type(error).__name__
        raise ImageFileError(f"{name}: cannot be read ({why})") from None


def _picture_of(content: bytes, name: str, open_files: ExitStack) -> Picture:
    if not content:
        raise ImageFileError(f"{name}: is empty")
    kind = tiff.layout(io.BytesIO(content)) if content[:4] in tiff.SIGNATURES else None
    if kind is not None and kind.refusal:
        raise ImageFileError(f"{name}: {kind.refusal}")
    if kind is not None and kind.deep:
        check_size(name, kind.width, kind.height)
        return _deep_tiff(content, kind)
    file = open_files.enter_context(open_any(io.BytesIO(content), FORMATS))
    check_size(name, *file.size)
    return _picture(file, content, name)


def _deep_tiff(content: bytes, kind: tiff.Layout) -> Picture:
    turn = UPRIGHT.get(kind.orientation, np.asarray)

    def frames() -> Iterator[Frame]:
        colour, alpha, multiplied = tiff.read_deep(io.BytesIO(content), kind)
        if alpha is not None and multiplied:
            colour = np.where(alpha > 0, colour / np.maximum(alpha, 1e-6), 0).clip(0, 1)
        yield _frame(turn(colour), None if alpha is None else turn(alpha))

    size = kind.width, kind.height
    width, height = size[::-1] if kind.orientation in (5, 6, 7, 8) else size
    beside = Beside(profile=kind.profile or b"")
    return Picture("TIFF", width, height, kind.bits, 1, frames, beside, _pages(kind.pages))


def _pages(count: int) -> list[str]:
    return [f"{count} pages, of which the first is taken"] if count > 1 else []


def _picture(file: ImageFile.ImageFile, content: bytes, name: str) -> Picture:
    kind = "JPEG" if file.format == "MPO" else file.format or "?"
    deep = png.kind(content)[0] == 16
    if not deep and file.mode not in (*_GREY, *_COLOUR):
        raise ImageFileError(f"{name}: is of mode {file.mode}, which is not read; save RGB")
    count = getattr(file, "n_frames", 1)
    remarks = [] if kind in _ANIMATED else _pages(count)
    if kind not in _ANIMATED:
        count = 1
    # Pillow turns TIFF itself, while it reads the pixels.
    turned = 1 if kind == "TIFF" else file.getexif().get(ExifTags.Base.Orientation, 1)
    sideways = file.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    width, height = file.size[::-1] if sideways else file.size
    profile = file.info.get("icc_profile") or b""
    to_rgb = None
    if file.mode == "CMYK":
        to_rgb, remark = _from_cmyk(profile)
        remarks.append(remark)
        profile = b""  # what is written is sRGB

    def frames() -> Iterator[Frame]:
        turn = UPRIGHT.get(turned, np.asarray)
        if deep:
            colour, alpha = png.read_deep(content)
            yield _frame(turn(colour), None if alpha is None else turn(alpha))
            return
        for index in range(count):
            if count > 1:
                file.seek(index)
            file.load()
            colour, alpha = _layers(to_rgb(file) if to_rgb else file)
            yield _frame(turn(colour), None if alpha is None else turn(alpha), _duration(file))

    beside = Beside(_exif(file), profile, _dpi(file), file.info.get("loop"))
    return Picture(kind, width, height, 16 if deep else 8, count, frames, beside, remarks)


def _frame(colour: np.ndarray, alpha: np.ndarray | None, milliseconds: float = 0) -> Frame:
    opaque = alpha is None or alpha.min() == (255 if alpha.dtype == np.uint8 else 1)
    return Frame(
        np.ascontiguousarray(colour),
        None if opaque or alpha is None else np.ascontiguousarray(alpha),
        milliseconds,
    )


def _layers(file: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour `[H, W, 1 or 3]` and alpha `[H, W, 1]` or None, uint8."""
    grey = file.mode in _GREY
    if file.has_transparency_data:
        layers = np.asarray(file.convert("RGBA"))
        # A grey level that is transparent makes three equal channels.
        return layers[..., : 1 if grey else 3], layers[..., 3:]
    pixels = np.asarray(file.convert("L" if grey else "RGB"))
    return (pixels[..., None] if grey else pixels), None


def _from_cmyk(profile: bytes) -> tuple[Callable[[Image.Image], Image.Image], str]:
    """How inks become sRGB, and what there is to say of it."""
    if profile:
        try:
            of_inks = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            transform = ImageCms.buildTransform(
                of_inks, ImageCms.createProfile("sRGB"), "CMYK", "RGB"
            )
        except (OSError, ImageCms.PyCMSError):
            pass
        else:
            called = other_profile(profile) or "its profile"
            return (
                lambda file: ImageCms.applyTransform(file, transform) or file,
                f"CMYK, converted to sRGB through its profile {called!r}",
            )
    return (
        lambda file: file.convert("RGB"),
        "CMYK without a profile, converted to RGB by a plain formula: colours may be off",
    )


def _duration(file: Image.Image) -> float:
    return float(file.info.get("duration") or 0)


def _exif(file: Image.Image) -> bytes:
    """EXIF of a picture that is upright and larger than it was; no thumbnail."""
    exif = file.getexif()
    if not exif:
        return b""
    for part in _PARTS:
        if part in exif:
            exif.get_ifd(part)  # of a TIFF, what is not read now is not in its bytes
    kept = Image.Exif()
    kept.load(exif.tobytes())
    kept.pop(ExifTags.Base.Orientation, None)
    # TIFF keeps its layout among the same tags.
    for tag in list(kept):
        if tag in _OF_THE_FILE:
            del kept[tag]
    if ExifTags.IFD.Exif in kept:  # asking for it would make an empty one, which TIFF cannot hold
        camera = kept.get_ifd(ExifTags.IFD.Exif)
        for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight):
            camera.pop(tag, None)
        if not camera:
            del kept[ExifTags.IFD.Exif]
    kept.get_ifd(ExifTags.IFD.IFD1).clear()
    return kept.tobytes() if len(kept) else b""


# Of EXIF that lie in tables of their own.
_PARTS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Tags of TIFF 6.0 that say how pixels are stored, and Pillow's and others' for profile and XMP.
_OF_THE_FILE = (
    254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 277, 278, 279, 280, 281, 282, 283, 284, 290,
    291, 296, 317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 513, 514, 529, 530, 531, 532, 34675,
)  # fmt: skip


def _dpi(file: Image.Image) -> tuple[float, float] | None:
    dpi = file.info.get("dpi")
    try:
        across, down = (float(one) for one in dpi)  # type: ignore[union-attr]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across < 1e5 and 1 <= down < 1e5 else None
