"""Files that belong to HR images by name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from srexp.data.names import match_names, one_each
from srexp.data.sets import DataError
from srexp.files import file_name


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("baby", "baby.png"),
        ("baby", "baby_x2.png"),
        ("baby", "baby_x4_SwinIR.png"),
        ("baby", "babyx2.png"),
        ("0801", "0801x4.png"),
        ("baby", "Baby-out.BMP"),
        ("baby_HR", "baby_LR.png"),
        ("img_001_SRF_2_HR", "img_001_SRF_2_LR.png"),
        ("baby_GT", "baby.png"),
        ("folder/baby.png", "baby (1).png"),
        ("img.v1", "img.v1.png"),
        ("img.v1", "img.v1_x2.png"),
        ("a,b", "a,b.png"),
    ],
)
def test_a_file_belongs_to_the_image_whose_name_it_begins_with(name, file):
    assert one_each(match_names([name, "other"], [Path(file), Path("other.png")]), "here") == {
        name: Path(file), "other": Path("other.png"),
    }  # fmt: skip


def test_the_longest_name_wins():
    files = [Path(f"{stem}_SwinIR.png") for stem in ("img_1", "img_1_b", "img_10")]
    assert one_each(match_names(["img_1", "img_1_b", "img_10"], files), "here") == {
        "img_1": files[0], "img_1_b": files[1], "img_10": files[2],
    }  # fmt: skip


def test_a_name_that_merely_begins_alike_belongs_to_nobody():
    found = match_names(["1", "baby"], [Path("10.png"), Path("babyface.png"), Path("1.png")])
    assert found == {"1": [Path("1.png")], "baby": [], "": [Path("10.png"), Path("babyface.png")]}


def test_missing_and_several_are_named():
    found = match_names(list("abcdefg"), [Path("g.png")])
    with pytest.raises(DataError, match=r"^here: no picture of a, b, c, d, e and 1 more$"):
        one_each(found, "here")
    found = match_names(["a"], [Path("a.png"), Path("a_x2.png")])
    message = r"^here: several pictures of a \(a.png, a_x2.png\); one is wanted$"
    with pytest.raises(DataError, match=message):
        one_each(found, "here")


def test_a_file_that_may_be_of_two_hr_images_is_refused():
    with pytest.raises(DataError, match=r"^a_x2\.png: of a\.bmp or a\.png\? these HR images"):
        match_names(["a.bmp", "a.png"], [Path("a_x2.png")])


def test_files_under_the_names_that_we_give_are_found_again():
    names = [
        "x:y",
        "x_y",
        "a.bmp",
        "a.png",
        "A/HR/1.png",
        "B/HR/1.png",
        "n" * 250,
        "n" * 251,
        "Q",
        "q",
    ]
    files = [Path(f"{file_name(name)}.png") for name in names]
    assert len(set(files)) == len(names)
    assert one_each(match_names(names, files), "here") == dict(zip(names, files, strict=True))


@pytest.mark.parametrize("forms", ["CD", "DC"])
def test_accents_are_matched_however_they_are_encoded(forms):
    hr, sr = (unicodedata.normalize(f"NF{form}", "caf\u00e9 \uac00") for form in forms)
    for suffix in ("", "_x2"):
        file = Path(f"{sr}{suffix}.png")
        assert match_names([hr], [file])[hr] == [file]
