"""Arrays in files: what comes out of them is what was made, and never something older."""

from __future__ import annotations

import json
import os
import sys
import threading
import types

import numpy as np
import pytest
from PIL import Image

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.data import cache
from srexp.data.cache import Cache, caching, in_memory, kept
from srexp.data.sets import DataError, read_folders
from srexp.degradations.base import Degradation
from srexp.images.quantize import unpack
from srexp.images.resize import Enlarged, enlarge
from srexp.training import materials


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return [random.random((3, n, 2), np.float32) for n in range(1, 6)]


@pytest.fixture
def all_of_it(tmp_path):
    """A cache that keeps whatever there is."""
    return Cache(tmp_path / "cache", limit=0)


def _kept(arrays, made, where, key="key", recheck=None):
    def make(array):
        made.append(array)
        return (array, np.arange(array.size, dtype=np.uint8)), {"size": array.size}

    with caching(where):
        return kept(key, "making", arrays, make, recheck)


def _same(found, arrays):
    assert len(found) == len(arrays)
    for ((first, second), known), array in zip(found, arrays, strict=True):
        assert first.tobytes() == array.tobytes() and first.shape == array.shape
        assert second.dtype == np.uint8 and (second == np.arange(array.size)).all()
        assert known == {"size": array.size}


def test_what_is_much_is_made_once_and_mapped(arrays, all_of_it):
    made: list = []
    for _ in range(2):
        found = _kept(arrays, made, all_of_it)
        _same(found, arrays)
        assert not any(in_memory(array) for each, _ in found for array in each)
    assert len(made) == len(arrays)
    _kept(arrays, made, all_of_it, key="another")
    assert len(made) == 2 * len(arrays)


def test_what_is_little_makes_no_file(arrays, tmp_path):
    found = _kept(arrays, [], Cache(tmp_path / "cache", limit=10**6))
    _same(found, arrays)
    assert all(in_memory(array) for each, _ in found for array in each)
    assert not (tmp_path / "cache").exists()
    _same(_kept(arrays, [], None), arrays)


@pytest.mark.parametrize("damage", ["cut", "no index", "half an index", "no arrays"])
def test_a_damaged_entry_is_made_again(arrays, all_of_it, damage):
    _kept(arrays, [], all_of_it)
    (index,) = all_of_it.folder.glob("*/index.json")
    (file,) = all_of_it.folder.glob("*/*.arrays")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "no arrays":
        file.unlink()
    elif damage == "no index":
        index.unlink()
    else:
        index.write_bytes(index.read_bytes()[:-30])
    made: list = []
    _same(_kept(arrays, made, all_of_it), arrays)
    assert len(made) == len(arrays)
    _same(_kept(arrays, made, all_of_it), arrays)
    assert len(made) == len(arrays)


def test_what_is_mapped_stays_readable_when_all_is_removed(arrays, all_of_it):
    found = _kept(arrays, [], all_of_it)
    ((_, what, size),) = cache.entries(all_of_it.folder)
    assert what == "making" and size > sum(array.nbytes for array in arrays)
    cache.remove(all_of_it.folder)
    assert not all_of_it.folder.exists()
    _same(found, arrays)


def test_two_at_a_time_make_it_once(arrays, all_of_it):
    made: list = []
    found: list = []
    both = threading.Barrier(2)

    def work():
        both.wait()
        found.append(_kept(arrays, made, all_of_it))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in found:
        _same(one, arrays)
    (file,) = all_of_it.folder.glob("*/*.arrays")
    assert json.loads((file.parent / "index.json").read_text())["file"] == file.name


def test_a_fault_while_making_leaves_nothing_that_is_believed(arrays, all_of_it):
    def make(array):
        if array.shape[1] == 4:
            raise DataError("d.png: is damaged")
        return (array,), {}

    with caching(all_of_it), pytest.raises(DataError, match="damaged"):
        kept("key", "making", arrays, make)
    assert not list(all_of_it.folder.glob("*/index.json"))
    assert not [f for f in all_of_it.folder.glob("*/*") if f.stat().st_size]
    _same(_kept(arrays, [], all_of_it), arrays)


def test_a_folder_that_cannot_be_written_is_one_line(arrays, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError) as caught:
        _kept(arrays, [], Cache(tmp_path / "file" / "cache", limit=0))
    said = str(caught.value)
    assert "not a directory" in said and "SREXP_CACHE_DIR" in said and "\n" not in said


def _pictures(folder, count=3):
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        levels = np.random.default_rng(seed).integers(0, 256, (24, 26 + seed, 3), np.uint8)
        Image.fromarray(levels).save(folder / f"{seed}.png")
    return folder


