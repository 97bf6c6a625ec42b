"""Writing a picture file whole."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image

from srexp.images import png, tiff
from srexp.images.io import open_any
from srexp.options import OptionError
from srexp.pictures.picture import Beside, Frame

# EXIF 2.32, table 4: what a picture was worked on with.
_WORKED_ON_WITH = 0x000B
_INCH = 39.3701  # a metre, in inches


@dataclass(frozen=True)
class Format:
    """A kind of file that is written.

    Attributes:
        name: As Pillow calls it.
        extension: Of a new file's name.
        most: Pixels of a side.
        alpha: Whether pixels may be transparent.
        deep: Whether it holds 16 bits a channel here.
        animated: Whether it holds several frames.
        quality: What its quality is unless one is given; None where it is always lossless.
        lossless: Whether it loses nothing unless a quality is given.
        exif: Whether it holds EXIF.
    """

    name: str
    extension: str
    most: int
    alpha: bool = True
    deep: bool = False
    animated: bool = False
    quality: int | None = None
    lossless: bool = True
    exif: bool = True

    @property
    def media_type(self) -> str:
        """As HTTP calls it."""
        return f"image/{self.name.lower()}"


FORMATS = {
    "png": Format("PNG", ".png", 2**31 - 1, deep=True, animated=True),
    "jpeg": Format("JPEG", ".jpg", 65500, alpha=False, quality=95, lossless=False),
    "webp": Format("WEBP", ".webp", 16383, animated=True, quality=90),
    "tiff": Format("TIFF", ".tif", 2**31 - 1, deep=True),
    "bmp": Format("BMP", ".bmp", 2**31 - 1, alpha=False, exif=False),
    "avif": Format("AVIF", ".avif", 65535, quality=90, lossless=False),
    "gif": Format("GIF", ".gif", 65535, animated=True, lossless=False, exif=False),
}
_BY_EXTENSION = {
    ".png": "png", ".apng": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jfif": "jpeg",
    ".webp": "webp", ".tif": "tiff", ".tiff": "tiff", ".bmp": "bmp", ".avif": "avif", ".gif": "gif",
}  # fmt: skip


def format_of(extension: str) -> Format | None:
    """By how a file's name ends, or None if such files are not written."""
    name = _BY_EXTENSION.get(extension.lower())
    return FORMATS[name] if name else None


def usual_format(read: str, count: int) -> Format:
    """What a picture is written as if nothing is said: nothing is lost, all frames are there.

    Args:
        read: The format of what was read, as `Picture.format`.
        count: Of its frames.
    """
    if count > 1:
        return FORMATS["png" if read == "PNG" else "webp"]
    return FORMATS[read.lower()] if read in ("TIFF", "WEBP") else FORMATS["png"]


def check(kind: Format, width: int, height: int, quality: int | None = None) -> None:
    """Raises OptionError: Such a file cannot hold it."""
    if max(width, height) > kind.most:
        raise OptionError(
            f"{width}x{height}: {kind.name} holds at most {kind.most} pixels a side; use PNG"
        )
    if quality is not None and kind.quality is None:
        raise OptionError(f"quality {quality}: {kind.name} has none")


def losses(kind: Format, deep: bool, count: int, alpha: bool) -> Iterator[str]:
    """What a person should know of what such a file does not hold."""
    if deep and not kind.deep:
        yield f"{kind.name} holds 8 bits a channel"
    if count > 1 and not kind.animated:
        yield f"{kind.name} holds one picture: the first of {count} frames"
    if alpha and not kind.alpha:
        yield f"{kind.name} holds no transparency: laid on white"
    if kind.name == "GIF":
        yield "GIF holds 256 colours"


