"""TIFF files with more than 8 bits a sample, and what kind of TIFF a file is.

Pillow takes such files for others: white for black, 12 bits for 16, planes for pixels. Here the
samples are unpacked as TIFF 6.0 lays them out; Pillow (libtiff) only undoes the compression.
"""

from __future__ import annotations

import io
import logging
import struct
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

# What a file lacks or has too much of is told by us, if it matters.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
# TIFF 6.0, and its supplements.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
_READ_BY_PILLOW = (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, 3, 5, 6)  # and palette, CMYK, YCbCr
_ASSOCIATED_ALPHA, _ALPHA = 1, 2
_NONE = 1
# LZW, Deflate (two numbers), PackBits, LZMA, Zstandard.
_LOSSLESS = (_NONE, 5, 8, 32946, 32773, 34925, 50000)
_LOSSY = (6, 7, 34712, 50001)  # JPEG (two numbers), JPEG 2000, WebP


@dataclass(frozen=True)
class Layout:
    """How the first page of a TIFF file holds its pixels.

    Attributes:
        pages: Of full size in the file; reductions and masks are not counted.
        width: Pixels, as stored.
        height: Likewise.
        bits: A sample.
        samples: A pixel.
        photometric: What they mean.
        extra: What those beyond grey or colour mean.
        planar: Whether each sample has a plane of its own.
        orientation: As in EXIF, 1 to 8.
        compression: Its number.
        predictor: Its number.
        reversed: Whether the lowest bit of a byte comes first.
        unsigned: Whether samples are whole numbers from 0.
        tiled: Whether in tiles, rather than strips.
        segment: Width and height of one of them.
        byteorder: `<` or `>`.
        places: Offset and length of each tile or strip.
        profile: The colour profile in it.
    """

    pages: int
    width: int
    height: int
    bits: int
    samples: int
    photometric: int
    extra: tuple[int, ...]
    planar: bool
    orientation: int
    compression: int
    predictor: int
    reversed: bool
    unsigned: bool
    tiled: bool
    segment: tuple[int, int]
    byteorder: str
    places: tuple[tuple[int, int], ...]
    profile: bytes | None

    @property
    def lossy(self) -> bool:
        """Whether its compression has lost something."""
        return self.compression in _LOSSY

    @property
    def deep(self) -> bool:
        """Whether `read_deep` has to read it."""
        return self.bits > 8

    @property
    def mode(self) -> str:
        """Pillow's word for it."""
        alpha = bool(self.extra) and self.extra[0] in (_ALPHA, _ASSOCIATED_ALPHA)
        return ("RGB" if self.photometric == RGB else "L") + "A" * alpha

    @property
    def refusal(self) -> str | None:
        """Why it is not read, if it is not."""
        if not self.unsigned:
            return "signed or floating-point samples are not read; save 8 or 16 bits"
        if self.bits > 16:
            return f"{self.bits}-bit samples are not read; save 8 or 16 bits"
        if not self.deep:
            return None if self.photometric in _READ_BY_PILLOW else "is neither grey nor RGB"
        colours = 3 if self.photometric == RGB else 1
        if self.photometric > RGB or self.samples < colours:
            return f"{self.bits} bits are read of grey and RGB alone; save 8"
        if self.compression not in _LOSSLESS or self.predictor not in (1, 2):
            return f"{self.bits} bits of this compression are not read; save it without, or as PNG"
        if self.reversed or (self.predictor == 2 and self.bits != 16):
            return f"{self.bits} bits in this order are not read; save 16"
        return None


