"""Reading pictures of every kind, from files written by Pillow or byte by byte."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from srexp.images.io import ImageFileError, list_images, read_image, to_picture


def _levels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _read(path):
    image, remark = read_image(path)
    assert remark is None
    assert image.dtype == np.float32
    return image


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_16bit(path, samples, colour_type, extra=b""):
    """PNG specification, section 11.2: big-endian samples, a filter byte before each row."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )
    return path


def _tiff_16bit_rgb(path, samples):
    """TIFF 6.0, section 6: one strip, uncompressed, little-endian."""
    height, width = samples.shape[:2]
    data = samples.astype("<u2").tobytes()
    tags = [(256, 1, width), (257, 1, height), (258, 3, None), (259, 1, 1), (262, 1, 2),
            (273, 1, None), (277, 1, 3), (278, 1, height), (279, 1, len(data))]  # fmt: skip
    after = 8 + 2 + 12 * len(tags) + 4
    values = {258: after, 273: after + 6}
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, count, values.get(tag, value))
        for tag, count, value in tags
    )
    path.write_bytes(
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0)
        + struct.pack("<HHH", 16, 16, 16) + data
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("ending", "channels"),
    [(".png", 1), (".bmp", 1), (".tif", 1), (".png", 3), (".bmp", 3), (".tiff", 3), (".webp", 3)],
)
def test_lossless_files_keep_every_pixel(tmp_path, ending, channels):
    levels = _levels(11, 14, channels)
    path = tmp_path / f"a{ending}"
    picture = Image.fromarray(levels[..., 0] if channels == 1 else levels)
    picture.save(path, **({"lossless": True} if ending == ".webp" else {}))
    np.testing.assert_array_equal(_read(path), levels / np.float32(255))


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".webp"])
def test_lossy_files_come_close(tmp_path, ending):
    flat = np.empty((16, 24, 3), np.uint8)
    flat[:] = (200, 100, 50)
    path = tmp_path / f"a{ending}"
    Image.fromarray(flat).save(path, quality=95)
    image = _read(path)
    assert image.shape == (16, 24, 3)
    np.testing.assert_allclose(image * 255, flat, atol=4)


def test_a_grey_jpeg_has_one_channel(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("L", (16, 8), 77).save(path)
    np.testing.assert_allclose(_read(path), np.full((8, 16, 1), 77 / 255), atol=1e-6)


def test_a_palette_becomes_its_colours(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture = picture.convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 255, 0, 255])
    picture.save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "P"
    expected = [[[10, 20, 30], [40, 50, 60]], [[255, 0, 255], [40, 50, 60]]]
    np.testing.assert_array_equal(_read(tmp_path / "a.png"), np.float32(expected) / np.float32(255))


def test_the_transparent_entry_of_a_palette_becomes_white(tmp_path):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "a.png", transparency=0)
    image = _read(tmp_path / "a.png") * 255
    np.testing.assert_allclose(image, [[[255, 255, 255], [40, 50, 60]]], atol=1e-4)


