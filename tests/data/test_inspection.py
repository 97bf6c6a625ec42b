"""What `srexp data check` finds, and what it does not."""

from __future__ import annotations

import io
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srexp.data.inspection import Finding, Inspected, inspect
from srexp.data.sets import DataError
from srexp.data.sources import read_photos
from srexp.images.io import read_image

PHOTOS = read_photos("photos", ["astronaut", "chelsea", "coffee", "flower", "motorcycle_left"])


def photo(name: str) -> Image.Image:
    """At half its size, to save time."""
    return Image.fromarray((PHOTOS.images[name] * 255 + 0.5).astype(np.uint8)).reduce(2)


def folder_with(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        photo(name).save(folder / f"{name}.png")
    return folder


def one(folder: Path, data_dir: Path | None = None) -> Inspected:
    (inspected,) = inspect([folder], data_dir or folder.parent / "sets")
    return inspected


def what(findings: list[Finding]) -> list[tuple[str, list[str]]]:
    return [(finding.what, finding.files) for finding in findings]


def test_a_sound_folder_is_counted(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "mine", "chelsea", "coffee")
    photo("flower").convert("L").save(folder / "grey.jpg")
    Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(folder / "deep.png")
    photo("flower").resize((16, 12)).quantize(16).save(folder / "palette.png")
    photo("astronaut").resize((16, 12)).convert("1").save(folder / "bits.png")
    (folder / "notes.txt").write_text("not counted")
    summary = one(folder).summary()
    assert summary["images"] == 6 and summary["faults"] == []
    assert [(n["text"], n["files"]) for n in summary["notes"]] == [
        ("kinds that are not read (1 txt)", ["notes.txt"])
    ]
    assert summary["width"] == [16, 320] and summary["height"] == [12, 214]
    assert summary["format"] == {"PNG": 5, "JPEG": 1}
    assert summary["mode"] == {"RGB": 2, "L": 1, "I;16": 1, "P": 1, "1": 1}
    assert summary["bits"]["16"] == 1 and summary["bits"]["1"] == 1
    assert summary["bytes"] == sum(p.stat().st_size for p in folder.iterdir() if p.suffix != ".txt")
    pixels = 226 * 150 + 300 * 200 + 320 * 214 + 600 + 2 * 16 * 12
    assert summary["megapixels"] == pytest.approx(pixels / 1e6, abs=1e-3)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "mine", "chelsea", "coffee")
    whole = (folder / "coffee.png").read_bytes()
    (folder / "coffee.png").write_bytes(whole[: len(whole) // 2])
    jpeg = io.BytesIO()
    photo("flower").save(jpeg, "JPEG")
    (folder / "cut.jpg").write_bytes(jpeg.getvalue()[:-2000])
    (folder / "text.png").write_text("version https://git-lfs.github.com/spec/v1")
    inspected = one(folder)
    found = {Path(name).name for f in inspected.faults for name in f.files}
    assert found == {"coffee.png", "cut.jpg", "text.png"}
    assert {finding.what for finding in inspected.faults} == {"unreadable"}
    assert len(inspected.pictures) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "mine", "chelsea", "coffee")
    (folder / "coffee.png").chmod(0)
    assert "permission denied" in one(folder).faults[0].text


def test_the_same_pixels_twice_are_wrong_whatever_the_format(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "mine", "chelsea", "coffee", "flower")
    photo("coffee").save(folder / "a.bmp")
    photo("coffee").save(folder / "b.webp", lossless=True)
    assert what(one(folder).faults) == [("duplicate", ["a.bmp", "b.webp", "coffee.png"])]


def test_an_empty_folder_is_wrong_and_folders_below_are_mentioned(tmp_path: Path) -> None:
    folder_with(tmp_path / "mine" / "HR", "chelsea")
    inspected = one(tmp_path / "mine")
    assert what(inspected.faults) == [("count", [])]
    assert what(inspected.notes) == [("remark", ["HR"])]


def test_a_folder_that_is_none_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="gone: no such folder"):
        one(tmp_path / "gone")
    with pytest.raises(DataError, match="file: is a file"):
        one(tmp_path / "file")


def test_few_pictures_are_read_at_once_and_large_ones_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    sides = [10, 10, 10, 10, 10, 10, 30, 30, 40, 10, 10, 30, 10, 10, 10, 10]
    for index, side in enumerate(sides):
        Image.new("L", (side, side), index).save(folder / f"{index:02}.png")
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("srexp.data.inspection._LARGE", 800)
    changing, reading, seen = threading.Lock(), [], []

    def slowly(path: Path) -> tuple[np.ndarray, str | None]:
        side = sides[int(path.stem)]
        with changing:
            reading.append(side)
            seen.append(sorted(reading))
        time.sleep(0.02)
        with changing:
            reading.remove(side)
        return read_image(path)

    monkeypatch.setattr("srexp.data.inspection.read_image", slowly)
    told: list[tuple[int, int]] = []
    (inspected,) = inspect([folder], tmp_path, progress=lambda *now: told.append(now))
    assert len(inspected.pictures) == 16 and told == [(done, 16) for done in range(1, 17)]
    assert max(sum(side == 10 for side in at_once) for at_once in seen) == 4
    assert max(sum(side > 10 for side in at_once) for at_once in seen) == 1


