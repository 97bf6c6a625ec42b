"""Arrays that are made once, and where they are many, kept in files that are mapped into memory.

An image set that is small stays in memory, and no file is made. What grows above `Cache.limit` is
written to a folder below the data folder and read from there, by this run and by later ones, page
by page as it is needed; the system keeps in memory what it has room for.

An entry is a folder of that cache: an index (JSON), and one file of arrays that it names. Both are
written beside, flushed and renamed, under a lock, so that no process sees half of one; what is
mapped stays readable when the entry is replaced or removed.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import secrets
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import srexp
from srexp.files import Lock, remove_parts, write_atomically
from srexp.options import OptionError, Options, each_nested, nested
from srexp.paths import CACHE_DIR, checked

# Name of the cache in the data folder.
FOLDER = ".cache"
# Items that are made at once; an image of 3 megapixels takes some 100 MB meanwhile.
_AT_ONCE = min(8, os.cpu_count() or 1)
# Arrays begin at a multiple of so many bytes.
_ALIGNED = 64
# What of srexp decides the content of entries.
_OURS = (
    "images", "degradations", "metrics", "protocol.py", "models/upscaler.py",
    "models/resampler.py", "data", "evaluation/scoring.py", "training/materials.py",
)  # fmt: skip

Item = TypeVar("Item")
# Arrays, and what else is to be known of them: plain data.
Made = tuple[tuple[np.ndarray, ...], dict[str, Any]]
# Of what is known of all items, as it was kept: the same, brought up to date, or None where it no
# longer holds.
Recheck = Callable[[list[dict[str, Any]]], list[dict[str, Any]] | None]
# Told what is being made, how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cache:
    """Where arrays are kept, and from when on.

    Attributes:
        folder: Made where it is needed.
        progress: Told of what is made for it.
        limit: Bytes up to which one set of items stays in memory.
    """

    folder: Path
    progress: Progress | None = None
    limit: int = 1 << 28


_current: ContextVar[Cache | None] = ContextVar("cache", default=None)


def cache_of(data_dir: Path, progress: Progress | None = None) -> Cache:
    """The cache of a data folder, or where the environment variable says.

    Raises:
        OptionError: The variable holds no path.
    """
    given = os.environ.get(CACHE_DIR)
    return Cache(data_dir / FOLDER if given is None else checked(CACHE_DIR, given), progress)


def current() -> Cache | None:
    """What `caching` has set."""
    return _current.get()


@contextmanager
def caching(cache: Cache | None) -> Iterator[None]:
    """What is made within is kept in a cache where it is much; without one, all is in memory."""
    token = _current.set(cache)
    try:
        yield
    finally:
        _current.reset(token)


def kept(
    key: Any,
    what: str,
    items: Sequence[Item],
    make: Callable[[Item], Made],
    recheck: Recheck | None = None,
) -> list[Made]:
    """What `make` gives for each item: from the cache, or made in parallel.

    Args:
        key: Plain data that stands for all that is made: of what content, how, and by what code
            (`made_by`).
        what: For a person: `reading pictures`.
        items: In the order of the result.
        make: Called in threads.
        recheck: Where `key` does not say everything.

    Raises:
        DataError: The cache cannot be written.
    """
    cache = current()
    if cache is None:
        return list(_in_order(make, items))
    entry = _Entry(cache, hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24], recheck)
    if (found := entry.read()) is not None:
        return found
    made: list[Made] = []
    size = 0
    stream = _in_order(make, items)
    try:
        for one in stream:
            made.append(one)
            size += sum(array.nbytes for array in one[0])
            if size > cache.limit:
                return entry.write(what, len(items), chain(made, stream))
    finally:
        stream.close()
    return made


def in_memory(array: Any) -> bool:
    """Whether an array takes memory of its own, and is no part of a file."""
    base: Any = array
    while getattr(base, "base", None) is not None:
        base = base.base
    return isinstance(base, np.ndarray)


def _in_order(make: Callable[[Item], Made], items: Iterable[Item]) -> Generator[Made, None, None]:
    """`map` in threads, with a few results ahead."""
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > _AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _Entry:
    def __init__(self, cache: Cache, name: str, recheck: Recheck | None) -> None:
        self._cache, self._recheck = cache, recheck
        self._folder = cache.folder / name
        self._index = self._folder / "index.json"

    def read(self) -> list[Made] | None:
        """What is kept; None where nothing is, or not the whole of it, or it no longer holds."""
        try:
            index = json.loads(self._index.read_bytes())
            with (self._folder / index["file"]).open("rb") as file:
                flat = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
            rows = index["rows"]
            if flat.size != index["bytes"]:
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        known = [row["known"] for row in rows]
        if self._recheck is not None:
            now = self._recheck(known)
            if now is None:
                return None
            if now != known:
                index["rows"] = [{**row, "known": k} for row, k in zip(rows, now, strict=True)]
                with suppress(OSError):  # then it is checked again next time
                    write_atomically(self._index, json.dumps(index).encode())
            known = now

        def array(place: dict[str, Any]) -> np.ndarray:
            dtype, shape = np.dtype(place["dtype"]), place["shape"]
            end = place["at"] + dtype.itemsize * int(np.prod(shape))
            return flat[place["at"] : end].view(dtype).reshape(shape)

        return [
            (tuple(array(place) for place in row["arrays"]), k)
            for row, k in zip(rows, known, strict=True)
        ]

    def write(self, what: str, total: int, stream: Iterable[Made]) -> list[Made]:
        tell = self._cache.progress or (lambda *_: None)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(self._folder / "lock")
            if not lock.acquire():
                tell(f"{what}, in another process", 0, total)
                lock.acquire(wait=True)
            try:
                if (found := self.read()) is not None:  # another process was quicker
                    return found
                remove_parts(self._folder)
                file, size, rows = self._write_arrays(what, total, stream, tell)
                content = {"file": file, "bytes": size, "what": what, "rows": rows}
                write_atomically(self._index, json.dumps(content).encode())
                for old in self._folder.glob("*.arrays"):
                    if old.name != file:
                        old.unlink(missing_ok=True)
            finally:
                lock.release()
        except OSError as error:
            from srexp.data.sets import DataError

            raise DataError(
                f"{self._cache.folder}: {(error.strerror or str(error)).lower()}; images that do "
                f"not fit into {self._cache.limit >> 20} MiB are kept there ({what}). Make room, "
                f"or set {CACHE_DIR} to another folder"
            ) from None
        written = self.read()
        assert written is not None
        return written

    def _write_arrays(
        self, what: str, total: int, stream: Iterable[Made], tell: Progress
    ) -> tuple[str, int, list[dict[str, Any]]]:
        part = self._folder / f".arrays.{os.getpid()}.part"
        rows: list[dict[str, Any]] = []
        content = hashlib.sha256()
        try:
            with part.open("wb") as file:
                for arrays, known in stream:
                    places = []
                    for array in arrays:
                        file.write(bytes(-file.tell() % _ALIGNED))
                        places.append(
                            {"at": file.tell(), "dtype": array.dtype.str, "shape": array.shape}
                        )
                        data = np.ascontiguousarray(array).data
                        content.update(data)
                        file.write(data)
                    rows.append({"arrays": places, "known": known})
                    tell(what, len(rows), total)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
            name = f"{content.hexdigest()[:16]}.arrays"
            os.replace(part, self._folder / name)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        return name, size, rows


# What stands for content and code.


def made_by(*options: Options) -> list[str]:
    """What stands for the code that makes arrays: srexp's own, its libraries', the options'."""
    return [_ours(), *sorted(_theirs(each) for each in _modules(options))]


