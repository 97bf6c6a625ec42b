"""PNG files that Pillow does not read or write as we need them.

Those of 16 bits a sample, of which it reads 8 and writes grey alone, and long animations, of which
it keeps all frames in memory.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count as counter
from typing import BinaryIO

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = 26  # bytes, by which `kind` knows a file
# Of a colour type: colour, alpha.
_COLOUR, _ALPHA = 2, 4
_ROWS = 64  # that are compressed at once


def kind(header: bytes) -> tuple[int, int]:
    """Bits a sample and colour type, from a file's first 26 bytes; zeros if it is no PNG."""
    # Signature (8), length and type of IHDR (8), width and height (8), bits, colour type.
    return (header[24], header[25]) if header[:8] == SIGNATURE and len(header) >= HEADER else (0, 0)


def read_deep(content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """A PNG of 16 bits.

    Returns:
        Grey or RGB `[H, W, 1 or 3]` float32 in [0, 1], and alpha `[H, W, 1]` or None.

    Raises:
        OSError, SyntaxError: It is cut short or damaged.
    """
    _, colour_type = kind(content)
    colour, alpha = bool(colour_type & _COLOUR), bool(colour_type & _ALPHA)
    with _opened(content) as file:
        clear = file.info.get("transparency")
        if not colour and not alpha:
            samples = np.asarray(file)[..., None]
        elif not colour:
            samples = _grey_and_alpha(content)
        else:
            halves = []
            for order in "BL":  # taken for little-endian, the lower half comes for the upper
                with _opened(content) as again:
                    (tile,) = again.tile  # type: ignore[attr-defined]
                    again.tile = [tile._replace(args=f"{file.mode};16{order}")]  # type: ignore[attr-defined]
                    halves.append(np.asarray(again).astype(np.uint16))
            samples = halves[0] << np.uint16(8) | halves[1]
    values = samples / np.float32(65535)
    if clear is not None:
        return values, (samples != clear).any(axis=2, keepdims=True).astype(np.float32)
    return (values[..., :-1], values[..., -1:]) if alpha else (values, None)


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=["PNG"])


def _grey_and_alpha(content: bytes) -> np.ndarray:
    """Of which Pillow gives 8 bits: read as four channels of 8 bits."""
    changed = bytearray(content)
    changed[24:26] = bytes([8, 6])  # bits, colour type; what follows is the checksum
    changed[29:33] = struct.pack(">I", zlib.crc32(changed[12:29]))
    with _opened(bytes(changed)) as file:
        return np.asarray(file).view(">u2").astype(np.uint16)


def write_deep(
    file: BinaryIO,
    samples: np.ndarray,
    chunks: Iterable[tuple[bytes, bytes]] = (),
    *,
    level: int = 3,
) -> None:
    """Write a PNG of 16 bits (PNG Specification, third edition; filter 2, "up", in each row).

    Args:
        file: Where to.
        samples: Grey, grey and alpha, RGB, or RGB and alpha: `[H, W, 1 to 4]` uint16.
        chunks: Name and content of others, such as a profile; they come before the pixels.
        level: Of the compression, 1 to 9.
    """
    height, width, channels = samples.shape
    chunk = partial(_write_chunk, file)
    file.write(SIGNATURE)
    colour_type = (channels > 2) * _COLOUR + (channels % 2 == 0) * _ALPHA
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0))
    for name, content in chunks:
        chunk(name, content)
    packed = zlib.compressobj(level)
    above = np.zeros((1, width * channels * 2), np.uint8)
    for top in range(0, height, _ROWS):
        rows = samples[top : top + _ROWS].astype(">u2").reshape(-1, width * channels)
        rows = np.ascontiguousarray(rows).view(np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = 2
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        above = rows[-1:]
        chunk(b"IDAT", packed.compress(filtered.tobytes()))
    chunk(b"IDAT", packed.flush())
    chunk(b"IEND", b"")


def write_animation(
    file: BinaryIO, frames: Iterable[tuple[bytes, int]], count: int, loops: int | None
) -> None:
    """Write an animated PNG frame by frame (PNG Specification, third edition, chapter 4.9).

    Args:
        file: Where to.
        frames: Each a PNG of its own, all of one size and kind, and how many milliseconds it is
            shown (at most 65,535). What stands before the first one's pixels goes in as well.
        count: How many there are.
        loops: How often it is shown; 0 and None for without end.
    """
    chunk = partial(_write_chunk, file)
    numbers = counter()
    file.write(SIGNATURE)
    for index, (content, milliseconds) in enumerate(frames):
        began = False
        for name, part in _chunks(content):
            if name == b"IHDR":
                size = part[:8]
            if name == b"IDAT" and not began:
                began = True
                if index == 0:
                    chunk(b"acTL", struct.pack(">II", count, loops or 0))
                shown = struct.pack(">HH", min(65535, milliseconds), 1000)
                # At the corner, in place of what was there.
                chunk(
                    b"fcTL", struct.pack(">I", next(numbers)) + size + bytes(8) + shown + bytes(2)
                )
            if name == b"IDAT" and index > 0:
                chunk(b"fdAT", struct.pack(">I", next(numbers)) + part)
            elif index == 0 and name != b"IEND":
                chunk(name, part)
    chunk(b"IEND", b"")


def _write_chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    file.write(struct.pack(">I", len(content)) + name + content)
    file.write(struct.pack(">I", zlib.crc32(name + content)))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each, of a sound PNG."""
    place = len(SIGNATURE)
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        yield content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        place += 12 + length