def test_training_images_in_a_test_folder_are_found_by_pixels(tmp_path: Path) -> None:
    train = folder_with(tmp_path / "train", "chelsea", "coffee")
    test = folder_with(tmp_path / "test", "flower", "astronaut")
    first, second = inspect([train, test], tmp_path / "sets")
    assert first.faults == second.faults == []
    photo("coffee").save(test / "renamed.bmp")
    first, second = inspect([train, test], tmp_path / "sets")
    assert what(first.faults) == [("overlap", ["coffee.png"])] and str(test) in first.faults[0].text


def jpeg(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=60)
    return Image.open(content)


ALTERED = {
    "jpeg": jpeg,
    "cut": lambda image: image.crop((0, 0, image.width - 3, image.height - 3)),
    "half": lambda image: image.resize((image.width // 2, image.height // 2)),
    "grey": lambda image: image.convert("L"),
}


@pytest.mark.parametrize("how", ALTERED)
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_the_same_picture_with_other_pixels_is_found(tmp_path: Path, how: str, name: str) -> None:
    train = folder_with(tmp_path / "train", "flower", "motorcycle_left")
    ALTERED[how](photo(name)).save(train / "altered.png")
    test = folder_with(tmp_path / "test", "chelsea", "coffee", "astronaut")
    first, _ = inspect([train, test], tmp_path / "sets")
    assert what(first.faults) == [("alike", ["altered.png"])]
    assert f"looks the same as {test}/{name}.png" in first.faults[0].text


def test_flat_pictures_do_not_look_alike(tmp_path: Path) -> None:
    for folder, level in (("a", 100), ("b", 101)):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / folder / "flat.png")
    first, _ = inspect([tmp_path / "a", tmp_path / "b"], tmp_path / "sets")
    assert first.faults == []


def test_pictures_in_fog_do_not_look_alike(tmp_path: Path) -> None:
    for folder, seed in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        shapes = np.random.default_rng(seed).integers(116, 140, (12, 12, 3), np.uint8)
        Image.fromarray(shapes).resize((96, 96)).save(tmp_path / folder / "fog.png")
    first, second = inspect([tmp_path / "a", tmp_path / "b"], tmp_path / "sets")
    levels = first.pictures[0].thumbnail - second.pictures[0].thumbnail
    assert np.abs(levels).mean() < 6
    assert first.faults == []


def test_known_benchmarks_that_are_here_are_looked_at(shared_data: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    Image.open(shared_data / "set5" / "bird.png").save(mine / "a.bmp")
    jpeg(Image.open(shared_data / "set14" / "zebra.png")).save(mine / "b.png")
    inspected = one(mine, shared_data)
    assert what(inspected.faults) == [("overlap", ["a.bmp"]), ("alike", ["b.png"])]
    assert "set5" in inspected.faults[0].text and "set14/zebra.png" in inspected.faults[1].text


def test_what_is_wrong_with_the_published_sets(shared_data: Path) -> None:
    """T91 has an image twice, BSDS200 the photograph that is Set5's woman."""
    t91, bsds200 = inspect([shared_data / "t91", shared_data / "bsds200"], shared_data)
    assert t91.faults == []
    assert ("duplicate", ["t36.png", "t65.png"]) in what(t91.notes)
    assert what(bsds200.faults) == [("alike", ["302003.jpg"])]
    assert "set5/woman.png" in bsds200.faults[0].text
    # Of 91 * 200 + 291 * 19 pairs no other one looks alike; two benchmarks may share a face.
    set5, set14 = inspect([shared_data / "set5", shared_data / "set14"], shared_data)
    assert set5.faults == set14.faults == []
    assert ("alike", ["head.png"]) in what(set5.notes)


def test_a_known_set_that_was_altered_is_told(shared_data: Path, tmp_path: Path) -> None:
    (tmp_path / "set5").mkdir()
    for path in (shared_data / "set5").iterdir():
        (tmp_path / "set5" / path.name).write_bytes(path.read_bytes())
    assert one(tmp_path / "set5", tmp_path).faults == []
    baby = np.asarray(Image.open(tmp_path / "set5" / "baby.png")).copy()
    baby[7, 8, 2] ^= 1
    Image.fromarray(baby).save(tmp_path / "set5" / "baby.png")
    expected = [("content", ["baby.png"]), ("content", ["baby.bmp"])]
    assert what(one(tmp_path / "set5", tmp_path).faults) == expected
    (tmp_path / "set5" / "baby.png").unlink()
    assert what(one(tmp_path / "set5", tmp_path).faults)[0] == ("count", [])


def test_a_known_set_without_checksums_says_so(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "urban100", "chelsea")
    inspected = one(folder, tmp_path)
    assert what(inspected.faults) == [("count", [])]
    assert "its content was not compared" in inspected.notes[0].text


def test_what_lies_there_and_is_not_read_or_not_used_is_noted(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "mine", "chelsea", "coffee")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "a.heic").touch()
    (folder / "chelsea.png").rename(folder / "chelsea.jpg")
    photo("flower").resize((40, 90)).save(folder / "small.png", "JPEG")
    (inspected,) = inspect([folder], tmp_path / "data", patch=48)
    assert not inspected.faults
    assert {(note.text, *note.files) for note in inspected.notes} == {
        ("named jpg, and PNG inside", "chelsea.jpg"),
        ("named png, and JPEG inside, compressed with loss", "small.png"),
        ("links that lead nowhere", "gone.png"),
        ("kinds that are not read (1 heic)", "a.heic"),
        ("smaller than a training patch of 48 pixels (trainer.hr_patch_size)", "small.png"),
    }
