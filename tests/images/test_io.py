"""Reading pictures of every kind, from files written by Pillow or byte by byte."""

from __future__ import annotations

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from srexp.images.io import (
    ImageFileError,
    list_images,
    read_image,
    size_of,
    stored_as,
    to_picture,
)
from srexp.options import OptionError

WHITE = "transparent pixels are laid on white"


def _levels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _read(path, *expected):
    image, remarks = read_image(path)
    assert remarks == list(expected)
    assert image.dtype == np.float32
    return image


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# PNG specification, section 8.2: first column and row of each pass, and their steps.
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def _filtered(samples):
    """Rows after their filter byte, of the filters in turn: none, Sub, Up, Average, Paeth."""
    unit = samples[0, 0].size * 2
    before, rows = np.zeros(samples.shape[1] * unit, int), []
    for number, row in enumerate(samples):
        now = np.frombuffer(row.astype(">u2").tobytes(), np.uint8).astype(int)
        left, corner = (np.concatenate([np.zeros(unit, int), a[:-unit]]) for a in (now, before))
        guess = left + before - corner
        nearest = np.abs(np.stack([left, before, corner]) - guess).argmin(axis=0)
        paeth = np.choose(nearest, [left, before, corner])
        kind = number % 5
        predicted = [0, left, before, (left + before) // 2, paeth][kind]
        rows.append(bytes([kind]) + ((now - predicted) % 256).astype(np.uint8).tobytes())
        before = now
    return b"".join(rows)


def _png_16bit(path, samples, colour_type, extra=b"", interlaced=False):
    """PNG specification, sections 9 and 11.2: big-endian samples, each row filtered."""
    height, width = samples.shape[:2]
    passes = _ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [samples[y::down, x::across] for x, y, across, down in passes]
    rows = b"".join(_filtered(part) for part in parts if part.size)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, int(interlaced))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + extra
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )
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
    image = _read(tmp_path / "a.png", WHITE) * 255
    np.testing.assert_allclose(image, [[[255, 255, 255], [40, 50, 60]]], atol=1e-4)


