"""Picture files, read whole and written whole: files made by Pillow and tifffile."""

from __future__ import annotations

import io
import weakref

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms

from srexp.images.io import ImageFileError
from srexp.options import OptionError
from srexp.pictures import reading, writing
from srexp.pictures.picture import Beside, Frame

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _levels(*shape, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def _saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _frames(content, name="x"):
    with reading.opened(content, name) as picture:
        return picture, list(picture.frames())


def _written(frames, kind, beside=None, **options):
    file = io.BytesIO()
    count = len(frames)
    writing.write(file, frames, writing.FORMATS[kind], beside or Beside(), count=count, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG"])
def test_each_kind_is_read_in_its_pixels(kind):
    levels = np.repeat(np.repeat(_levels(4, 3, 1), 16, 0), 16, 1)
    rgb = np.repeat(levels, 3, 2)
    lossless = {"lossless": True} if kind == "WEBP" else {}
    picture, (frame,) = _frames(_saved(Image.fromarray(rgb), kind, **lossless))
    assert (picture.format, picture.width, picture.height) == (kind, 48, 64)
    within = 0 if kind in ("PNG", "TIFF", "BMP", "WEBP", "GIF") else 12
    assert np.abs(frame.colour.astype(int) - rgb).max() <= within
    assert frame.alpha is None and not picture.deep


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_picture_comes_upright_and_its_exif_says_so(turn):
    stored = Image.fromarray(_levels(5, 8, 3))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    exif[ExifTags.Base.Make] = "Maker"
    content = _saved(stored, "PNG", exif=exif.tobytes())
    from PIL import ImageOps

    with Image.open(io.BytesIO(content)) as file:
        expected = np.asarray(ImageOps.exif_transpose(file))
    picture, (frame,) = _frames(content)
    assert (frame.colour == expected).all()
    assert (picture.height, picture.width) == expected.shape[:2]
    kept = Image.Exif()
    kept.load(picture.beside.exif)
    assert kept[ExifTags.Base.Make] == "Maker" and ExifTags.Base.Orientation not in kept


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_is_a_layer_of_its_own_and_opaque_alpha_is_none(mode):
    colour, alpha = _levels(6, 7, 3), _levels(6, 7, 1, seed=1)
    image = Image.fromarray(np.concatenate([colour, alpha], 2))
    if mode == "P":
        image = Image.fromarray(_levels(6, 7) % 4).convert("P")
        content = _saved(image, "PNG", transparency=2)
        _, (frame,) = _frames(content)
        assert frame.colour.shape[2] == 3
        assert ((frame.alpha[..., 0] == 0) == (np.asarray(image) == 2)).all()
        return
    _, (frame,) = _frames(_saved(image.convert(mode), "PNG"))
    assert (frame.alpha == alpha).all()
    assert frame.colour.shape[2] == (1 if mode == "LA" else 3)
    if mode == "RGBA":
        assert (frame.colour == colour).all()
    image.putalpha(255)
    _, (frame,) = _frames(_saved(image.convert(mode), "PNG"))
    assert frame.alpha is None


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_go_in_and_out(kind, channels):
    samples = _levels(40, 30, channels, dtype=np.uint16)
    colours = channels - (channels % 2 == 0)
    frame = Frame(samples[..., :colours], samples[..., colours:] if channels % 2 == 0 else None)
    content = _written([frame], kind, Beside(profile=SRGB, dpi=(300, 150)), note="how")
    picture, (back,) = _frames(content)
    layers = [back.colour] if back.alpha is None else [back.colour, back.alpha]
    assert (np.rint(np.concatenate(layers, 2) * 65535) == samples).all()
    assert picture.bits == 16 and picture.beside.profile == SRGB
    assert writing.read_note(content) == "how"
    if (kind, channels) != ("tiff", 2):  # which Pillow does not read
        with Image.open(io.BytesIO(content)) as file:
            assert file.info["dpi"] == pytest.approx((300, 150), abs=0.02)
    if kind == "tiff":
        read = tifffile.imread(io.BytesIO(content))
        assert (read.reshape(samples.shape) == samples).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_are_read_frame_by_frame_with_times_and_loops(kind):
    stills = [np.full((8, 9, 3), level, np.uint8) for level in (0, 100, 200)]
    first, *rest = map(Image.fromarray, stills)
    content = _saved(first, kind, save_all=True, append_images=rest, duration=[40, 80, 120],
                     loop=3, **({"lossless": True} if kind == "WEBP" else {}))  # fmt: skip
    picture, frames = _frames(content)
    assert picture.count == 3
    assert [int(frame.colour[0, 0, 0]) for frame in frames] == [0, 100, 200]
    if kind != "WEBP":  # Pillow says a frame's time of GIF and PNG alone before the next is read
        assert [frame.milliseconds for frame in frames] == [40, 80, 120]
    back, again = _frames(_written(frames, kind.lower(), picture.beside))
    assert [int(frame.colour[0, 0, 0]) for frame in again] == [0, 100, 200]
    assert back.beside.loops == picture.beside.loops
    if kind != "WEBP":
        assert [frame.milliseconds for frame in again] == [40, 80, 120]


@pytest.mark.parametrize("kind", ["webp", "png"])
def test_long_animations_are_written_frame_by_frame(kind):
    """Opaque frames and clear ones; by Pillow each comes back as it was."""
    random = np.random.default_rng(0)
    colours = random.integers(0, 256, (20, 6, 7, 3), np.uint8)
    alphas = [None if index % 3 else np.full((6, 7, 1), 255 - index, np.uint8)
              for index in range(20)]  # fmt: skip
    alphas[0] = None
    alive = set()

    def frames():
        for index in range(20):
            colour = colours[index].copy()
            alive.add(index)
            weakref.finalize(colour, alive.remove, index)
            yield Frame(colour, alphas[index], 10 + index)
            assert len(alive) <= 3, "all are in memory"

    file = io.BytesIO()
    beside = Beside(profile=SRGB, loops=2)
    writing.write(file, frames(), writing.FORMATS[kind], beside, count=20, note="made")
    with Image.open(file) as back:
        assert (back.n_frames, back.info["loop"], back.info["icc_profile"]) == (20, 2, SRGB)
        for index in range(20):
            back.seek(index)
            levels = np.asarray(back.convert("RGBA"))
            assert (levels[..., :3] == colours[index]).all(), index
            wanted = 255 if alphas[index] is None else alphas[index]
            assert (levels[..., 3:] == wanted).all(), index
            if kind == "png":
                assert back.info["duration"] == 10 + index
    assert writing.read_note(file.getvalue()) == "made"


def test_cmyk_goes_through_its_profile_and_grey_and_rgb_profiles_are_kept():
    rgb = _saved(Image.fromarray(_levels(5, 5, 3)), "PNG", icc_profile=SRGB)
    assert _frames(rgb)[0].beside.profile == SRGB
    inks = Image.new("CMYK", (4, 4), (0, 0, 0, 255))
    picture, (frame,) = _frames(_saved(inks, "TIFF"))
    assert "CMYK without a profile" in picture.remarks[0]
    assert frame.colour.max() <= 10 and not picture.beside.profile


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello", "not a picture"),
        (b"%PDF-1.4 and more", "is PDF inside"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 30, "cannot be read"),
        (b"\xff\xd8\xff" + b"0" * 30, "cannot be read"),
    ],
)
def test_what_is_no_picture_is_one_line(content, says):
    with pytest.raises(ImageFileError, match=says) as caught, reading.opened(content, "a.png"):
        pass
    assert str(caught.value).startswith("a.png: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "AVIF", "BMP"])
def test_a_file_that_is_cut_short_is_refused_while_it_is_read(kind):
    content = _saved(Image.fromarray(_levels(64, 64, 3)), kind)
    with (
        pytest.raises(ImageFileError, match=r"^a: "),
        reading.opened(content[: len(content) * 2 // 3], "a") as picture,
    ):
        list(picture.frames())


def test_a_bomb_is_refused_by_its_header(monkeypatch):
    monkeypatch.setenv("SREXP_MAX_MEGAPIXELS", "1")
    content = _saved(Image.new("L", (2000, 2000)), "PNG")
    with pytest.raises(ImageFileError, match="4 megapixels"), reading.opened(content, "a"):
        pass


@pytest.mark.parametrize("kind", list(writing.FORMATS))
def test_what_is_beside_the_pixels_is_kept_where_the_format_can(kind):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Someone"
    beside = Beside(exif.tobytes(), SRGB, (200, 200))
    content = _written([Frame(_levels(9, 9, 3))], kind, beside, note="made so")
    with Image.open(io.BytesIO(content)) as file:
        assert file.format == writing.FORMATS[kind].name
        if kind not in ("bmp", "gif"):
            assert file.getexif()[ExifTags.Base.Artist] == "Someone"
            assert file.info["icc_profile"] == SRGB
        if kind in ("png", "jpeg", "tiff", "bmp"):
            assert file.info["dpi"] == pytest.approx((200, 200), abs=0.02)
    assert writing.read_note(content) == ("" if kind == "bmp" else "made so")


@pytest.mark.parametrize("kind", ["png", "webp", "tiff", "bmp"])
def test_lossless_formats_lose_nothing(kind):
    levels = _levels(20, 21, 3)
    _, (frame,) = _frames(_written([Frame(levels)], kind))
    assert (frame.colour == levels).all()


def test_transparent_colour_survives_lossless_webp_and_jpeg_is_laid_on_white():
    frame = Frame(np.full((8, 8, 3), 200, np.uint8), np.zeros((8, 8, 1), np.uint8))
    _, (back,) = _frames(_written([frame], "webp"))
    assert (back.colour == 200).all() and (back.alpha == 0).all()
    _, (back,) = _frames(_written([frame], "jpeg"))
    assert (back.colour == 255).all()


def test_sizes_that_a_format_does_not_hold_are_refused():
    with pytest.raises(OptionError, match="at most 16383"):
        writing.check(writing.FORMATS["webp"], 20000, 10)
    writing.check(writing.FORMATS["png"], 70000, 10)
    assert writing.format_of(".JPEG") is writing.FORMATS["jpeg"]
    assert writing.format_of(".psd") is None
