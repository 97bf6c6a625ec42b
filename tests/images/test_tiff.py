"""TIFF files of every layout, written by tifffile or byte by byte."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from srexp.images.io import ImageFileError, read_image, size_of, stored_as

SAMPLES = np.random.default_rng(0).integers(0, 65536, (37, 45, 4), np.uint16)
GREY, RGB, RGBA = SAMPLES[..., 0], SAMPLES[..., :3], SAMPLES.copy()
RGBA[..., 3] = 65535
PLANES = np.moveaxis(RGB, 2, 0)


def _read(path):
    image, remarks = read_image(path)
    assert remarks == []
    return image


@pytest.mark.parametrize("compression", [None, "zlib", "lzma"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}, {"rowsperstrip": 5}])
@pytest.mark.parametrize("byteorder", "<>")
def test_16_bits_are_kept_in_every_layout(tmp_path, compression, layout, byteorder):
    how = {**layout, "compression": compression, "byteorder": byteorder}
    if compression == "zlib":
        how["predictor"] = True
    kinds = {
        "black": (GREY, {"photometric": "minisblack"}),
        "white": (65535 - GREY, {"photometric": "miniswhite"}),
        "rgb": (RGB, {"photometric": "rgb"}),
        "planes": (PLANES, {"photometric": "rgb", "planarconfig": "separate"}),
        "alpha": (RGBA, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        "big": (RGB, {"photometric": "rgb", "bigtiff": True}),
    }
    for name, (content, options) in kinds.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, content, **how, **options)
        expected = (GREY[..., None] if name in ("black", "white") else RGB) / 65535
        np.testing.assert_allclose(_read(path), expected, rtol=2e-7, atol=1e-7, err_msg=name)
        assert (stored_as(path).bits, stored_as(path).lossy) == (16, False)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}])
def test_8_bits_are_kept_in_every_layout(tmp_path, compression, layout):
    rgb, grey = (RGB >> 8).astype(np.uint8), (GREY >> 8).astype(np.uint8)
    kinds = {
        "black": (grey, {"photometric": "minisblack"}),
        "white": (255 - grey, {"photometric": "miniswhite"}),
        "rgb": (rgb, {"photometric": "rgb"}),
        "planes": (np.moveaxis(rgb, 2, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        "big": (rgb, {"photometric": "rgb", "bigtiff": True}),
    }
    for name, (content, options) in kinds.items():
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, content, compression=compression, **layout, **options)
        expected = (grey[..., None] if name in ("black", "white") else rgb) / np.float32(255)
        np.testing.assert_array_equal(_read(path), expected, err_msg=name)


def _tiff(path, data, *, width, height, bits, photometric=1, samples=1, **tags):
    """TIFF 6.0, section 2: one strip, little-endian; `tags` are TAG=NUMBER as `t266=2`."""
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8,
               277: samples, 278: height, 279: len(data)}  # fmt: skip
    entries |= {int(tag[1:]): value for tag, value in tags.items()}
    header = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries))
    after = len(header) + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        if tag == 258 and samples > 2:
            header += struct.pack("<HHII", tag, 3, samples, after)
        else:
            header += struct.pack("<HHII", tag, 4, 1, value)
    path.write_bytes(header + bytes(4) + struct.pack("<H", bits) * samples)
    return path


def _packed(samples, bits):
    """The highest bit first, each row from a byte of its own."""
    text = ["".join(f"{value:0{bits}b}" for value in row.ravel()) for row in samples]
    whole = [line + "0" * (-len(line) % 8) for line in text]
    return b"".join(int(line, 2).to_bytes(len(line) // 8, "big") for line in whole)


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize(("photometric", "samples"), [(0, 1), (1, 1), (2, 3)])
def test_bits_between_8_and_16_are_unpacked(tmp_path, bits, photometric, samples):
    levels = SAMPLES[:5, :7, :samples] >> (16 - bits)
    path = _tiff(
        tmp_path / "a.tif", _packed(levels, bits),
        width=7, height=5, bits=bits, photometric=photometric, samples=samples,
    )  # fmt: skip
    expected = levels / (2**bits - 1)
    expected = expected if photometric else 1 - expected
    np.testing.assert_allclose(_read(path), expected, rtol=2e-7, atol=1e-7)


def _lzw(data):
    """TIFF 6.0, section 13, without ever a string: each byte its own code of 9 bits."""
    codes = []
    for start in range(0, len(data), 200):
        codes += [256, *data[start : start + 200]]  # cleared before codes grow
    text = "".join(f"{code:09b}" for code in [*codes, 257])
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def test_lzw_of_16_bits_is_read(tmp_path):
    for samples, photometric in ((1, 1), (3, 2)):
        levels = SAMPLES[..., :samples]
        differences = np.diff(levels, axis=1, prepend=np.uint16(0))
        for predictor, content in ((1, levels), (2, differences)):
            path = _tiff(
                tmp_path / f"{samples}{predictor}.tif", _lzw(content.astype("<u2").tobytes()),
                width=45, height=37, bits=16, photometric=photometric, samples=samples,
                t259=5, t317=predictor,
            )  # fmt: skip
            np.testing.assert_allclose(_read(path), levels / 65535, rtol=2e-7)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_what_libtiff_wrote_is_read(tmp_path, compression):
    for levels in (GREY, (RGB >> 8).astype(np.uint8)):
        Image.fromarray(levels).save(tmp_path / "a.tif", compression=compression)
        full = np.iinfo(levels.dtype).max
        expected = levels.reshape(37, 45, -1) / full
        np.testing.assert_allclose(_read(tmp_path / "a.tif"), expected, rtol=2e-7)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
def test_alpha_of_both_kinds_is_laid_on_white(tmp_path, kind, bits):
    """A fifth of grey 0.5 over white is 0.9; associated alpha holds 0.1 for it."""
    full = 2**bits - 1
    level = 0.1 if kind == "assocalpha" else 0.5
    content = np.empty((6, 6, 4), f"u{bits // 8}")
    content[...] = (*([round(level * full)] * 3), round(full / 5))
    tifffile.imwrite(tmp_path / "a.tif", content, photometric="rgb", extrasamples=[kind])
    image, remarks = read_image(tmp_path / "a.tif")
    assert remarks == ["transparent pixels are laid on white"]
    np.testing.assert_allclose(image, np.full((6, 6, 3), 0.9), atol=1.5 / full)


def test_samples_of_no_known_meaning_are_left_out(tmp_path):
    for bits in (8, 16):
        content = (SAMPLES >> (16 - bits)).astype(f"u{bits // 8}")
        tifffile.imwrite(
            tmp_path / "a.tif", content, photometric="rgb", extrasamples=["unspecified"]
        )
        expected = content[..., :3] / (2**bits - 1)
        np.testing.assert_allclose(_read(tmp_path / "a.tif"), expected, rtol=2e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_to_8_and_16_bits_alike(tmp_path, orientation):
    images = []
    for bits in (8, 16):
        content = (RGB >> 8).astype(np.uint8) if bits == 8 else (RGB >> 8) * 257
        path = tmp_path / f"{bits}.tif"
        tag = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, content, photometric="rgb", extratags=tag)
        images.append(_read(path))
        assert size_of(path) == images[-1].shape[1::-1]
    np.testing.assert_allclose(images[0], images[1], rtol=2e-7)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray((RGB >> 8).astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images[0], _read(tmp_path / "a.png"))


def test_a_palette_becomes_its_colours(tmp_path):
    colours = np.random.default_rng(3).integers(0, 256, (3, 256), np.uint16) * 257
    index = (GREY >> 8).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", index, photometric="palette", colormap=colours)
    expected = np.moveaxis(colours[:, index], 0, 2) / 65535
    np.testing.assert_allclose(_read(tmp_path / "a.tif"), expected, rtol=2e-7)


def test_ycbcr_becomes_rgb(tmp_path):
    """ITU-R BT.601 in full range, as TIFF 6.0 section 21 has it by default."""
    levels = np.array([[[76, 85, 255], [150, 44, 21], [29, 255, 107], [128, 128, 128]]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="ycbcr", subsampling=(1, 1))
    expected = [[[254, 0, 0], [0, 255, 1], [0, 0, 254], [128, 128, 128]]]
    np.testing.assert_allclose(_read(tmp_path / "a.tif") * 255, expected, atol=1)


@pytest.mark.parametrize("compression", ["group3", "group4", None])
def test_fax_is_black_on_white(tmp_path, compression):
    bits = GREY > 30000
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=compression)
    np.testing.assert_array_equal(_read(tmp_path / "a.tif")[..., 0], bits)


def test_thumbnails_and_masks_are_no_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::4, ::4], photometric="rgb", subfiletype=1)
    assert stored_as(tmp_path / "a.tif").frames == 1
    _read(tmp_path / "a.tif")


def test_stacks_are_their_first_page_and_say_so(tmp_path):
    for name, options in {"pages": {}, "imagej": {"imagej": True}}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", np.stack([GREY, GREY[::-1]]), **options)
        image, remarks = read_image(tmp_path / f"{name}.tif")
        assert remarks == ["2 pages, of which the first is read"]
        np.testing.assert_allclose(image[..., 0], GREY / 65535, rtol=2e-7)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (GREY.astype(np.int16), {}, "signed or floating-point samples"),
        ((GREY >> 8).astype(np.int8), {}, "signed or floating-point samples"),
        (GREY.astype(np.float32), {}, "signed or floating-point samples"),
        (RGB.astype(np.float32), {"photometric": "rgb"}, "signed or floating-point samples"),
        (GREY.astype(np.uint32), {}, "32-bit samples are not read; save 8 or 16 bits"),
        ((RGB >> 8).astype(np.uint8), {"photometric": "cielab"}, "is neither grey nor RGB"),
        (RGB, {"photometric": "cielab"}, "16 bits are read of grey and RGB alone"),
        (RGBA, {"photometric": "separated"}, "16 bits are read of grey and RGB alone"),
    ],
)
def test_what_would_be_another_picture_is_refused(tmp_path, content, options, message):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, content, **{"photometric": "minisblack", **options})
    for look in (read_image, size_of, stored_as):
        with pytest.raises(ImageFileError, match=rf"a\.tif: {message}"):
            look(path)


def test_a_layout_that_nothing_reads_is_refused(tmp_path):
    content = (RGBA[..., :2] >> 8).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", content, photometric="miniswhite", planarconfig="contig",
        extrasamples=["unassalpha"],
    )  # fmt: skip
    with pytest.raises(ImageFileError, match=r"a\.tif: cannot be read \(damaged, or a TIFF of"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"t266": 2}, "16 bits in this order"),  # FillOrder: the lowest bit first
        ({"t259": 34712}, "16 bits of this compression are not read"),  # JPEG 2000
        ({"t317": 3}, "16 bits of this compression are not read"),  # of floating point
    ],
)
def test_rare_orders_and_compressions_are_refused(tmp_path, tags, message):
    data = GREY.tobytes()
    path = _tiff(tmp_path / "a.tif", data, width=45, height=37, bits=16, **tags)
    with pytest.raises(ImageFileError, match=rf"a\.tif: {message}"):
        read_image(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.95])
def test_a_file_that_was_cut_short_is_refused(tmp_path, compression, part):
    path = tmp_path / "a.tif"
    # Its directory stands before the pixels.
    tifffile.imwrite(path, RGB, photometric="rgb", compression=compression, rowsperstrip=10)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(ImageFileError, match=r"a\.tif: (cannot be read|not a picture)"):
        read_image(path)