def layout(path: Path | BinaryIO) -> Layout:
    """From the header, of a file or of what is open already.

    Raises:
        ValueError: It has none, or a broken one.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            # A page's header has 6 bytes at least; what has more of them goes round in circles.
            most = file.filehandle.size // 6
            pages = [page.aspage() for page in islice(file.pages, most + 1)]
            if len(pages) > most:
                raise ValueError("its pages lead back to themselves")
            page = pages[0]
            kinds = [_number(one, 254, 0) for one in pages]
            stack = (file.imagej_metadata or {}).get("images", 1)  # with one header for all
            high = min(page.rowsperstrip or page.imagelength, page.imagelength)
            return Layout(
                pages=max(1, int(stack), sum(not kind & 5 for kind in kinds)),
                width=page.imagewidth,
                height=page.imagelength,
                bits=max(_each(page.bitspersample)),
                samples=page.samplesperpixel,
                photometric=_number(page, 262, BLACK_IS_ZERO),
                extra=tuple(int(kind) for kind in page.extrasamples),
                planar=page.samplesperpixel > 1 and int(page.planarconfig or 1) == 2,
                orientation=_number(page, 274, 1),
                compression=int(page.compression),
                predictor=int(page.predictor),
                reversed=int(page.fillorder) == 2,
                unsigned=all(kind in (1, 4) for kind in _each(page.sampleformat)),
                tiled=page.is_tiled,
                segment=(page.tilewidth, page.tilelength)
                if page.is_tiled
                else (page.imagewidth, high),
                byteorder=file.byteorder,
                places=tuple(zip(page.dataoffsets, page.databytecounts, strict=True)),
                profile=page.iccprofile,
            )
    except (tifffile.TiffFileError, IndexError, KeyError, TypeError, struct.error) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _number(page: Any, tag: int, otherwise: int) -> int:
    found = page.tags.get(tag)
    return otherwise if found is None else _each(found.value)[0]


def _each(value: Any) -> list[int]:
    return [int(one) for one in (value if isinstance(value, tuple) else (value,))]


def read_deep(path: Path | BinaryIO, kind: Layout) -> tuple[np.ndarray, np.ndarray | None, bool]:
    """The first page of a file of 9 to 16 bits that `Layout.refusal` does not refuse.

    Returns:
        Grey or RGB `[H, W, 1 or 3]` and alpha `[H, W, 1]` or None, float32 in [0, 1], as stored
        (`kind.orientation` is not applied); and whether alpha is in the colours already.

    Raises:
        OSError: It is cut short or damaged.
    """
    with path.open("rb") if isinstance(path, Path) else nullcontext(path) as file:
        samples = _samples(file, kind)
    colours = 3 if kind.photometric == RGB else 1
    values = (samples / np.float32(2**kind.bits - 1)).astype(np.float32)
    colour, alpha = values[..., :colours], None
    if kind.extra and kind.extra[0] in (_ALPHA, _ASSOCIATED_ALPHA):
        alpha = values[..., colours : colours + 1]
    if kind.photometric == WHITE_IS_ZERO:
        colour = 1 - colour
    return colour, alpha, bool(kind.extra) and kind.extra[0] == _ASSOCIATED_ALPHA


def _samples(file: BinaryIO, kind: Layout) -> np.ndarray:
    """`[H, W, samples]` uint16, as TIFF 6.0 lays strips, tiles and planes out."""
    width, height = kind.segment
    across, down = -(-kind.width // width), -(-kind.height // height)
    each = 1 if kind.planar else kind.samples
    whole = np.zeros((down * height, across * width, kind.samples), np.uint16)
    planes = kind.samples if kind.planar else 1
    if len(kind.places) != across * down * planes:
        raise OSError("strips or tiles are missing")
    for number, (offset, length) in enumerate(kind.places):
        plane, place = divmod(number, across * down)
        top, left = (place // across) * height, (place % across) * width
        # A tile is always whole; the last strip ends with the picture.
        rows = height if kind.tiled else min(height, kind.height - top)
        file.seek(offset)
        data = _decompressed(file.read(length), kind, -(-width * each * kind.bits // 8), rows)
        values = _unpacked(data, kind, width * each).reshape(rows, width, each)
        if kind.predictor == 2:
            values = np.cumsum(values, axis=1, dtype=np.uint16)
        whole[top : top + rows, left : left + width, plane : plane + each] = values
    return whole[: kind.height, : kind.width]


def _decompressed(data: bytes, kind: Layout, row: int, rows: int) -> np.ndarray:
    """The bytes of a strip or tile, `[rows, row]`."""
    if kind.compression != _NONE:
        # As a TIFF of its own, a byte a pixel, so that libtiff leaves the bytes as they are.
        tags = [(256, row), (257, rows), (258, 8), (259, kind.compression), (262, 1), (273, 0),
                (277, 1), (278, rows), (279, len(data))]  # fmt: skip
        start = 8 + 2 + 12 * len(tags) + 4
        entries = b"".join(struct.pack("<HHII", t, 4, 1, start if t == 273 else v) for t, v in tags)
        header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
        with Image.open(io.BytesIO(header + data), formats=["TIFF"]) as strip:
            return np.asarray(strip)
    if len(data) < row * rows:
        raise OSError("image file is truncated")
    return np.frombuffer(data, np.uint8, row * rows).reshape(rows, row)


def _unpacked(data: np.ndarray, kind: Layout, count: int) -> np.ndarray:
    """`[rows, count]` uint16 of `[rows, bytes]`: in the file's order, or packed bit by bit."""
    if kind.bits == 16:
        return np.ascontiguousarray(data).view(f"{kind.byteorder}u2").astype(np.uint16)
    bits = np.unpackbits(data, axis=1)[:, : count * kind.bits].reshape(len(data), count, kind.bits)
    values = np.zeros((len(data), count), np.uint16)
    for bit in range(kind.bits):
        values = values << np.uint16(1) | bits[..., bit]
    return values
