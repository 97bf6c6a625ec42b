"""Checkpoints: what goes in comes out, and nothing damaged is taken for whole."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srexp.training import checkpoint
from srexp.training.checkpoint import CheckpointError

ARRAYS = {
    "model/0000": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "model/0001": np.array(5, np.int64),
    "optimizer/0000": np.array([1.5, -2.0, np.inf, np.nan], np.float32),
}
META = {"run": "r", "progress": {"step": 12, "best_score": 31.25}, "ema": False}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "step-0000012.npz"


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "float32",
        "float64",
        "int8",
        "uint8",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "bool",
    ],
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 4), (3, 3, 2, 5)])
def test_every_type_and_shape_comes_back(path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    array = (random.random(shape) * 200 - 50).astype(dtype)
    checkpoint.save(path, {"a/0": array}, {})
    (loaded,) = checkpoint.load(path)[0].values()
    assert loaded.dtype == array.dtype
    assert loaded.shape == array.shape
    assert loaded.tobytes() == array.tobytes()


def test_special_numbers_and_other_layouts_come_back(path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38], np.float32)
    turned = np.arange(12.0).reshape(3, 4).T  # Fortran order
    strided = np.arange(20, dtype=np.int32)[::3]
    big_endian = np.arange(4, dtype=">f4")
    given = {"odd": odd, "turned": turned, "strided": strided, "big": big_endian}
    checkpoint.save(path, given, {})
    loaded, _ = checkpoint.load(path)
    assert set(loaded) == set(given)
    for name, array in given.items():
        np.testing.assert_array_equal(loaded[name], array)
    assert np.signbit(loaded["odd"][3])


def test_plain_data_comes_back(path: Path) -> None:
    meta = {
        "step": 3, "psnr": 31.123456789012345, "never": -np.inf, "text": "naïve é ✓",
        "nothing": None, "yes": True, "deep": {"list": [1, "two", 3.0]},
    }  # fmt: skip
    checkpoint.save(path, ARRAYS, meta)
    loaded = checkpoint.load(path)[1]
    assert {key: loaded[key] for key in meta} == meta


def test_nothing_but_numbers_is_in_the_file(path: Path) -> None:
    """No pickle: each member is an array that NumPy reads with allow_pickle=False."""
    checkpoint.save(path, ARRAYS, META)
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        for name in file.namelist():
            np.lib.format.read_array(io.BytesIO(file.read(name)), allow_pickle=False)


def whole(loaded: tuple[dict[str, np.ndarray], dict[str, Any]]) -> bool:
    arrays, meta = loaded
    return (
        set(arrays) == set(ARRAYS)
        and all(arrays[n].dtype == ARRAYS[n].dtype for n in ARRAYS)
        and all(arrays[n].tobytes() == ARRAYS[n].tobytes() for n in ARRAYS)
        and {key: meta[key] for key in META} == META
    )


def load_damaged(path: Path, content: bytes) -> bool:
    """Whether it was refused; it must be, or be the whole of what was saved (a date changed)."""
    path.write_bytes(content)
    message = ""
    try:
        loaded = checkpoint.load(path)
    except CheckpointError as error:
        message = str(error)
    if message:
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        return True
    assert whole(loaded)
    return False


def damage(path: Path, flips: Iterable[tuple[int, int]]) -> list[bool]:
    """Whether each was refused; a flip is a position and the bits to turn there."""
    checkpoint.save(path, ARRAYS, META)
    content = path.read_bytes()
    refused = []
    for position, bits in flips:
        damaged = bytearray(content)
        damaged[position] ^= bits
        refused.append(load_damaged(path, bytes(damaged)))
    return refused


def positions_of(content: bytes, mark: bytes, offset: int, length: int) -> list[int]:
    found, at = [], content.find(mark)
    while at >= 0:
        found += range(at + offset, at + offset + length)
        at = content.find(mark, at + 1)
    return found


def test_a_flipped_byte_is_never_taken_for_whole(path: Path) -> None:
    checkpoint.save(path, ARRAYS, META)
    size = len(path.read_bytes())
    refused = damage(path, [(at, (0x01, 0x80, 0xFF)[at % 3]) for at in range(0, size, 5)])
    assert sum(refused) > len(refused) / 2


def test_a_flipped_byte_of_an_array_is_always_refused(path: Path) -> None:
    checkpoint.save(path, ARRAYS, META)
    content = path.read_bytes()
    for array in ARRAYS.values():
        start = content.index(array.tobytes())
        assert all(damage(path, [(at, 0x01) for at in range(start, start + array.nbytes, 2)]))


@pytest.mark.parametrize(
    ("mark", "offset", "length"),
    [
        pytest.param(b"PK\x01\x02", 6, 2),  # version needed
        pytest.param(b"PK\x01\x02", 8, 2),  # encrypted, patched
        pytest.param(b"PK\x01\x02", 10, 2),  # compression
        (b"PK\x01\x02", 16, 12),  # checksum and sizes
        (b"PK\x01\x02", 28, 6),  # lengths of names
        (b"PK\x01\x02", 42, 6),  # where the member lies, its name
        (b"PK\x03\x04", 6, 4),  # flags and method, as the member itself says them
        (b"PK\x05\x06", 4, 18),  # the end of the directory
        (b"\x93NUMPY", 0, 12),  # NumPy's own header
    ],
)
def test_damaged_headers_give_one_readable_error(
    path: Path, mark: bytes, offset: int, length: int
) -> None:
    checkpoint.save(path, ARRAYS, META)
    positions = positions_of(path.read_bytes(), mark, offset, length)
    assert positions
    damage(path, product(positions[: 2 * length], [0x01, 0x08, 0x20, 0xFF]))


def test_a_file_cut_short_is_refused_at_every_length(path: Path) -> None:
    checkpoint.save(path, ARRAYS, META)
    content = path.read_bytes()
    lengths = {*range(0, len(content), 13), *range(len(content) - 40, len(content))}
    assert all(load_damaged(path, content[:length]) for length in lengths)


def test_altered_content_with_a_whole_container_is_refused(path: Path) -> None:
    """Somebody edits a weight, the step, or swaps two arrays, and zips it again."""
    checkpoint.save(path, ARRAYS, META)
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    text = members["meta"].tobytes()
    weight = members["model/0000"].copy()
    weight[0, 0] += 1e-6
    for change in (
        {"model/0000": weight},
        {"model/0000": members["model/0000"].astype(np.float64)},
        {"model/0000": members["model/0000"].reshape(3, 2)},
        {"model/0001": members["optimizer/0000"], "optimizer/0000": members["model/0001"]},
        {"meta": np.frombuffer(text.replace(b'"step": 12', b'"step": 13'), np.uint8)},
        {"more": np.zeros(2)},
    ):
        assert any(
            name not in members or array.tobytes() != members[name].tobytes()
            or array.shape != members[name].shape
            for name, array in change.items()
        )  # fmt: skip
        np.savez(path, **{**members, **change})
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.load(path)
    fewer = {name: array for name, array in members.items() if name != "model/0001"}
    np.savez(path, **fewer)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(50), b"PK\x05\x06" + bytes(18), b"\x80\x04N."],
)
def test_a_file_of_another_kind_is_refused(path: Path, content: bytes) -> None:
    assert load_damaged(path, content)


def test_a_plain_numpy_array_is_refused(path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    assert load_damaged(path, buffer.getvalue())


def test_a_pickle_inside_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(path, meta=np.array([Trap()], dtype=object), sha256=np.zeros(1))
    with pytest.raises(CheckpointError):
        checkpoint.load(path)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"^{path}: no such checkpoint$"):
        checkpoint.load(path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        checkpoint.load(path.parent)


def test_a_newer_format_is_refused_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = checkpoint.FORMAT
    monkeypatch.setattr(checkpoint, "FORMAT", now + 1)
    checkpoint.save(path, ARRAYS, META)
    assert whole(checkpoint.load(path))
    monkeypatch.undo()
    message = rf"newer srexp \(format {now + 1}, this one reads {now}\)"
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


def test_todays_format_is_read_when_there_is_a_newer_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next format renames a key: a step beside the others, and old files still load."""

    def renamed(meta: dict[str, Any]) -> dict[str, Any]:
        return {**{k: v for k, v in meta.items() if k != "run"}, "name": meta["run"]}

    checkpoint.save(path, ARRAYS, META)
    monkeypatch.setitem(checkpoint.UPGRADES, checkpoint.FORMAT, renamed)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT + 1)
    arrays, meta = checkpoint.load(path)
    assert meta["name"] == "r" and "run" not in meta
    assert all(arrays[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS)


def test_there_is_a_step_from_every_format() -> None:
    assert sorted(checkpoint.UPGRADES) == list(range(1, checkpoint.FORMAT))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    checkpoint.save(path, ARRAYS, META)
    before = path.read_bytes()

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"model/0000": np.zeros(1000)}, META)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert whole(checkpoint.load(path))


def test_the_content_reaches_the_disk_before_its_name_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flushed, then renamed, then the folder flushed: else a power cut leaves an empty file."""
    calls = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        calls.append(f"flush {kind}")
        real_fsync(descriptor)

    def replace(source: Any, target: Any) -> None:
        calls.append("rename")
        assert Path(source).parent == Path(target).parent  # on the same disk
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    checkpoint.save(path, ARRAYS, META)
    expected = ["flush file", "rename"] + (["flush folder"] if os.path.isdir("/proc/self") else [])
    assert calls == expected


def test_the_same_content_gives_the_same_checksum_whatever_the_order(path: Path) -> None:
    checksums = []
    for arrays in (ARRAYS, dict(reversed(ARRAYS.items()))):
        checkpoint.save(path, arrays, META)
        with np.load(path) as file:
            checksums.append(file["sha256"].tobytes())
            assert json.loads(file["meta"].tobytes())["format"] == checkpoint.FORMAT
    assert checksums[0] == checksums[1]