def write(
    file: BinaryIO,
    frames: Iterable[Frame],
    kind: Format,
    beside: Beside,
    *,
    count: int = 1,
    quality: int | None = None,
    note: str = "",
) -> list[str]:
    """Write a picture or an animation, of which one frame at a time is in memory (of a GIF all).

    Args:
        file: Where to; opened for reading too, since TIFF and WebP go back.
        frames: uint8, or uint16 where the format holds as much.
        kind: What as.
        beside: What else goes in.
        count: Of the frames.
        quality: 1 to 100, of formats that lose something; None: its usual one, or lossless.
        note: How it was made; see `read_note`.

    Returns:
        What could not be written.

    Raises:
        OSError: The disk is full, or the like.
    """
    frames = iter(frames)
    first = next(frames)
    exif = _exif(beside.exif, note) if kind.exif else b""
    if first.colour.dtype == np.uint16:
        _write_deep(file, first, kind, beside, exif)
        return []
    options: dict[str, Any] = {}
    if exif:
        options["exif"] = exif
    if beside.profile and kind.name not in ("BMP", "GIF"):
        options["icc_profile"] = beside.profile
    if beside.dpi and kind.name in ("PNG", "JPEG", "TIFF", "BMP"):
        options["dpi"] = beside.dpi
    if kind.name == "PNG":
        options["compress_level"] = 3  # a third of the time of the usual one, 12 % more bytes
    elif kind.name == "TIFF" and not _has_tables(exif):
        options["compression"] = "tiff_adobe_deflate"
    elif kind.name == "WEBP" and quality is None:
        # `exact`: transparent pixels keep their colour. Method 2 takes half the time of 4.
        options |= {"lossless": True, "exact": True, "method": 2}
    elif kind.quality:
        options["quality"] = quality or kind.quality
        if kind.name == "JPEG":
            options["subsampling"] = 0
    if kind.name == "GIF" and note:
        options["comment"] = note.encode()
    remarks = []
    if beside.exif and not _takes(kind, options):
        options["exif"] = _exif(b"", note)
        remarks.append("its EXIF is damaged, and left out")
    if not kind.animated or count == 1:
        _image(first, kind).save(file, kind.name, **options)
    elif kind.name == "PNG":
        _write_animated_png(file, chain([first], frames), count, beside.loops, options)
    else:
        animation = _Animation(chain([first], frames), kind, count)
        if beside.loops is not None:
            options["loop"] = beside.loops
        if kind.name == "GIF":
            options["disposal"] = 2
        animation.save(file, kind.name, save_all=True, duration=animation.milliseconds, **options)
    return remarks


def _takes(kind: Format, options: dict[str, Any]) -> bool:
    """Whether EXIF can be written: tags may be of types that they should not have."""
    try:
        Image.new("RGB", (1, 1)).save(io.BytesIO(), kind.name, **options)
    except (ValueError, TypeError, RuntimeError, LookupError, struct.error):
        return False
    return True