def test_transparent_pixels_are_laid_on_white(tmp_path):
    # Alpha 51 is a fifth: a fifth of the colour and four fifths of white, 204.
    rgba = np.array([[[9, 99, 199, 255], [9, 99, 199, 0], [0, 100, 255, 51]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    expected = [[[9, 99, 199], [255, 255, 255], [204, 224, 255]]]
    np.testing.assert_allclose(_read(tmp_path / "a.png") * 255, expected, atol=1e-4)


def test_grey_with_alpha_is_laid_on_white_and_stays_grey(tmp_path):
    la = np.array([[[9, 255], [9, 0], [0, 51]]], np.uint8)
    Image.fromarray(la, "LA").save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "LA"
    np.testing.assert_allclose(_read(tmp_path / "a.png") * 255, [[[9], [255], [204]]], atol=1e-4)


def test_the_transparent_level_of_a_grey_png_becomes_white(tmp_path):
    Image.fromarray(np.array([[9, 77]], np.uint8)).save(tmp_path / "a.png", transparency=9)
    np.testing.assert_allclose(_read(tmp_path / "a.png") * 255, [[[255], [77]]], atol=1e-4)


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = np.array([[True, False, True], [False, False, True]])
    for ending in (".png", ".tif", ".bmp"):
        Image.fromarray(bits).save(tmp_path / f"a{ending}")
        np.testing.assert_array_equal(_read(tmp_path / f"a{ending}"), bits[..., None])


@pytest.mark.parametrize(
    ("ink", "rgb"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("ending", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path, ending, ink, rgb):
    path = tmp_path / f"a{ending}"
    Image.new("CMYK", (16, 16), ink).save(path)
    image = _read(path) * 255
    np.testing.assert_allclose(image, np.broadcast_to(rgb, (16, 16, 3)), atol=4)


# EXIF 2.3, tag 0x0112: which corner of the scene the first stored row and column lie at.
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),  # a quarter turn clockwise
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),  # counter-clockwise
}


@pytest.mark.parametrize("orientation", list(ORIENTATIONS))
def test_the_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = _levels(5, 7, 3)
    Image.fromarray(levels).save(tmp_path / "a.png", exif=exif)
    upright = ORIENTATIONS[orientation](levels)
    np.testing.assert_array_equal(_read(tmp_path / "a.png"), upright / np.float32(255))


def test_a_photograph_lying_on_its_side_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((16, 32), np.uint8)
    stored[:, :16] = 255  # the left half comes to lie at the top
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif)
    image = _read(tmp_path / "a.jpg")
    assert image.shape == (32, 16, 1)
    np.testing.assert_allclose(image[:16], 1, atol=0.02)
    np.testing.assert_allclose(image[16:], 0, atol=0.02)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_16bit_grey_keeps_its_bits(tmp_path, ending):
    values = np.array([[0, 1, 255], [256, 12345, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{ending}")
    np.testing.assert_allclose(_read(tmp_path / f"a{ending}")[..., 0], values / 65535, rtol=1e-6)


def test_16bit_grey_in_a_32bit_file_keeps_its_bits(tmp_path):
    values = np.array([[0, 300], [12345, 65535]], np.int32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_allclose(_read(tmp_path / "a.tif")[..., 0], values / 65535, rtol=1e-6)


def test_16bit_colour_png_is_reduced_with_a_remark(tmp_path):
    samples = np.array([[[0x0000, 0x8080, 0xFFFF], [0x1212, 0x3434, 0x5656]]])
    path = _png_16bit(tmp_path / "deep.png", samples, colour_type=2)
    image, remark = read_image(path)
    np.testing.assert_allclose(image, samples / 65535, atol=1e-6)
    assert remark == f"{path}: 16-bit colour was reduced to 8 bits"


def test_16bit_colour_png_with_alpha_is_reduced_with_a_remark(tmp_path):
    samples = np.array([[[0x1212, 0x3434, 0x5656, 0xFFFF], [0, 0, 0, 0]]])
    path = _png_16bit(tmp_path / "deep.png", samples, colour_type=6)
    image, remark = read_image(path)
    np.testing.assert_allclose(image[0] * 255, [[0x12, 0x34, 0x56], [255, 255, 255]], atol=1e-4)
    assert remark == f"{path}: 16-bit colour was reduced to 8 bits"


def test_16bit_colour_tiff_is_reduced_with_a_remark(tmp_path):
    samples = np.array([[[0x0000, 0x8080, 0xFFFF]], [[0x1212, 0x3434, 0x5656]]])
    path = _tiff_16bit_rgb(tmp_path / "deep.tif", samples)
    image, remark = read_image(path)
    np.testing.assert_allclose(image, samples / 65535, atol=1e-6)
    assert remark == f"{path}: 16-bit colour was reduced to 8 bits"


def test_8bit_tiff_and_16bit_grey_bring_no_remark(tmp_path):
    Image.fromarray(_levels(3, 4, 3)).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[1] is None
    path = _png_16bit(tmp_path / "grey.png", np.array([[0x1234, 0xABCD]]), colour_type=0)
    image, remark = read_image(path)
    assert remark is None
    np.testing.assert_allclose(image[0, :, 0], [0x1234 / 65535, 0xABCD / 65535], rtol=1e-6)


def test_16bit_grey_with_alpha_keeps_its_bits_or_says_so(tmp_path):
    samples = np.array([[[0x1234, 0xFFFF], [0x1234, 0x0000]]])
    path = _png_16bit(tmp_path / "deep.png", samples, colour_type=4)
    image, remark = read_image(path)
    assert image.shape == (1, 2, 1)
    tolerance = 1e-6 if remark is None else 1 / 255
    np.testing.assert_allclose(image[0, :, 0], [0x1234 / 65535, 1], atol=tolerance)


def test_the_transparent_level_of_a_16bit_grey_png_becomes_white(tmp_path):
    samples = np.array([[0x1234, 0xABCD]])
    level = _chunk(b"tRNS", struct.pack(">H", 0x1234))
    path = _png_16bit(tmp_path / "deep.png", samples, colour_type=0, extra=level)
    image, _ = read_image(path)
    np.testing.assert_allclose(image[0, :, 0], [1, 0xABCD / 65535], atol=1 / 255)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".tif", ".webp"])
def test_a_file_that_was_cut_short_is_refused_by_name(tmp_path, ending):
    path = tmp_path / f"half{ending}"
    Image.fromarray(_levels(64, 64, 3)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageFileError, match=rf"half\{ending}: (cannot be read|not a picture)"):
        read_image(path)


def test_a_text_file_named_png_is_refused(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("This is no picture.\n")
    with pytest.raises(ImageFileError, match=r"notes\.png: not a picture"):
        read_image(path)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "nothing.jpg"
    path.touch()
    with pytest.raises(ImageFileError, match=r"nothing\.jpg: not a picture"):
        read_image(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ImageFileError, match=r"gone\.png: cannot be read"):
        read_image(tmp_path / "gone.png")


def test_floating_point_grey_is_refused(tmp_path):
    path = tmp_path / "depth.tif"
    Image.fromarray(np.ones((4, 4), np.float32)).save(path)
    with pytest.raises(ImageFileError, match=r"depth\.tif: floating-point grey is not read"):
        read_image(path)


@pytest.mark.parametrize("value", [65536, -1])
def test_32bit_grey_is_refused(tmp_path, value):
    path = tmp_path / "counts.tif"
    Image.fromarray(np.array([[0, value]], np.int32)).save(path)
    with pytest.raises(ImageFileError, match=r"counts\.tif: 32-bit grey is not read"):
        read_image(path)


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    Image.new("1", (64, 64)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 // 3)
    with pytest.raises(ImageFileError, match=r"huge\.png: too large to read"):
        read_image(path)


def test_pictures_are_listed_by_name(tmp_path):
    for name in ("c.PNG", "a.jpg", "b.TIFF", "d.bmp", "e.JPEG", "f.webp", "g.tif"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == [
        "a.jpg", "b.TIFF", "c.PNG", "d.bmp", "e.JPEG", "f.webp", "g.tif",
    ]  # fmt: skip


def test_what_is_no_picture_is_not_listed(tmp_path):
    for name in (".hidden.png", "._a.jpg", "notes.txt", "png", "a.png.bak", "movie.gif"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deeper.png").touch()
    (tmp_path / "the_one.png").touch()
    assert [path.name for path in list_images(tmp_path)] == ["the_one.png"]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_picture_shows_the_rounded_values(channels, mode):
    image = np.full((3, 5, channels), 100.6 / 255, np.float32)
    image[1, 4] = 2.0
    picture = to_picture(image)
    assert (picture.mode, picture.size) == (mode, (5, 3))
    shown = np.asarray(picture).reshape(3, 5, channels)
    np.testing.assert_array_equal(shown[0], 101)
    np.testing.assert_array_equal(shown[1, 4], 255)
    np.testing.assert_array_equal(np.asarray(to_picture(shown)).reshape(3, 5, channels), shown)
