"""Files that are whole or absent, and claims that end with their process."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO


def file_name(text: str, most: int = 180) -> str:
    """A name of an image, a method or a set as that of a file, without folders in it.

    One that had to be changed ends in digits of its own, so that no two become one.

    Args:
        text: Any.
        most: Bytes; what is left of the 255 that file systems allow is for endings and dates, and
            for `write_atomically`.
    """
    plain = re.sub(r'[/\\:*?"<>|\x00-\x1f\x7f]|^\.|[. ]$', "_", text)
    if plain == text and len(text.encode(errors="replace")) <= most:
        return text
    own = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]
    return f"{plain.encode(errors='replace')[: most - 7].decode(errors='ignore')}-{own}"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; see `written_atomically`."""
    with written_atomically(path) as file:
        file.write(content)


@contextlib.contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A new file for `path`: written beside it, flushed to the disk, renamed if all went well.

    Raises:
        OSError: The disk is full or the folder may not be written; `path` is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with beside.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # a file system that may only be read
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # writing itself does not say where
        raise
    flush(path.parent)  # the rename itself must reach the disk too


def flush(path: Path) -> None:
    """Make sure that a file's content, or the names in a folder, have reached the disk.

    Raises:
        OSError: The disk is full or broken.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove_parts(folder: Path) -> None:
    """Remove the half-written files that killed processes have left anywhere in a folder."""
    for path in folder.rglob(".*.part*"):
        writer = re.search(r"\.(\d+)(-\d+)?\.part", path.name)
        if writer is not None and not _runs(int(writer[1])):
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is somebody else's
    return True


class Lock:
    """A claim on a file that ends with the process that holds it, however that ends.

    Works between processes, and between machines that share a file system with locks. Where
    there are none (some network file systems) every claim is granted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        """Claim it; False if somebody else holds it (or wait until nobody does).

        Raises:
            OSError: The file cannot be made.
        """
        for attempt in range(3):
            if attempt:
                time.sleep(0.02)  # it may only have been looked at: see `held`
            file = self.path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            except OSError:
                pass  # a file system without locks
            self._file = file
            return True
        return False

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def held(self) -> bool:
        """Whether anybody holds it, this object included."""
        if self._file is not None:
            return True
        try:
            # Shared, so that two who look do not see each other; and a folder may be read-only.
            with self.path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # no such file, or a file system without locks
            return False
        return False

    def __enter__(self) -> Lock:
        self.acquire(wait=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
