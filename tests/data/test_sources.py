"""Training, validation and benchmark images as the options load them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import numpy as np
import pytest
import skimage.data
from PIL import Image

from srexp.config.compose import compose
from srexp.config.settings import build_option
from srexp.data import sources
from srexp.data.sets import DataError, ImageSet
from srexp.data.sources import (
    Folder,
    FolderBenchmark,
    PairsBenchmark,
    Photographs,
    Photos,
    read_photos,
    words_for,
)
from srexp.images.io import list_images
from srexp.options import OptionError


def _fill(folder, names, size=(4, 4), first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        level = first + sum(map(ord, name)) % 200
        Image.fromarray(np.full((*size, 3), level, np.uint8)).save(folder / f"{name}.png")
    return folder


def _folder(train_dir, **changes):
    values = {
        "prepare": "native",
        "prepare_size": 16,
        "val_dir": None,
        "val_fraction": 0.1,
        "split_seed": 0,
        "expected_images": None,
    }
    train_dir = train_dir if isinstance(train_dir, list) else str(train_dir)
    return Folder(train_dir=train_dir, **(values | changes))


NAMES = [f"p{i:02}" for i in range(20)]


def _split(folder, **changes):
    train, val = _folder(folder, **changes).load()
    return list(train.images), list(val.images)


@pytest.mark.parametrize(("fraction", "count"), [(0.1, 2), (0.3, 6), (0.01, 1), (0.9, 18)])
def test_a_split_is_disjoint_and_complete(tmp_path, fraction, count):
    train, val = _split(_fill(tmp_path / "x", NAMES), val_fraction=fraction)
    assert len(val) == count
    assert sorted(train + val) == NAMES
    assert (sorted(train), sorted(val)) == (train, val)


def test_images_keep_their_names_in_a_split(tmp_path):
    train, val = _folder(_fill(tmp_path / "x", NAMES)).load()
    assert (train.name, val.name) == ("train", "val")
    for images in (train, val):
        for name, image in images.images.items():
            level = sum(map(ord, name)) % 200
            np.testing.assert_allclose(image * 255, level, atol=1e-4)


def test_a_split_is_decided_by_its_seed_alone(tmp_path):
    there = _fill(tmp_path / "there", NAMES)
    backwards = _fill(tmp_path / "elsewhere", NAMES[::-1])
    assert _split(there) == _split(there) == _split(backwards)
    splits = {tuple(_split(there, split_seed=seed)[1]) for seed in range(8)}
    assert len(splits) > 4


def test_of_two_pictures_one_is_for_validation(tmp_path):
    train, val = _split(_fill(tmp_path / "x", ["a", "b"]), val_fraction=0.9)
    assert len(train) == len(val) == 1


def test_one_picture_cannot_be_split(tmp_path):
    with pytest.raises(DataError, match="one picture cannot be split"):
        _folder(_fill(tmp_path / "x", ["a"])).load()


def test_one_picture_is_enough_beside_a_folder_for_validation(tmp_path):
    val_dir = _fill(tmp_path / "v", ["c", "b"])
    train, val = _split(_fill(tmp_path / "x", ["a"]), val_dir=str(val_dir))
    assert (train, val) == (["a"], ["b", "c"])


def test_several_folders_are_one_set(tmp_path):
    folders = [_fill(tmp_path / "x", NAMES[:3]), _fill(tmp_path / "y", NAMES[3:5])]
    train, val = _split([str(f) for f in folders], expected_images=5)
    assert sorted(train + val) == NAMES[:5]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", r"data\.train_dir: .*gone: no such folder"),
        ("empty", r"data\.train_dir: .*empty: no pictures in it"),
        ("x/a.png", r"data\.train_dir: .*a\.png: is a file"),
    ],
)
def test_a_train_dir_without_pictures_is_refused(tmp_path, name, message):
    _fill(tmp_path / "x", ["a"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message) as error:
        _folder(tmp_path / name).load()
    assert error.value.key == "train_dir"


def test_a_missing_val_dir_is_refused_under_its_own_key(tmp_path):
    with pytest.raises(DataError, match=r"data\.val_dir: .*gone: no such folder") as error:
        _folder(_fill(tmp_path / "x", ["a"]), val_dir=str(tmp_path / "gone")).load()
    assert error.value.key == "val_dir"


def test_a_wrong_count_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"2 pictures, but train has 91"):
        _folder(_fill(tmp_path / "x", ["a", "b"]), expected_images=91).load()


@pytest.mark.parametrize("train_dir", [None, [], 7])
def test_a_train_dir_must_be_named(train_dir):
    with pytest.raises(OptionError, match=r"train_dir=.*must name a folder"):
        Folder(
            train_dir=train_dir, val_dir=None, val_fraction=0.1, split_seed=0,
            expected_images=None, prepare="native", prepare_size=16,
        )  # fmt: skip


@pytest.mark.parametrize("fraction", [0, 0.95])
def test_a_fraction_that_leaves_nothing_is_refused(tmp_path, fraction):
    with pytest.raises(OptionError, match="val_fraction"):
        _folder(tmp_path, val_fraction=fraction)


def test_both_sets_are_prepared(tmp_path):
    train_dir, val_dir = (
        _fill(tmp_path / "x", ["a"], (20, 40)),
        _fill(tmp_path / "v", ["b"], (40, 20)),
    )
    train, val = _folder(
        train_dir, val_dir=str(val_dir), prepare="white_square", prepare_size=40
    ).load()
    a, b = train.images["a"], val.images["b"]
    assert a.shape == b.shape == (40, 40, 3)
    np.testing.assert_array_equal(a[[0, 9, 30, 39]], 1)
    np.testing.assert_allclose(a[10:30] * 255, ord("a"), atol=1e-4)
    np.testing.assert_array_equal(b[:, [0, 9, 30, 39]], 1)
    np.testing.assert_allclose(b[:, 10:30] * 255, ord("b"), atol=1e-4)


def test_photographs_are_those_of_scikit_image():
    images = read_photos("photos", ["chelsea", "astronaut"])
    assert list(images.images) == ["chelsea", "astronaut"]
    for name in images.images:
        pixels = getattr(skimage.data, name)()
        np.testing.assert_array_equal(images.images[name], pixels / np.float32(255))


def test_every_photograph_is_there_and_in_colour():
    images = read_photos("all", sources.PHOTOS).images
    assert len(images) == 9
    for image in images.values():
        assert min(image.shape[:2]) >= 300
        assert image.shape[2] == 3
        assert np.ptp(image[..., 0] - image[..., 2]) > 0.1  # not grey in disguise


def test_a_photograph_that_is_no_longer_shipped_is_named(monkeypatch):
    monkeypatch.setitem(sources.PHOTOS, "rocket", ("skimage", "data/no_such_file.jpg"))
    with pytest.raises(DataError, match="photograph rocket: skimage is not installed or no longer"):
        read_photos("train", ["chelsea", "rocket"])
    monkeypatch.setitem(sources.PHOTOS, "rocket", ("no_such_package_at_all", "x.jpg"))
    with pytest.raises(DataError, match="photograph rocket: no_such_package_at_all"):
        read_photos("train", ["rocket"])


def test_the_splits_that_ship_share_no_scene():
    config = compose("train")
    data = build_option("data", config["data"], "data")
    benchmark = build_option("benchmark", config["benchmark"]["photos"], "benchmark.photos")
    sets = [set(data.train), set(data.val), set(benchmark.photos)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == len(sources.PHOTOS)
    stereo = {"motorcycle_left", "motorcycle_right"}  # one scene, seen twice
    assert sum(bool(names & stereo) for names in sets) == 1


def test_photos_reads_the_named_ones():
    data = Photos(train=["coffee"], val=["chelsea"], prepare="center_crop", prepare_size=16)
    train, val = data.load()
    assert (list(train.images), list(val.images)) == (["coffee"], ["chelsea"])
    coffee = skimage.data.coffee()  # 400 x 600
    middle = coffee[192:208, 292:308] / np.float32(255)
    np.testing.assert_array_equal(train.images["coffee"], middle)


def test_unknown_and_missing_photographs_are_refused():
    with pytest.raises(OptionError, match="did you mean coffee"):
        Photos(train=["cofee"], val=["chelsea"], prepare="native", prepare_size=16)
    with pytest.raises(OptionError, match="at least one photograph"):
        Photos(train=["coffee"], val=[], prepare="native", prepare_size=16)


def test_a_benchmark_says_when_its_content_is_not_the_published_one(tmp_path):
    folder = _fill(tmp_path / "x", ["a", "b"])
    known = FolderBenchmark(dir=str(folder), expected_images=2, expected_digest=None).load("mine")
    assert (known.name, known.remarks) == ("mine", [])
    same = FolderBenchmark(dir=str(folder), expected_images=2, expected_digest=known.digest)
    assert same.load("mine").remarks == []
    _fill(folder, ["b"], first=1)
    (remark,) = same.load("mine").remarks
    assert "does not hold the published mine" in remark
    assert known.digest in remark


def test_a_benchmark_that_cannot_be_read_is_named(tmp_path):
    gone = FolderBenchmark(dir=str(tmp_path / "gone"), expected_images=5, expected_digest=None)
    with pytest.raises(DataError, match=r"benchmark\.set5\.dir: .*gone: no such folder"):
        gone.load("set5")
    with pytest.raises(OptionError, match="dir=null: must name a folder"):
        FolderBenchmark(dir=None, expected_images=None, expected_digest=None)


@pytest.mark.parametrize(("name", "count"), [("t91", 91), ("bsds200", 200)])
def test_the_counts_that_ship_are_those_of_the_sets(shared_data, name, count):
    config = compose("train", [f"data={name}", f"paths.data_dir={shared_data}"])
    data = build_option("data", config["data"], "data")
    assert data.train_dir == [str(shared_data / name)]
    assert data.expected_images == len(list_images(shared_data / name)) == count


def _pairs(tmp_path, hr, lr, size=(2, 2)):
    folders = _fill(tmp_path / "hr", hr), _fill(tmp_path / "lr", lr, size)
    return PairsBenchmark(hr_dir=str(folders[0]), lr_dir=str(folders[1]))


def test_pairs_are_matched_by_name(tmp_path):
    images = _pairs(tmp_path, ["b", "a_HR"], ["a_LR", "bx2"]).load("mine")
    assert list(images.images) == list(images.lr) == ["a_HR", "b"]
    for name, file in (("a_HR", "a_LR"), ("b", "bx2")):
        level = sum(map(ord, file)) % 200
        np.testing.assert_array_equal(images.lr[name], np.full((2, 2, 3), np.float32(level) / 255))
    assert images.images["b"].shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("hr", "lr", "message"),
    [
        (["a", "b", "c"], ["b"], r"^benchmark\.mine: lr_dir: no picture of a, c$"),
        (["a"], ["a", "b"], r"^benchmark\.mine: hr_dir: no picture for b\.png in lr_dir$"),
        (["a"], ["a", "a_x2"], r"^benchmark\.mine: lr_dir: several pictures of a "),
    ],
)
def test_pairs_that_do_not_match_are_named_with_their_folder(tmp_path, hr, lr, message):
    with pytest.raises(DataError, match=message):
        _pairs(tmp_path, hr, lr).load("mine")


def test_pairs_of_colour_and_grey_are_refused(tmp_path):
    pairs = _pairs(tmp_path, ["a"], ["b"])
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "lr" / "a.png")
    (tmp_path / "lr" / "b.png").unlink()
    with pytest.raises(DataError, match="a has 3 channels in hr_dir and 1 in lr_dir"):
        pairs.load("mine")


def test_pairs_need_both_folders(tmp_path):
    with pytest.raises(OptionError, match="lr_dir=null: must name a folder"):
        PairsBenchmark(hr_dir=str(tmp_path), lr_dir=None)
    with pytest.raises(DataError, match=r"benchmark\.mine: .*gone: no such folder"):
        PairsBenchmark(hr_dir=str(tmp_path / "gone"), lr_dir=str(tmp_path)).load("mine")


def _own(key="folder", name="folder", **values):
    return build_option("benchmark", {"name": name, **values}, f"benchmark.{key}").named(key)


def test_folders_of_ones_own_are_sets_named_as_they_are(tmp_path):
    for folder in ("A/HR", "B/HR", "v1.2", "my street"):
        _fill(tmp_path / folder, ["a.png"])
    dirs = [str(tmp_path / folder) for folder in ("A/HR", "B/HR", "v1.2", "my street")]
    sets = _own(dir=dirs)
    assert list(sets) == ["folder-A-HR", "folder-B-HR", "folder-v1.2", "folder-my street"]
    assert [option.dir for option in sets.values()] == dirs
    assert [option.load(name).name for name, option in sets.items()] == list(sets)
    assert list(_own(dir=dirs[0])) == ["folder-HR"]
    pairs = _own("pairs", "pairs", hr_dir=dirs[0], lr_dir=dirs[1])
    assert list(pairs) == ["pairs-HR"]


def test_a_set_of_ones_own_may_be_given_a_name():
    assert list(_own(dir="a", title="street")) == ["street"]
    assert list(_own(dir=["a", "b"], title=["street", "faces"])) == ["street", "faces"]
    assert list(_own("faces", dir="b")) == ["faces"]  # the key's
    assert list(_own("pairs", "pairs", hr_dir="a", lr_dir="b", title="mine")) == ["mine"]
    # What its name came to be is kept with its folder: a second reading gives the same.
    (found,) = _own(dir="a/b").values()
    assert found.named("elsewhere") == {"folder-b": found}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"dir": ["a", "./a"]}, "one folder, or one name, is given twice"),
        ({"dir": ["a", "b"], "title": ["x", "x"]}, "one folder, or one name, is given twice"),
        ({"dir": ["a", "b"], "title": "x"}, "title=x: 1 for 2 folders"),
        ({"dir": []}, r"dir=\[\]: must name a folder"),
        ({"dir": "a", "title": "x/y"}, "title=x/y: must be a name of at most 60 bytes"),
        ({"dir": "a", "title": "x" * 61}, "must be a name of at most 60 bytes"),
        ({"dir": "a", "title": ""}, "is empty"),
        ({"dir": "a", "title": "val"}, "title=val: is the name of another set"),
        ({"dir": "a", "title": "set5"}, "title=set5: is the name of another set"),
    ],
)
def test_names_that_cannot_be_are_refused(values, message):
    with pytest.raises(OptionError, match=message):
        _own(**values)


def test_a_name_in_place_of_the_kind_leads_to_the_title():
    for name, typed in (("street", "benchmark.folder.title=street"), ("my street", "'my street'")):
        with pytest.raises(OptionError) as caught:
            build_option("benchmark", {"name": name, "dir": "a"}, "benchmark.folder")
        assert f"to call the image set {name}: " in str(caught.value)
        (word,) = shlex.split(str(caught.value).split(f"{name}: ")[-1])
        assert word.endswith(typed)
        composed = compose("evaluate", ["benchmark=folder", "benchmark.folder.dir=a", word])
        assert composed["benchmark"]["folder"]["title"] == name


@pytest.mark.parametrize("name", ["set5", "photos", "street", "pairs-HR", "it's 2,3", "folder"])
def test_the_words_for_a_set_lead_to_it(name):
    words = shlex.split(words_for(name))
    nodes = compose("evaluate", words)["benchmark"]
    ((key, node),) = nodes.items()
    assert list(build_option("benchmark", node, f"benchmark.{key}").named(key)) == [name]


@dataclass(kw_only=True)
class WithLr(Photographs):
    """Somebody else's set that comes with LR images."""

    def _read(self):
        hr, lr = np.full((8, 8, 3), 0.4, np.float32), np.full((4, 4, 3), 0.2, np.float32)
        sets = [ImageSet(name, {"a": hr}, lr={"a": lr}) for name in ("train", "val")]
        return sets[0], sets[1]


