"""HR images that were cropped for each scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srexp.data.per_scale import load_for_scale
from srexp.data.sets import DataError
from srexp.data.sources import FolderBenchmark, PhotosBenchmark


def _picture(path: Path, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(width).integers(0, 255, (20, width, 3)).astype(np.uint8)
    Image.fromarray(levels).save(path)


def _benchmark(folder: Path, **changes) -> FolderBenchmark:
    return FolderBenchmark(
        **{"dir": str(folder), "expected_images": None, "expected_digest": None, **changes}
    )


def _widths(images) -> list[int]:
    return [image.shape[1] for image in images.images.values()]


@pytest.mark.parametrize("name", ["x{}", "X{}", "{}", "image_SRF_{}"])
def test_each_scale_has_its_folder(name: str, tmp_path: Path) -> None:
    for scale in (2, 3, 4):
        _picture(tmp_path / name.format(scale) / "a.png", 20 + scale)
    _picture(tmp_path / "x32" / "a.png", 40)
    for scale in (2, 3, 4):
        assert _widths(load_for_scale(_benchmark(tmp_path), "mine", scale)) == [20 + scale]


def test_a_folder_with_pictures_serves_every_scale(tmp_path: Path) -> None:
    _picture(tmp_path / "a.png", 30)
    _picture(tmp_path / "x2" / "a.png", 22)
    for scale in (2, 3):
        assert _widths(load_for_scale(_benchmark(tmp_path), "mine", scale)) == [30]


def test_hr_is_read_among_lr(tmp_path: Path) -> None:
    for index in (1, 2):
        _picture(tmp_path / "image_SRF_3" / f"img_00{index}_SRF_3_HR.png", 30 + index)
        _picture(tmp_path / "image_SRF_3" / f"img_00{index}_SRF_3_LR.png", 10)
        _picture(tmp_path / "image_SRF_3" / f"img_00{index}_SRF_3_bicubic.png", 30)
    images = load_for_scale(_benchmark(tmp_path, expected_images=2), "mine", 3)
    assert _widths(images) == [31, 32]
    with pytest.raises(DataError, match="2 HR pictures, but mine has 3"):
        load_for_scale(_benchmark(tmp_path, expected_images=3), "mine", 3)


def test_the_published_digest_is_of_uncropped_images(tmp_path: Path) -> None:
    _picture(tmp_path / "whole" / "a.png", 30)
    _picture(tmp_path / "cropped" / "x3" / "a.png", 30)
    whole, cropped = (
        load_for_scale(_benchmark(tmp_path / name, expected_digest="0" * 16), "mine", 3)
        for name in ("whole", "cropped")
    )
    assert "does not hold the published mine" in whole.remarks[0]
    assert cropped.remarks == []


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    _picture(tmp_path / "x2" / "a.png", 30)
    with pytest.raises(
        DataError, match="holds no pictures itself, and no folder x3 or image_SRF_3"
    ):
        load_for_scale(_benchmark(tmp_path), "mine", 3)
    _picture(tmp_path / "image_SRF_2" / "a.png", 30)
    with pytest.raises(DataError, match="both image_SRF_2 and x2 for scale 2"):
        load_for_scale(_benchmark(tmp_path), "mine", 2)
    with pytest.raises(DataError, match="no such folder"):
        load_for_scale(_benchmark(tmp_path / "nowhere"), "mine", 2)
    with pytest.raises(DataError, match="1 picture, but mine has 7"):
        load_for_scale(_benchmark(tmp_path / "x2", expected_images=7), "mine", 2)


def test_other_benchmarks_are_as_they_are() -> None:
    images = load_for_scale(PhotosBenchmark(photos=["coffee"]), "photos", 3)
    assert list(images.images) == ["coffee"]
