"""SR images as files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from srexp.data.sets import DataError, ImageSet
from srexp.degradations.downscale import Downscale
from srexp.evaluation.saved import SavedImages, save_sr
from srexp.evaluation.scoring import Task, evaluate, score
from srexp.images.io import to_png
from srexp.images.quantize import from_uint8, to_uint8, unpack
from srexp.models.upscaler import bicubic
from srexp.protocol import Protocol

X2 = Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True)
PAPER = Protocol(degrade="y", lr_8bit=False, compare="y", border=None)
RGB = Protocol(degrade="rgb", lr_8bit=True, compare="rgb", border=None)
Y_OF_RGB = Protocol(degrade="rgb", lr_8bit=True, compare="y", border=None)
PROTOCOLS = {"y_paper": PAPER, "rgb": RGB, "y_of_rgb": Y_OF_RGB}


def _levels(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def _task(protocol="y_paper", channels=3, names=("a", "b")):
    images = {n: from_uint8(_levels(20, 23, channels, i)) for i, n in enumerate(names)}
    return Task(ImageSet("mine", images), X2, protocol, PROTOCOLS[protocol])


def _write(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_png(levels))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_saved_scores_as_it_did(tmp_path, protocol, channels):
    task = _task(protocol, channels)
    folder = tmp_path / task.key
    first = evaluate(
        task, bicubic(X2), method="x", see=lambda row, _, sr: save_sr(folder, row.image, sr)
    )
    with Image.open(folder / "a.png") as picture:
        assert (picture.format, picture.mode) == ("PNG", "L" if PROTOCOLS[protocol] is PAPER else
                                                  "RGB")  # fmt: skip
    again = score(task, SavedImages.find(tmp_path, task), method="x")
    assert again.rows == first.rows


def test_luma_is_taken_of_colour_files(tmp_path):
    task = _task()
    files = {name: _levels(20, 22, 3, 9 + i) for i, name in enumerate("ab")}
    for name, levels in files.items():
        _write(tmp_path / f"{name}_x2_SwinIR.png", levels)
    saved = SavedImages.find(tmp_path, task)
    for case in task.cases:
        rgb = files[case.name].astype(np.float64)
        y = 16 + (rgb @ np.array([65.481, 128.553, 24.966])) / 255
        np.testing.assert_array_equal(to_uint8(saved(case))[..., 0], np.floor(y + 0.5))


def test_three_equal_channels_of_a_grey_image_are_its_grey(tmp_path):
    """`luma` of them would be mapped to 16..235, which the HR image, being grey, is not."""
    task = _task(channels=1)
    for case in task.cases:
        _write(tmp_path / f"{case.name}.png", to_uint8(unpack(case.hr)).repeat(3, 2))
    report = score(task, SavedImages.find(tmp_path, task), method="perfect")
    assert report.infinite == ["a", "b"]


def test_a_grey_file_of_a_colour_image_is_luma_and_no_colour(tmp_path):
    for name in "ab":
        _write(tmp_path / f"{name}.png", _levels(20, 22, 1))
    task = _task("y_paper")
    np.testing.assert_array_equal(
        to_uint8(SavedImages.find(tmp_path, task)(task.cases[0])), _levels(20, 22, 1)
    )
    for protocol in ("rgb", "y_of_rgb"):
        task = _task(protocol)
        with pytest.raises(DataError, match=rf"a\.png: is grey, and protocol {protocol} works on"):
            SavedImages.find(tmp_path, task)(task.cases[0])


def test_another_size_is_refused(tmp_path):
    for name in "ab":
        _write(tmp_path / f"{name}.png", _levels(20, 23, 3))  # HR before the crop to even sides
    task = _task()
    with pytest.raises(DataError, match=r"a\.png: is 23x20, and a of mine is 22x20 at scale 2"):
        SavedImages.find(tmp_path, task)(task.cases[0])


def test_more_than_8_bits_are_refused(tmp_path):
    for name in "ab":
        levels = np.full((20, 22), 1234, np.uint16)
        Image.fromarray(levels).save(tmp_path / f"{name}.png")
    task = _task()
    with pytest.raises(DataError, match=r"more than 8 bits a channel: a\.png, b\.png; save 8"):
        SavedImages.find(tmp_path, task)


def test_missing_files_are_named(tmp_path):
    _write(tmp_path / "b.png", _levels(20, 22, 3))
    with pytest.raises(DataError, match=r"sr_dir: .*mine: no picture of a$"):
        SavedImages.find(tmp_path, _task())
    with pytest.raises(DataError, match=r"sr_dir: .*gone: no such folder$"):
        SavedImages.find(tmp_path / "gone", _task())


@pytest.mark.parametrize("nested", ["mine_x2/y_paper", "mine_x2", "mine", "."])
def test_the_folder_of_the_task_is_found(tmp_path, nested):
    for name in "ab":
        _write(tmp_path / nested / f"{name}.png", _levels(20, 22, 3))
    files = SavedImages.find(tmp_path, _task()).files
    assert files == {name: tmp_path / nested / f"{name}.png" for name in "ab"}


def test_what_is_not_read_may_be_what_is_missing(tmp_path):
    _write(tmp_path / "a.png", _levels(20, 22, 3))
    (tmp_path / "b.gif").touch()
    expected = r"no picture of b; b\.gif: kinds that are not read \(1 gif\)$"
    with pytest.raises(DataError, match=expected):
        SavedImages.find(tmp_path, _task())
    _write(tmp_path / "b.png", _levels(20, 22, 3))
    (remark,) = SavedImages.find(tmp_path, _task()).remarks
    assert remark == f"{tmp_path}: b.gif: kinds that are not read (1 gif)"


@pytest.mark.parametrize(("format", "lossy"), [("JPEG", True), ("WEBP", True), ("PNG", False)])
def test_what_is_lossy_is_told_by_the_content(tmp_path, format, lossy):
    for name in "ab":
        Image.fromarray(_levels(20, 22, 3)).save(tmp_path / f"{name}.png", format)
    remarks = SavedImages.find(tmp_path, _task()).remarks
    assert any("JPEG or WebP has lost" in remark for remark in remarks) is lossy


def test_only_what_is_transparent_is_laid_on_white(tmp_path):
    for name, alpha in (("a", 255), ("b", 254)):
        picture = Image.fromarray(_levels(20, 22, 3))
        picture.putalpha(alpha)
        picture.save(tmp_path / f"{name}.png")
    (remark,) = SavedImages.find(tmp_path, _task()).remarks
    assert remark == f"{tmp_path}: b.png: transparent pixels are laid on white"


def test_very_large_files_are_refused_by_their_header(tmp_path, monkeypatch):
    for name in "ab":
        _write(tmp_path / f"{name}.png", _levels(20, 22, 3))
    monkeypatch.setenv("SREXP_MAX_MEGAPIXELS", "0.0001")
    with pytest.raises(DataError, match=r"a\.png: is 22x20, .*SREXP_MAX_MEGAPIXELS=1$"):
        SavedImages.find(tmp_path, _task())


def test_files_of_no_image_and_lossy_ones_are_remarked_on(tmp_path):
    for name in ("a", "c"):
        _write(tmp_path / f"{name}.png", _levels(20, 22, 3))
    Image.fromarray(_levels(20, 22, 3)).save(tmp_path / "b.jpg")
    first, second = SavedImages.find(tmp_path, _task()).remarks
    assert "pictures of no image of mine: c.png" in first
    assert "JPEG" in second and "b.jpg" in second


def test_a_name_with_folders_in_it_stays_in_its_folder(tmp_path):
    save_sr(tmp_path, "x/../../a.png", from_uint8(_levels(4, 4, 3)))
    assert [path.name for path in tmp_path.iterdir()] == ["x_.._.._a.png-3b65f5.png"]