@lru_cache
def _ours() -> str:
    root = Path(srexp.__file__).parent
    files = [f for name in _OURS for f in (sorted((root / name).rglob("*.py")) or [root / name])]
    libraries = [version(name) for name in ("numpy", "pillow", "scipy")]
    return _digest([*(file.read_bytes() for file in files), *(v.encode() for v in libraries)])


def _modules(options: Iterable[Options]) -> set[str]:
    """The packages outside srexp that options, or those in them, come from."""
    found: set[str] = set()

    def look(option: Options) -> None:
        classes = (cls for cls in type(option).__mro__ if issubclass(cls, Options))
        found.update(cls.__module__.split(".")[0] for cls in classes)
        for name in nested(type(option)):
            each_nested(getattr(option, name), look)

    for option in options:
        look(option)
    return found - {"srexp"}


@lru_cache
def _theirs(package: str) -> str:
    file = getattr(sys.modules[package], "__file__", None)
    if file is None:  # typed in a notebook: nothing says whether it is the same again
        return secrets.token_hex()
    path = Path(file)
    files = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
    return _digest(file.read_bytes() for file in files)


def _digest(parts: Iterable[bytes]) -> str:
    content = hashlib.sha256()
    for part in parts:
        content.update(hashlib.sha256(part).digest())
    return content.hexdigest()[:16]


# Files: found by their paths, believed by their content.

# Seconds: a file that was changed so shortly before it was read may be changed again without a new
# time (some file systems count in seconds).
_SHORTLY = 2


def file_state(path: Path) -> dict[str, Any]:
    """What tells whether a file is still what it was; to be taken before it is read."""
    now, stat = time.time(), path.stat()
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"state": state, "settled": now - stat.st_ctime > _SHORTLY, "sha256": sha256}


def same_file(path: Path, before: dict[str, Any]) -> dict[str, Any] | None:
    """`file_state` of a file whose content is what it was, else None.

    The content is looked at only where size, times or inode say that something was done to the
    file. The time of a change of the inode (ctime) cannot be set back by a program.

    Args:
        path: Of the file.
        before: As it was.
    """
    try:
        stat = path.stat()
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        if before["settled"] and state == before["state"]:
            return before
        now = file_state(path)
    except OSError:
        return None
    return now if now["sha256"] == before["sha256"] else None


# The whole cache.


def entries(folder: Path) -> list[tuple[Path, str, int]]:
    """Of each entry: its folder, what it holds, and its bytes on the disk."""
    found = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not (entry / "lock").exists():
            continue
        try:
            what = str(json.loads((entry / "index.json").read_bytes())["what"])
        except (OSError, ValueError, KeyError, TypeError):
            what = "unfinished"
        size = sum(file.stat().st_size for file in entry.iterdir())
        found.append((entry, what, size))
    return found


def remove(folder: Path) -> None:
    """Remove all entries; what a process has mapped stays readable to it.

    Raises:
        OptionError: One may not be removed.
    """
    try:
        for entry, _, _ in entries(folder):
            shutil.rmtree(entry)
        with suppress(OSError):  # something else lies in it
            folder.rmdir()
    except OSError as error:
        raise OptionError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from None
