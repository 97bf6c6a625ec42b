"""The known sets, and that they are what the configuration and the shared images say."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from srexp.config.compose import compose, conf_dir
from srexp.data.inspection import inspect
from srexp.data.known import known_set, known_sets
from srexp.data.sets import pixels_digest, read_folders
from srexp.images.io import read_image
from srexp.options import OptionError


def test_every_known_set_has_its_option_with_the_same_count() -> None:
    for known in known_sets().values():
        group = "benchmark" if known.use == "benchmark" else "data"
        values = compose("train", [f"{group}={known.name}", "paths.data_dir=/sets"])[group]
        if group == "benchmark":
            (values,) = values.values()
        assert values["expected_images"] == known.images
        assert values.get("dir", values.get("train_dir")) == f"/sets/{known.name}"


def test_every_benchmark_option_is_a_known_set() -> None:
    names = {path.stem for path in (conf_dir() / "benchmark").glob("*.yaml")}
    known = {name for name, known in known_sets().items() if known.use == "benchmark"}
    assert names - {"folder", "pairs", "photos"} == known


def test_every_set_says_how_to_get_it() -> None:
    for known in known_sets().values():
        assert known.address or known.apply
        assert known.terms and known.source
        # A folder's files must be known by name; an archive's must be told from others in it.
        assert known.pick or known.address is None or known.address.endswith("/")
        if known.address and known.address.endswith("/"):
            assert len(known.published) == known.images


def test_names_and_contents_are_told_apart() -> None:
    for known in known_sets().values():
        names = [image.name for image in known.published]
        assert len(set(names)) == len(names)
        assert all(len(image.sha256) == 64 for image in known.published)
        assert all(image.pixels is None or len(image.pixels) == 64 for image in known.published)


@pytest.mark.parametrize("name", ["t91", "set5", "set14", "bsds200"])
def test_the_checksums_are_those_of_the_shared_images(shared_data: Path, name: str) -> None:
    known = known_sets()[name]
    (inspected,) = inspect([shared_data / name], shared_data)
    assert "all" in inspected.notes[0].text or inspected.notes == []
    for picture in inspected.pictures:
        same = known.recognise(picture.sha256, picture.pixels)
        assert picture.path.stem in {Path(image.name).stem for image in same}


@pytest.mark.parametrize("name", ["t91", "set5", "set14"])
def test_the_checksums_are_those_of_the_public_repository(shared_data: Path, name: str) -> None:
    """The list of the originals' digests was made from a checkout of the repository."""
    lines = (shared_data / "originals.sha256").read_text().splitlines()
    originals = {path: digest for digest, path in (line.split() for line in lines)}
    known = known_sets()[name]
    assert known.address is not None
    folder = known.address.split("/master/")[1]
    assert {folder + i.at: i.sha256 for i in known.published}.items() <= originals.items()


@pytest.mark.parametrize("name", ["set5", "set14"])
def test_the_pixels_are_those_of_the_published_benchmark(shared_data: Path, name: str) -> None:
    """Two ways to say the same: image by image, and the digest of the whole in conf/."""
    node = OmegaConf.load(conf_dir() / "benchmark" / f"{name}.yaml")[name]
    images = read_folders(name, [shared_data / name])
    assert images.digest == node.expected_digest
    pixels = {image.pixels for image in known_sets()[name].published}
    assert pixels == set(images.pixel_digests.values())


def test_one_pixel_makes_another_image(shared_data: Path) -> None:
    image = read_image(shared_data / "set5" / "baby.png")[0]
    known = known_set("set5")
    assert [i.name for i in known.recognise("", pixels_digest(image))] == ["baby.bmp"]
    image[3, 4, 1] += 1 / 255
    assert known.recognise("", pixels_digest(image)) == []


def test_a_name_with_a_typo_names_the_nearest() -> None:
    for typed, meant in (
        ("sett5", "set5"),
        ("Urban_100", "urban100"),
        ("div2k_valid", "div2k_val"),
    ):
        with pytest.raises(OptionError, match=f"{typed}: no image set.*did you mean {meant}\\?"):
            known_set(typed)