class _Animation(Image.Image):
    """Frames as Pillow's writers ask for them, one after the other.

    Attributes:
        n_frames: How many there are.
        milliseconds: How long each is shown that was asked for so far.
    """

    def __init__(self, frames: Iterator[Frame], kind: Format, count: int) -> None:
        super().__init__()
        self.n_frames, self.is_animated = count, True
        self.milliseconds: list[int] = []
        self._frames, self._kind = frames, kind
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go on to the next one; a writer goes back at its end alone, when all is written."""
        if frame < len(self.milliseconds):
            return
        made = next(self._frames, None)
        if made is None:
            raise EOFError
        self.milliseconds.append(round(made.milliseconds))
        image = _image(_with_alpha(made) if self._kind.name != "GIF" else made, self._kind)
        self.im, self._mode, self._size = image.im, image.mode, image.size

    def tell(self) -> int:
        """The one that is here."""
        return len(self.milliseconds) - 1


def _write_animated_png(
    file: BinaryIO,
    frames: Iterator[Frame],
    count: int,
    loops: int | None,
    options: dict[str, Any],
) -> None:
    def files() -> Iterator[tuple[bytes, int]]:
        for frame in frames:
            one = io.BytesIO()
            _image(_with_alpha(frame), FORMATS["png"]).save(one, "PNG", **options)
            yield one.getvalue(), round(frame.milliseconds)

    png.write_animation(file, files(), count, loops)


def _with_alpha(frame: Frame) -> Frame:
    """All frames of an animation are of one kind, and a later one may be transparent."""
    if frame.alpha is not None:
        return frame
    return replace(frame, alpha=np.full((*frame.colour.shape[:2], 1), 255, frame.colour.dtype))


def _image(frame: Frame, kind: Format) -> Image.Image:
    colour, alpha = frame.colour, frame.alpha
    if alpha is None:
        return Image.fromarray(colour[..., 0] if colour.shape[2] == 1 else colour)
    if not kind.alpha:
        share = alpha / np.float32(255)
        over = np.floor(colour * share + 255 * (1 - share) + 0.5).astype(np.uint8)
        return _image(Frame(over), kind)
    if colour.shape[2] == 1 and kind.name not in ("PNG", "TIFF"):
        colour = np.repeat(colour, 3, 2)
    return Image.fromarray(np.concatenate([colour, alpha], 2))


def _exif(exif: bytes, note: str) -> bytes:
    if not exif and not note:
        return b""
    tags = Image.Exif()
    if exif:
        tags.load(exif)
    if note:
        tags[_WORKED_ON_WITH] = note
    return tags.tobytes()


def _has_tables(exif: bytes) -> bool:
    """Whether EXIF holds a camera's table or a place's, which Pillow writes in plain TIFF alone."""
    tags = Image.Exif()
    tags.load(exif)
    return ExifTags.IFD.Exif in tags or ExifTags.IFD.GPSInfo in tags


def _write_deep(file: BinaryIO, frame: Frame, kind: Format, beside: Beside, exif: bytes) -> None:
    layers = [frame.colour] + ([] if frame.alpha is None else [frame.alpha])
    samples = np.concatenate(layers, 2)
    if kind.name == "PNG":
        png.write_deep(file, samples, _chunks(beside, exif))
        return
    import tifffile

    colours = frame.colour.shape[2]
    options: dict[str, Any] = {"extrasamples": ["unassalpha"]} if frame.alpha is not None else {}
    if beside.dpi:
        options |= {"resolution": beside.dpi, "resolutionunit": "INCH"}
    note = _note(exif)
    tifffile.imwrite(
        file,
        samples if samples.shape[2] > 1 else samples[..., 0],
        photometric="rgb" if colours == 3 else "minisblack",
        planarconfig="contig" if samples.shape[2] > 1 else None,
        compression="zlib",
        iccprofile=beside.profile or None,
        software=False,
        metadata=None,
        extratags=[(_WORKED_ON_WITH, 2, 0, note, True)] if note else (),
        **options,
    )


def _chunks(beside: Beside, exif: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Of a PNG, in the order that its specification wants."""
    if beside.profile:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(beside.profile)
    if beside.dpi:
        across, down = (round(one * _INCH) for one in beside.dpi)
        yield b"pHYs", struct.pack(">IIB", across, down, 1)
    if exif:
        yield b"eXIf", exif.removeprefix(b"Exif\0\0")


def _note(exif: bytes) -> str:
    tags = Image.Exif()
    if exif:
        tags.load(exif)
    return str(tags.get(_WORKED_ON_WITH, ""))


def read_note(content: bytes) -> str:
    """What `write` put into a file of how it was made; empty if there is nothing."""
    with suppress(Exception):  # a file of whatever kind, perhaps damaged
        if content[:4] in tiff.SIGNATURES:
            import tifffile

            with tifffile.TiffFile(io.BytesIO(content)) as whole:
                return str(whole.pages.first.tags[_WORKED_ON_WITH].value).rstrip("\0")
        with open_any(io.BytesIO(content), ("PNG", "JPEG", "WEBP", "AVIF", "GIF")) as file:
            if file.format == "GIF":
                return bytes(file.info.get("comment") or b"").decode(errors="replace")
            return str(file.getexif().get(_WORKED_ON_WITH, "")).rstrip("\0")
    return ""
