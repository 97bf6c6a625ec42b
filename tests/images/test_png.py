"""PNG files of 16 bits, against Pillow and the specification."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from srexp.images import png


def _samples(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (height, width, channels), np.uint16)


def _written(samples, chunks=()):
    file = io.BytesIO()
    png.write_deep(file, samples, chunks)
    return file.getvalue()


def _chunks(content):
    place = 8
    while place < len(content):
        length, name = struct.unpack(">I4s", content[place : place + 8])
        data = content[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack(">I", content[place + 8 + length : place + 12 + length])
        assert checksum == zlib.crc32(name + data)
        yield name, data
        place += 12 + length


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (63, 5), (129, 40)])
def test_its_rows_unfilter_to_what_was_written(channels, size):
    """Undone as the specification says it, section 9: filter 2 adds the row above, byte by byte."""
    samples = _samples(*size, channels)
    chunks = list(_chunks(_written(samples)))
    header = struct.unpack(">IIBBBBB", chunks[0][1])
    assert header == (size[1], size[0], 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    data = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    rows = np.frombuffer(data, np.uint8).reshape(size[0], -1)
    assert (rows[:, 0] == 2).all()
    undone = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    assert (undone.reshape(-1).view(">u2").reshape(samples.shape) == samples).all()


def test_pillow_reads_grey_whole_and_the_upper_half_of_colour():
    grey, colour = _samples(20, 30, 1), _samples(20, 30, 3)
    with Image.open(io.BytesIO(_written(grey))) as file:
        assert (np.asarray(file) == grey[..., 0]).all()
    with Image.open(io.BytesIO(_written(colour))) as file:
        assert (np.asarray(file) == colour >> 8).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_is_read_again(channels):
    samples = _samples(70, 33, channels)
    colour, alpha = png.read_deep(_written(samples))
    layers = [colour] if alpha is None else [colour, alpha]
    assert (np.rint(np.concatenate(layers, 2) * 65535) == samples).all()


def test_other_chunks_come_before_the_pixels():
    content = _written(_samples(2, 2, 3), [(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))])
    assert [name for name, _ in _chunks(content)] == [b"IHDR", b"pHYs", b"IDAT", b"IDAT", b"IEND"]
    with Image.open(io.BytesIO(content)) as file:
        assert file.info["dpi"] == pytest.approx((300, 300), abs=0.01)
