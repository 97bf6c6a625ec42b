"""Folders of pictures and digests of their content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srexp.data.sets import (
    DataError,
    Images,
    ImageSet,
    listed,
    pixels_digest,
    read_folders,
    unique_tails,
)


def _levels(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def _save(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(path)


def test_pictures_come_by_name_with_their_pixels(tmp_path):
    pictures = {name: _levels(4, 5, seed=i) for i, name in enumerate(["b", "c", "a"])}
    for name, levels in pictures.items():
        _save(tmp_path / f"{name}.png", levels)
    images = read_folders("val", [tmp_path])
    assert images.name == "val"
    assert list(images.images) == ["a", "b", "c"]
    for name, levels in pictures.items():
        np.testing.assert_array_equal(images.images[name], levels / np.float32(255))
    assert images.remarks == []


def test_folders_are_read_in_the_order_given(tmp_path):
    _save(tmp_path / "second" / "a.png", _levels(4, 4))
    _save(tmp_path / "first" / "z.png", _levels(4, 4))
    images = read_folders("train", [tmp_path / "first", tmp_path / "second"])
    assert list(images.images) == ["z", "a"]


def test_a_name_in_two_folders_keeps_both_pictures(tmp_path):
    one, two = _levels(4, 4, seed=1), _levels(4, 4, seed=2)
    _save(tmp_path / "x" / "a.png", one)
    _save(tmp_path / "x" / "b.png", one)
    _save(tmp_path / "y" / "a.png", two)
    images = read_folders("train", [tmp_path / "x", tmp_path / "y"]).images
    assert list(images) == ["x/a.png", "b", "y/a.png"]
    np.testing.assert_array_equal(images["x/a.png"], one / np.float32(255))
    np.testing.assert_array_equal(images["y/a.png"], two / np.float32(255))


def test_a_name_with_two_endings_keeps_both_pictures(tmp_path):
    one, two = _levels(4, 4, seed=1), _levels(4, 4, seed=2)
    _save(tmp_path / "x" / "a.png", one)
    _save(tmp_path / "x" / "a.bmp", two)
    images = read_folders("train", [tmp_path / "x"], expected=2).images
    assert sorted(images) == ["a.bmp", "a.png"]
    np.testing.assert_array_equal(images["a.bmp"], two / np.float32(255))


@pytest.mark.parametrize("place", ["here", "elsewhere/below"])
def test_folders_of_the_same_name_are_told_apart_wherever_they_lie(tmp_path, place):
    folders = [tmp_path / place / "A" / "HR", tmp_path / place / "B" / "HR"]
    for seed, folder in enumerate(folders):
        _save(folder / "a.png", _levels(4, 4, seed=seed))
        _save(folder / f"{seed}.png", _levels(4, 4, seed=2 + seed))
    names = ["0", "A/HR/a.png", "1", "B/HR/a.png"]
    assert list(read_folders("train", folders).images) == names


def test_no_two_files_have_one_name():
    paths = ["a.png", "x/a.png", "y/x/a.png", "z/a.png.png", "z/b.png", "b.bmp"]
    assert unique_tails([Path("/r") / path for path in paths]) == [
        "r/a.png", "r/x/a.png", "y/x/a.png", "a.png", "b.png", "b.bmp",
    ]  # fmt: skip


def test_names_are_composed_unicode_and_still_apart():
    composed, decomposed = "/x/caf\u00e9.png", "/x/cafe\u0301.png"
    assert unique_tails([Path(decomposed)]) == ["caf\u00e9"]
    names = unique_tails([Path(composed), Path(decomposed), Path("/x/b.png")])
    assert names == ["caf\u00e9.png (1)", "caf\u00e9.png (2)", "b"]


def test_a_folder_given_twice_is_refused(tmp_path):
    _save(tmp_path / "a" / "a.png", _levels(4, 4))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    for other in ("a", "a/../a", "link"):
        with pytest.raises(DataError, match="one folder, given twice"):
            read_folders("train", [tmp_path / "a", tmp_path / other])


def test_remarks_are_gathered_by_kind(tmp_path):
    for name in "abcdefg":
        levels = np.zeros((4, 4, 4), np.uint8)
        _save(tmp_path / f"{name}.png", levels)
    _save(tmp_path / "plain.png", _levels(2, 2))
    assert read_folders("train", [tmp_path]).remarks == [
        f"{tmp_path}: a.png, b.png, c.png, d.png, e.png and 2 more: transparent pixels are laid "
        "on white"
    ]


def _litter(folder):
    """One file that is read, and one or two of each kind that is not."""
    _save(folder / "a.png", _levels(4, 4))
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    for name in (
        ".DS_Store",
        "Thumbs.db",
        "._a.png",
        "b.heic",
        "c.HEIC",
        "d.gif",
        "README",
        "line\nbreak.txt",
    ):
        (folder / name).touch()
    _save(folder / "below" / "deeper" / "e.png", _levels(4, 4))
    (folder / "labels").mkdir()
    (folder / "labels" / "e.txt").touch()
    (folder / "linked.png").symlink_to(folder / "a.png")


def test_what_is_not_read_is_counted_and_named(tmp_path):
    _litter(tmp_path)
    images = read_folders("train", [tmp_path])
    assert list(images.images) == ["a", "linked"]
    assert images.remarks == [
        f"{tmp_path}: ._a.png: hidden, and not read",
        f"{tmp_path}: README, b.heic, c.HEIC, d.gif, 'line\\nbreak.txt': kinds that are not read "
        "(2 heic, 1 no ending, 1 gif, 1 txt)",
        f"{tmp_path}: below: pictures in folders below are not read",
        f"{tmp_path}: gone.png: links that lead nowhere",
    ]


def test_a_folder_without_pictures_says_what_is_there(tmp_path):
    _litter(tmp_path)
    (tmp_path / "linked.png").unlink()
    (tmp_path / "a.png").unlink()
    with pytest.raises(
        DataError, match=r"no pictures in it .*; gone\.png: links that lead nowhere"
    ):
        read_folders("val", [tmp_path])


@pytest.mark.parametrize("expected", [1, 3])
def test_a_wrong_count_is_refused(tmp_path, expected):
    for name in "ab":
        _save(tmp_path / f"{name}.png", _levels(2, 2))
    with pytest.raises(DataError, match=rf"{tmp_path}: 2 pictures, but set5 has {expected}"):
        read_folders("set5", [tmp_path], expected=expected)
    assert len(read_folders("set5", [tmp_path], expected=2).images) == 2


def test_the_count_is_of_all_folders_together(tmp_path):
    for folder in "xy":
        _save(tmp_path / folder / f"{folder}.png", _levels(2, 2))
    folders = [tmp_path / "x", tmp_path / "y"]
    assert len(read_folders("train", folders, expected=2).images) == 2
    with pytest.raises(DataError, match=r"x and .*y: 2 pictures, but train has 1"):
        read_folders("train", folders, expected=1)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone: no such folder"):
        read_folders("val", [tmp_path / "gone"])


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no pictures in it \(looked for bmp jpeg jpg png"):
        read_folders("val", [tmp_path])


def test_one_empty_folder_of_two_is_refused(tmp_path):
    _save(tmp_path / "full" / "a.png", _levels(2, 2))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no pictures in it"):
        read_folders("val", [tmp_path / "full", tmp_path / "empty"])


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    _save(tmp_path / "a.png", _levels(2, 2))
    with pytest.raises(DataError, match=r"a\.png: is a file; a folder"):
        read_folders("val", [tmp_path / "a.png"])


def test_an_unreadable_file_is_named(tmp_path):
    _save(tmp_path / "a.png", _levels(2, 2))
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(DataError, match=r"b\.png: not a picture"):
        read_folders("val", [tmp_path])


@pytest.mark.parametrize("channels", [1, 3])
def test_the_digest_is_of_the_pixels_and_not_of_the_file(tmp_path, channels):
    levels = _levels(6, 7, channels)
    for ending in ("png", "bmp", "tif"):
        _save(tmp_path / ending / f"{ending}.{ending}", levels)
    digests = {read_folders("a", [tmp_path / e]).digest for e in ("png", "bmp", "tif")}
    assert len(digests) == 1
    levels[3, 4, 0] ^= 1  # one level in one pixel
    _save(tmp_path / "other" / "png.png", levels)
    assert read_folders("a", [tmp_path / "other"]).digest not in digests


def test_the_digest_knows_the_shape():
    image = np.zeros((4, 6, 1), np.float32)
    others = [image.reshape(6, 4, 1), image.reshape(4, 2, 3), image.reshape(2, 12, 1)]
    assert len({pixels_digest(x) for x in [image, *others]}) == 4


def test_the_digest_tells_8_bits_from_16():
    image = np.full((2, 2, 1), np.float32(0.5))
    eight = np.full((2, 2, 1), np.float32(128) / np.float32(255))
    assert pixels_digest(image) != pixels_digest(eight)


def test_names_and_order_do_not_enter_a_sets_digest():
    a, b = (_levels(3, 3, seed=i) / np.float32(255) for i in range(2))
    digest = ImageSet("one", {"a": a, "b": b}).digest
    assert ImageSet("two", {"x": b, "y": a}).digest == digest
    assert ImageSet("one", {"a": a}).digest != digest
    assert ImageSet("one", {"a": a, "b": a}).digest != digest


def test_each_images_digest_stands_under_its_name():
    a, b = (_levels(3, 3, seed=i) / np.float32(255) for i in range(2))
    digests = ImageSet("s", {"a": a, "b": b, "again": a}).pixel_digests
    assert digests["a"] == digests["again"] == pixels_digest(a)
    assert digests["b"] == pixels_digest(b) != digests["a"]


def test_images_are_kept_in_8_bits_where_that_loses_nothing():
    stored, fine = _levels(5, 6) / np.float32(255), np.full((5, 6, 1), np.float32(0.5001))
    images = Images({"stored": stored, "fine": fine})
    np.testing.assert_array_equal(images["stored"], stored)
    np.testing.assert_array_equal(images["fine"], fine)
    assert all(image.dtype == np.float32 for image in images.values())
    assert images.nbytes == 5 * 6 * 3 + 5 * 6 * 4
    assert images.shapes == {"stored": (5, 6, 3), "fine": (5, 6, 1)}
    assert list(images.only(["fine"])) == ["fine"]


def test_files_are_read_one_at_a_time(tmp_path, monkeypatch):
    """In floats a folder of large pictures would take four times its size."""
    for name in "abc":
        _save(tmp_path / f"{name}.png", _levels(4, 4))
    order = []
    monkeypatch.setattr("srexp.data.cache._AT_ONCE", 1)  # as many as there are cores, at most 8
    monkeypatch.setattr("srexp.data.sets.pack", lambda image: order.append("packed") or image)
    real = read_folders.__globals__["read_image"]
    monkeypatch.setattr(
        "srexp.data.sets.read_image", lambda path: order.append(path.stem) or real(path)
    )
    read_folders("val", [tmp_path])
    assert order == ["a", "packed", "b", "packed", "c", "packed"]


def test_long_lists_are_cut():
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