def test_lr_that_comes_with_images_is_kept_or_refused():
    """Never lost on the way, so that nobody trains on LR of ours without a word."""
    for images in WithLr(prepare="native", prepare_size=16).load():
        assert np.allclose(images.lr["a"], 0.2)
        assert np.allclose(images.only("a").lr["a"], 0.2)
    with pytest.raises(
        DataError, match=r"^data.prepare=center_crop: train has LR images of its own"
    ):
        WithLr(prepare="center_crop", prepare_size=16).load()


def test_pictures_may_be_left_out_by_name(tmp_path):
    _fill(tmp_path, "abcd")
    train, val = _folder(tmp_path, exclude=["b"], expected_images=4).load()
    assert sorted([*train.images, *val.images]) == ["a", "c", "d"]
    with pytest.raises(DataError, match=r"data\.exclude=x: no picture of this name"):
        _folder(tmp_path, exclude=["a", "x"]).load()
    with pytest.raises(DataError, match="leaves no picture"):
        _folder(tmp_path, exclude=list("abcd")).load()


def test_validation_on_photographs_costs_no_training_picture(tmp_path):
    _fill(tmp_path, "abc")
    train, val = _folder(tmp_path, val_photos=["flower", "china"]).load()
    assert sorted(train.images) == ["a", "b", "c"]
    assert list(val.images) == ["flower", "china"] and val.name == "val"
    with pytest.raises(OptionError, match="val_photos says already"):
        _folder(tmp_path, val_photos=["flower"], val_dir="x")
    with pytest.raises(OptionError, match="must be one of"):
        _folder(tmp_path, val_photos=["nope"])


def test_the_290_images_are_those_without_the_one_of_set5(shared_data):
    config = compose("train", ["data=t91_bsds200", f"paths.data_dir={shared_data}"])
    train, val = build_option("data", config["data"], "data").load()
    assert len(train.images) == 290 and "302003" not in train.images
    assert len(val.images) == 5
    assert not set(config["benchmark"]["photos"]["photos"]) & set(val.images)
