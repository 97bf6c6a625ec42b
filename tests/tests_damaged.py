"""Damaged and invented picture files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

COUNT = 10_000
_SAVED = (
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "L", {}), ("PNG", "P", {}),
    ("PNG", "I;16", {}), ("PNG", "1", {}), ("JPEG", "RGB", {}), ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "RGB", {"progressive": True}), ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGB", {}), ("TIFF", "RGB", {}), ("TIFF", "L", {"compression": "tiff_lzw"}),
    ("TIFF", "RGBA", {"compression": "tiff_adobe_deflate"}), ("TIFF", "I;16", {}),
    ("BMP", "RGB", {}), ("BMP", "P", {}), ("GIF", "P", {}), ("AVIF", "RGB", {}),
)  # fmt: skip


def seeds() -> list[bytes]:
    """Small sound files of every kind that is read, animations and metadata among them."""
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    found = []
    for kind, mode, options in _SAVED:
        levels = random.integers(0, 256, (9, 11, 4), np.uint8)
        if mode == "I;16":
            image = Image.fromarray(levels[..., :2].copy().view(np.uint16)[..., 0])
        else:
            image = Image.fromarray(levels).convert(mode)
        file = io.BytesIO()
        more = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF") else {}
        image.save(file, kind, **options, **more, dpi=(300, 300))
        found.append(file.getvalue())
    frames = [Image.fromarray(random.integers(0, 256, (7, 8, 3), np.uint8)) for _ in range(3)]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        file = io.BytesIO()
        frames[0].save(file, kind, save_all=True, append_images=frames[1:])
        found.append(file.getvalue())
    return found


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """The same file with a few faults of one sort."""
    data = bytearray(content)
    places = random.integers(0, len(data), random.integers(1, 6))
    match int(random.integers(7)):
        case 0:
            for place in places:
                data[place] = int(random.integers(256))
        case 1:
            for place in places:
                data[place] ^= 1 << int(random.integers(8))
        case 2:
            del data[int(places[0]) :]
        case 3:
            del data[int(places.min()) : int(places.max())]
        case 4:
            data[int(places[0]) : int(places[0])] = data[int(places.min()) : int(places.max()) + 9]
        case 5:  # a large number where there is one: a size, an offset, a length
            place = int(random.integers(0, max(1, len(data) - 4)))
            order = random.choice(["<", ">"])
            number = int(random.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 40_000]))
            data[place : place + 4] = struct.pack(f"{order}I", number)
        case _:
            place = int(places[0])
            data[place : place + 8] = random.bytes(8)
    return with_checksums(bytes(data)) if random.random() < 0.5 else bytes(data)


def with_checksums(data: bytes) -> bytes:
    """A PNG's chunks with the sums that they should have, so that a decoder reads on."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, place = data[:8], 8
    while place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        end = place + 8 + length
        if end + 4 > len(data):
            return out + data[place:]
        body = data[place + 4 : end]
        out += data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body))
        place = end + 4
    return out + data[place:]


def invented(random: np.random.Generator) -> bytes:
    """Noise behind the first bytes of a known format, or behind nothing."""
    starts = (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x20\0\0\0WEBPVP8 ", b"GIF89a",
              b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"BM", b"\0\0\0 ftypavif")  # fmt: skip
    start = starts[int(random.integers(len(starts)))]
    return start + random.bytes(int(random.integers(0, 400)))


def pictures() -> Iterator[bytes]:
    random = np.random.default_rng(1)
    sound = seeds()
    yield from sound
    for number in range(COUNT - len(sound)):
        yield invented(random) if number % 8 == 0 else mutated(sound[number % len(sound)], random)