def test_a_picture_that_changed_is_read_anew(tmp_path, all_of_it):
    folder = _pictures(tmp_path / "pictures")

    def read():
        with caching(all_of_it):
            return read_folders("set", [folder])

    first = read()
    assert first.images.nbytes == 0
    # Another content of the same length and time: only the inode's time tells.
    path, other = folder / "1.png", np.full((24, 27, 3), 7, np.uint8)
    before = path.stat()
    Image.fromarray(other).save(path)
    content = path.read_bytes()
    path.write_bytes(content + b"\0" * (before.st_size - len(content)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = read()
    assert (unpack(second.images["1"]) == np.float32(7 / 255)).all()
    assert second.digest != first.digest
    # A time of its own alone: the content is looked at, and believed.
    os.utime(path)
    entries = {f: f.stat().st_mtime_ns for f in all_of_it.folder.glob("*/*.arrays")}
    assert read().digest == second.digest
    assert {f: f.stat().st_mtime_ns for f in all_of_it.folder.glob("*/*.arrays")} == entries
    Image.fromarray(other).save(folder / "3.png")
    assert len(read().images) == 4


@pytest.mark.parametrize(
    "overrides",
    [
        ("model=deconv", "model.depth=2"),
        ("model=srexp_tiny", "model.depth=2"),
        ("model=deconv", "model.depth=2", "degradation=web"),
        ("model=deconv", "model.depth=2", "protocol=y_paper", "color=y"),
    ],
)
def test_training_from_the_cache_is_bit_for_bit_that_from_memory(
    tmp_path, monkeypatch, all_of_it, overrides
):
    folder = _pictures(tmp_path / "pictures")
    _pictures(tmp_path / "val", 1)
    Image.fromarray(np.full((30, 31, 3), 9, np.uint8)).save(tmp_path / "val" / "0.png")
    experiment = experiment_of(
        compose(
            overrides=[
                "data=folder", f"data.train_dir={folder}", f"data.val_dir={tmp_path / 'val'}",
                "trainer.hr_patch_size=16", "benchmark=[]", "degradation.scale=2", *overrides,
            ]
        )
    )  # fmt: skip
    memory = materials.gather(experiment)
    monkeypatch.setattr(materials, "cache_of", lambda *_: all_of_it)
    for _ in range(2):
        mapped = materials.gather(experiment)
        assert mapped.digest == memory.digest
        assert sum(pair.nbytes for pair in mapped.sampler.pairs) <= 24 * 29 * 3 * 3
        for step in range(4):
            ours, theirs = mapped.sampler.batch(step), memory.sampler.batch(step)
            for a, b in zip(ours, theirs, strict=True):
                assert a.tobytes() == b.tobytes()
        for one, other in zip(mapped.validation, memory.validation, strict=True):
            for case, same in zip(one.cases, other.cases, strict=True):
                assert case.hr.tobytes() == same.hr.tobytes()
                assert case.lr.tobytes() == same.lr.tobytes()
                assert case.bicubic_score == same.bicubic_score


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_window_of_an_enlarged_image_is_that_of_the_whole(interpolation, scale):
    lr = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    whole = enlarge(unpack(lr), scale, interpolation, "matlab")
    enlarged = Enlarged(lr, scale, interpolation)
    assert enlarged.shape == whole.shape
    for top, bottom, left, right in [(0, 4, 0, 5), (3, 9, 2, 7), (0, 18, 0, 14), (5, 6, 13, 14)]:
        window = enlarged[top:bottom, left:right]
        assert window.tobytes() == whole[top:bottom, left:right].tobytes()


def test_an_edited_degradation_of_a_package_is_another_key(tmp_path, monkeypatch):
    def key(source):
        (tmp_path / "outside_it.py").write_text(source)
        module = types.ModuleType("outside_it")
        module.__file__ = str(tmp_path / "outside_it.py")
        monkeypatch.setitem(sys.modules, "outside_it", module)
        cache._theirs.cache_clear()
        kind = type("Mine", (Degradation,), {"__module__": "outside_it"})
        return cache.made_by(object.__new__(kind))

    assert key("a = 1") == key("a = 1")
    assert key("a = 1") != key("a = 2")


def test_a_metric_with_other_weights_is_another_key(monkeypatch):
    """The weights are a file, whose path says nothing of what is in it."""
    task = materials.gather(experiment_of(compose(overrides=["benchmark=[]", "metric=mae"])))
    (first, *_) = task.validation
    (mae,) = first.metrics.values()
    keys = []

    class Seen(Exception):
        pass

    def see(key, *_):
        keys.append(key)
        raise Seen

    monkeypatch.setattr("srexp.evaluation.scoring.kept", see)
    for weights in ("a [1]", "a [2]", "a [2]"):
        monkeypatch.setattr(type(mae), "weights", weights)
        vars(first).pop("cases", None)
        with pytest.raises(Seen):
            _ = first.cases
    assert keys[0] != keys[1] == keys[2]