def test_transparent_pixels_are_laid_on_white(tmp_path):
    # Alpha 51 is a fifth: a fifth of the colour and four fifths of white, 204.
    rgba = np.array([[[9, 99, 199, 255], [9, 99, 199, 0], [0, 100, 255, 51]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    expected = [[[9, 99, 199], [255, 255, 255], [204, 224, 255]]]
    np.testing.assert_allclose(_read(tmp_path / "a.png", WHITE) * 255, expected, atol=1e-4)


def test_grey_with_alpha_is_laid_on_white_and_stays_grey(tmp_path):
    la = np.array([[[9, 255], [9, 0], [0, 51]]], np.uint8)
    Image.fromarray(la, "LA").save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == "LA"
    image = _read(tmp_path / "a.png", WHITE) * 255
    np.testing.assert_allclose(image, [[[9], [255], [204]]], atol=1e-4)


def test_the_transparent_level_of_a_grey_png_becomes_white(tmp_path):
    Image.fromarray(np.array([[9, 77]], np.uint8)).save(tmp_path / "a.png", transparency=9)
    np.testing.assert_allclose(_read(tmp_path / "a.png", WHITE) * 255, [[[255], [77]]], atol=1e-4)


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


@pytest.mark.parametrize(
    ("mode", "alpha"), [("L", False), ("RGB", False), ("L", True), ("RGB", True)]
)
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_16bit_png_keeps_its_bits(tmp_path, mode, alpha, interlaced):
    """Pillow gives the upper 8 of colour and of grey with alpha, without a word."""
    channels = len(mode) + alpha
    samples = np.random.default_rng(1).integers(0, 65536, (9, 11, channels))
    if alpha:
        samples[..., -1] = 65535
    colour_type = (2 if mode == "RGB" else 0) + (4 if alpha else 0)
    path = _png_16bit(tmp_path / "a.png", samples, colour_type, interlaced=interlaced)
    np.testing.assert_allclose(_read(path), samples[..., : len(mode)] / 65535, rtol=1e-6)


@pytest.mark.parametrize("colours", [1, 3])
def test_transparent_pixels_of_a_16bit_png_are_laid_on_white(tmp_path, colours):
    samples = np.array([[[10000] * colours + [0], [10000] * colours + [13107]]])  # a fifth
    path = _png_16bit(tmp_path / "a.png", samples, 4 if colours == 1 else 6)
    expected = [[[1] * colours, [10000 / 65535 / 5 + 4 / 5] * colours]]
    np.testing.assert_allclose(_read(path, WHITE), expected, rtol=1e-6)


@pytest.mark.parametrize("colours", [1, 3])
def test_the_transparent_level_of_a_16bit_png_becomes_white(tmp_path, colours):
    """All 16 bits decide: 0x1235 is not 0x1234."""
    samples = np.array([[[0x1234] * colours, [0x1235] * colours]])
    level = _chunk(b"tRNS", struct.pack(">H", 0x1234) * colours)
    path = _png_16bit(tmp_path / "a.png", samples, 2 if colours == 3 else 0, extra=level)
    expected = [[[1] * colours, [0x1235 / 65535] * colours]]
    np.testing.assert_allclose(_read(path, WHITE), expected, rtol=1e-6)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_opaque_alpha_channel_changes_nothing(tmp_path, mode):
    colour = Image.fromarray(_levels(5, 7, 3)).convert(mode[:-1])
    opaque = colour.copy()
    opaque.putalpha(255)
    assert opaque.mode == mode
    opaque.save(tmp_path / "a.png")
    expected = np.asarray(colour).reshape(5, 7, -1) / np.float32(255)
    np.testing.assert_array_equal(_read(tmp_path / "a.png"), expected)


def test_animations_are_their_first_picture_and_say_so(tmp_path):
    frames = [Image.fromarray(_levels(16, 16, 3, seed=i)) for i in range(3)]
    for ending, options in {".png": {}, ".webp": {"lossless": True}, ".tif": {}}.items():
        path = tmp_path / f"a{ending}"
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        what = "pages" if ending == ".tif" else "frames"
        image = _read(path, f"3 {what}, of which the first is read")
        np.testing.assert_array_equal(image, np.asarray(frames[0]) / np.float32(255))
        assert stored_as(path).frames == 3


def test_a_colour_profile_other_than_srgb_is_named(tmp_path):
    picture = Image.new("RGB", (8, 8), (10, 20, 30))
    lab, srgb = (ImageCms.ImageCmsProfile(ImageCms.createProfile(k)) for k in ("LAB", "sRGB"))
    picture.save(tmp_path / "srgb.png", icc_profile=srgb.tobytes())
    picture.save(tmp_path / "other.png", icc_profile=lab.tobytes())
    picture.save(tmp_path / "damaged.png", icc_profile=b"nothing")
    plain = _read(tmp_path / "srgb.png")
    for name in ("other", "damaged"):
        image, (remark,) = read_image(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(image, plain)
        assert "is not applied: levels are taken as sRGB" in remark


@pytest.mark.parametrize(
    ("format", "options", "lossy"),
    [
        ("PNG", {}, False), ("BMP", {}, False), ("JPEG", {}, True), ("TIFF", {}, False),
        ("TIFF", {"compression": "jpeg"}, True), ("TIFF", {"compression": "tiff_lzw"}, False),
        ("WEBP", {"lossless": True}, False), ("WEBP", {"lossless": False}, True),
        ("WEBP", {"lossless": False, "exif": b"Exif\0\0"}, True), ("MPO", {}, True),
    ],
)  # fmt: skip
def test_what_is_lossy_is_told_by_the_content(tmp_path, format, options, lossy):
    path = tmp_path / "a.png"
    Image.fromarray(_levels(16, 24, 3)).save(path, format, **options)
    stored = stored_as(path)
    assert stored.lossy is lossy
    assert (stored.width, stored.height, stored.bits, stored.alpha) == (24, 16, 8, False)


@pytest.mark.parametrize("lossless", [True, False])
def test_an_animated_webp_is_lossy_by_its_frames(tmp_path, lossless):
    frames = [Image.fromarray(_levels(16, 24, 4, seed=i)) for i in range(2)]
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=lossless)
    assert stored_as(path).lossy is not lossless


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


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"GIF89a" + bytes(20), "GIF"), (bytes(4) + b"ftypavif", "AVIF"),
        (bytes(4) + b"ftypheic", "HEIC"), (b"8BPS" + bytes(20), "Photoshop"),
    ],
)  # fmt: skip
def test_another_kind_under_a_readable_name_is_named(tmp_path, content, kind):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match=rf"a\.jpg: is {kind}.* inside, which is not read"):
        read_image(path)


def test_a_12bit_jpeg_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(_levels(16, 16, 3)).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"\xff\xc0") + 4] = 12  # ITU-T T.81, B.2.2: the sample precision
    path.write_bytes(content)
    with pytest.raises(ImageFileError, match="of a kind that is not read, as 12-bit JPEG"):
        read_image(path)


@pytest.mark.parametrize("look", [read_image, size_of, stored_as])
def test_very_large_pictures_are_refused_with_the_setting(tmp_path, monkeypatch, look):
    path = tmp_path / "huge.png"
    Image.new("1", (2000, 2000)).save(path)
    monkeypatch.setenv("SREXP_MAX_MEGAPIXELS", "3.5")
    with pytest.raises(ImageFileError) as caught:
        look(path)
    assert str(caught.value) == (
        f"{path}: is 2000x2000, 4 megapixels, and more than 3.5 are not read; to read it, set the "
        "environment variable SREXP_MAX_MEGAPIXELS=4"
    )
    monkeypatch.setenv("SREXP_MAX_MEGAPIXELS", "4")
    look(path)
    for wrong in ("many", "", "0", "nan"):
        monkeypatch.setenv("SREXP_MAX_MEGAPIXELS", wrong)
        with pytest.raises(OptionError, match=f"SREXP_MAX_MEGAPIXELS={wrong}: must be a number"):
            look(path)


def test_pillows_own_limit_neither_warns_nor_changes(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    frames = [Image.new("L", (64, 64)), Image.new("L", (64, 64))]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path)[0].shape == (64, 64, 1)
    assert Image.MAX_IMAGE_PIXELS == 1


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".webp"])
def test_the_size_is_that_of_the_upright_picture(tmp_path, ending, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{ending}"
    Image.fromarray(_levels(16, 24, 3)).save(path, exif=exif)
    height, width = read_image(path)[0].shape[:2]
    assert size_of(path) == (width, height) == ((24, 16) if orientation == 1 else (16, 24))


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
