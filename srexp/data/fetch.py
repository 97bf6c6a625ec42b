"""A known image set into the data directory: whole and checked, or not at all."""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from srexp import words
from srexp.data.download import FetchError, download
from srexp.data.known import KnownSet, PublishedImage
from srexp.data.sets import pixels_digest
from srexp.files import Lock, flush
from srexp.images.io import EXTENSIONS, ImageFileError, list_images, read_image
from srexp.options import OptionError
from srexp.paths import checked, to_path

# Told what is going on (`bytes` arrive, whole `files`, `images` are unpacked), how much of it is
# done, and of how much (None: nobody knows).
Progress = Callable[[str, int, int | None], None]

# No image of any set comes near; what claims to be larger is no image.
_LARGEST = 1 << 28
# What reading a damaged archive raises.
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
)  # fmt: skip


@dataclass(frozen=True)
class Fetched:
    """Attributes:
    folder: Where the set lies.
    images: How many it has.
    checked: Whether the content of each was compared with what was published.
    was_here: Nothing had to be fetched.
    """

    folder: Path
    images: int
    checked: bool
    was_here: bool = False


def fetch(
    known: KnownSet,
    data_dir: Path,
    *,
    address: str | None = None,
    pick: str | None = None,
    progress: Progress | None = None,
    patience: float = 30,
    pause: float = 1,
) -> Fetched:
    """Bring a set into `data_dir/NAME`.

    Everything is gathered and checked in `data_dir/.fetch/NAME`, and then renamed; what has arrived
    when a call fails stays there for the next one; where nothing has, nothing is left.

    Args:
        known: The set.
        data_dir: Made where it is missing.
        address: In place of its own: of an archive, a folder (ending in /), or an archive's path on
            this machine.
        pick: Pattern of the images' paths in the archive, for a set without checksums.
        progress: For a progress bar.
        patience: Seconds without a byte after which a connection is given up.
        pause: Seconds before a second attempt.

    Raises:
        OptionError: The set has no address, the given one is none, `pick` has no use, or something
            else is in place.
        FetchError: A fault of the network, of the server, of what it sent, or of the disk.
    """
    folder = data_dir / known.name
    tell = progress or (lambda *_: None)
    if pick is not None and known.published:
        raise OptionError(
            f"--pick {pick}: has no use for {known.name}, whose images are known by their "
            "checksums; leave it out"
        )
    try:
        if _occupied(folder):
            return _in_place(known, folder)
        source = _source(known, address)
        staging = data_dir / ".fetch" / known.name
        with _alone(staging, known):
            if _occupied(folder):  # another process was quicker
                return _in_place(known, folder)
            staging.mkdir(exist_ok=True)
            images = staging / "images"
            if _is_folder(source):
                images.mkdir(exist_ok=True)
                _fetch_files(known, source, images, tell, patience, pause)
            else:
                archive = _archive_at(source, staging, tell, patience, pause)
                _unpack_anew(known, archive, images, pick, tell)
                if archive.parent == staging:
                    archive.unlink()
            flush(images)
            os.rename(images, folder)
            flush(data_dir)
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        where = error.filename or folder
        raise FetchError(f"{where}: {(error.strerror or str(error)).lower()}") from None
    return Fetched(folder, known.images, bool(known.published))


def _occupied(folder: Path) -> bool:
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _source(known: KnownSet, address: str | None) -> str:
    """Where the set comes from, as far as that can be told without asking anybody."""
    source = address or known.address
    if source is None:
        raise OptionError(f"{known.name}: there is no public address of it: {known.apply}")
    if not _is_web(source) and not checked("--from", source).is_file():
        raise OptionError(
            f"{source}: is neither an address (http:// or https://) nor a file on this machine"
        )
    if _is_folder(source) and not known.published:
        raise OptionError(
            f"{source}: the names of the files of {known.name} are not known; give the address of "
            "an archive"
        )
    return source


def _is_web(source: str) -> bool:
    return "://" in source


def _is_folder(source: str) -> bool:
    return _is_web(source) and urlsplit(source).path.endswith("/")


@contextmanager
def _alone(staging: Path, known: KnownSet) -> Iterator[None]:
    lock = Lock(staging.with_name(f"{known.name}.lock"))
    if not _claim(lock):
        raise FetchError(f"{known.name}: another process is fetching it now")
    try:
        yield
    finally:
        _remove_if_empty(staging / "images")
        _remove_if_empty(staging)
        if not staging.exists():
            lock.path.unlink(missing_ok=True)
        lock.release()
        _remove_if_empty(staging.parent)


def _claim(lock: Lock) -> bool:
    for _ in range(10):
        lock.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not lock.acquire():
                return False
        except FileNotFoundError:  # who held it before has removed it and its folder meanwhile
            continue
        if lock.path.exists():
            return True
        lock.release()  # of a file that has been removed
    return False


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # not there, or something in it is still of use


def _in_place(known: KnownSet, folder: Path) -> Fetched:
    """What lies in the set's folder already: the set, or something that must not be touched."""
    aside = "move it away to fetch the set"
    if not folder.is_dir():
        raise OptionError(f"{folder}: is a file; {aside}")
    paths = list_images(folder)
    if len(paths) != known.images:
        raise OptionError(
            f"{folder}: holds {words.count(len(paths), 'picture')}, and {known.name} has "
            f"{known.images}; {aside}"
        )
    wrong = _not_published(known, paths)
    if wrong:
        raise OptionError(f"{folder}: {', '.join(wrong[:5])}: not what was published; {aside}")
    return Fetched(folder, known.images, bool(known.published), was_here=True)


# Content.


def _identify(known: KnownSet, path: Path) -> list[PublishedImage]:
    """Which published images a file holds, by its bytes or else by its pixels."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    same = known.recognise(sha256)
    if same:
        return same
    try:
        return known.recognise(sha256, pixels_digest(read_image(path)[0]))
    except ImageFileError:
        return []


def _not_published(known: KnownSet, paths: list[Path]) -> list[str]:
    """Which of the files do not hold the published images, and which images no file holds."""
    if not known.published:
        return []
    wrong, missing = [], {image.name for image in known.published}
    for path in paths:
        same = _identify(known, path)
        missing -= {image.name for image in same}
        if not same:
            wrong.append(path.name)
    return wrong or sorted(missing)


# One file after the other.


def _fetch_files(
    known: KnownSet, source: str, images: Path, tell: Progress, patience: float, pause: float
) -> None:
    import requests

    count = len(known.published)
    with requests.Session() as session:
        for done, image in enumerate(known.published):
            tell("files", done, count)
            path = images / image.name
            if path.exists() and image in _identify(known, path):
                continue  # an earlier call brought it
            arriving = images.parent / image.name
            download(source + image.at, arriving, session=session, patience=patience, pause=pause)
            if image not in _identify(known, arriving):
                arriving.unlink()
                raise FetchError(
                    f"{source + image.at}: is not the published image (its SHA-256 differs); "
                    "nothing of it is kept"
                )
            os.replace(arriving, path)
    tell("files", count, count)


# Archives.


def _archive_at(source: str, staging: Path, tell: Progress, patience: float, pause: float) -> Path:
    if not _is_web(source):
        return to_path(source)
    # Of another address, another file.
    path = staging / f"archive-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    if not path.exists():
        download(
            source,
            path,
            arrived=lambda done, total: tell("bytes", done, total),
            patience=patience,
            pause=pause,
        )
    return path


def _unpack_anew(
    known: KnownSet, archive: Path, images: Path, pick: str | None, tell: Progress
) -> None:
    shutil.rmtree(images, ignore_errors=True)
    images.mkdir()
    try:
        with _opened(archive) as members:
            if known.published:
                _unpack_published(known, members, images, tell)
            else:
                _unpack_picked(known, members, images, pick, tell)
    except BaseException as error:
        shutil.rmtree(images, ignore_errors=True)
        fetched = archive.parent == images.parent
        if isinstance(error, _BrokenArchive):
            if fetched:
                archive.unlink()  # the next call fetches it anew
            raise FetchError(f"{known.name}: {error}") from None
        if isinstance(error, OptionError):
            anew = f"; or remove {archive} to fetch it anew" if fetched else ""
            raise OptionError(f"{known.name}: {error}{anew}") from None
        raise


class _BrokenArchive(FetchError):
    """The archive itself is of no use."""


_Members = dict[str, Callable[[], IO[bytes]]]


@contextmanager
def _opened(archive: Path) -> Iterator[_Members]:
    """The pictures in an archive: path -> open."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield _zip_members(opened)
        else:
            with tarfile.open(archive) as opened_tar:
                yield _tar_members(opened_tar)
    except _BROKEN as error:
        with archive.open("rb") as file:
            begin = file.read(tarfile.BLOCKSIZE)
        if begin.startswith((b"PK", b"\x1f\x8b", b"BZh", b"\xfd7z")) or begin[257:262] == b"ustar":
            raise _BrokenArchive(f"the archive is damaged ({error})") from None
        raise _BrokenArchive(
            f"what came is no zip or tar archive (it begins with {begin[:24]!r})"
        ) from None
    except RuntimeError as error:  # of zipfile: a password, a method
        if isinstance(error, FetchError):
            raise
        raise _BrokenArchive(str(error)) from None


def _zip_members(opened: zipfile.ZipFile) -> _Members:
    members: _Members = {}
    for info in opened.infolist():
        if info.is_dir() or not _is_picture(info.filename):
            continue
        _check_member(info.filename, info.file_size, stat.S_ISLNK(info.external_attr >> 16))
        members[info.filename] = lambda info=info: opened.open(info)  # type: ignore[misc]
    return members


def _tar_members(opened: tarfile.TarFile) -> _Members:
    members: _Members = {}
    for info in opened:
        if info.isdir() or not _is_picture(info.name):
            continue
        _check_member(info.name, info.size, not info.isreg())
        members[info.name.removeprefix("./")] = lambda info=info: opened.extractfile(info)  # type: ignore[misc,assignment]
    _check_end(opened)
    return members


def _check_end(opened: tarfile.TarFile) -> None:
    """`tarfile` takes whatever is no header for the end, be it damaged or cut off."""
    stream = opened.fileobj
    assert stream is not None
    if isinstance(stream, (gzip.GzipFile, bz2.BZ2File, lzma.LZMAFile)):
        while stream.read(1 << 20):  # up to its checksum
            pass
        return
    stream.seek(opened.offset)
    if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError("no header where one should be")


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = path.name.startswith(".") or "__MACOSX" in path.parts
    return path.suffix.lower() in EXTENSIONS and not hidden


def _check_member(name: str, size: int, link: bool) -> None:
    """Only the last part of a name is ever used; an archive that tries is not unpacked at all."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        raise _BrokenArchive(f"{name}: leads out of the archive; nothing was unpacked")
    if link:
        raise _BrokenArchive(f"{name}: is a link or a device in the archive; nothing was unpacked")
    if size > _LARGEST:
        raise _BrokenArchive(f"{name}: {size:,} bytes in the archive; no picture is so large")


def _unpack_published(known: KnownSet, members: _Members, images: Path, tell: Progress) -> None:
    """Look for the published images by content, whatever they are called there."""
    missing = {image.name: image for image in known.published}
    arriving = images / "unpacking"  # so that it goes with them when something fails
    for name in members:
        if not missing:
            break
        tell("images", len(known.published) - len(missing), len(known.published))
        path = arriving.with_suffix(PurePosixPath(name).suffix.lower())
        _extract(members, name, path)
        same = [image.name for image in _identify(known, path) if image.name in missing]
        if same:
            os.replace(path, images / f"{Path(same[0]).stem}{path.suffix}")
            del missing[same[0]]
        else:
            path.unlink()
    if missing:
        absent = ", ".join(list(missing)[:5])
        raise _BrokenArchive(
            f"of its {known.images} published images the archive's {len(members)} "
            f"pictures hold {known.images - len(missing)} (compared by pixels; missing: {absent}"
            f"{', ...' if len(missing) > 5 else ''})"
        )
    tell("images", known.images, known.images)


def _unpack_picked(
    known: KnownSet, members: _Members, images: Path, pick: str | None, tell: Progress
) -> None:
    chosen = _choose(known, list(members), pick)
    for done, name in enumerate(chosen):
        tell("images", done, known.images)
        path = images / PurePosixPath(name).name
        _extract(members, name, path)
        try:
            read_image(path)
        except ImageFileError as error:
            reason = str(error).removeprefix(f"{path}: ")
            raise _BrokenArchive(f"{name}: {reason}; nothing of the archive is kept") from None
    tell("images", known.images, known.images)


def _choose(known: KnownSet, names: list[str], pick: str | None) -> list[str]:
    """The images among an archive's pictures: by a pattern, or in the one folder with so many."""
    for pattern in filter(None, (pick, known.pick)):
        chosen = fnmatch.filter(names, pattern)
        if chosen or pick:
            break
    else:
        folders = Counter(str(PurePosixPath(name).parent) for name in names)
        fitting = [folder for folder, count in folders.items() if count == known.images]
        if len(fitting) != 1:
            listed = ", ".join(f"{folder}/ {count}" for folder, count in folders.most_common(6))
            raise OptionError(
                f"has {known.images} images; the archive holds {listed or 'none'}; "
                "say which with --pick 'FOLDER/*'"
            )
        chosen = [name for name in names if str(PurePosixPath(name).parent) == fitting[0]]
    if len(chosen) != known.images:
        what = f"{pattern} " if pick or known.pick else ""
        raise OptionError(
            f"has {known.images} images, and {what}fits {words.count(len(chosen), 'picture')} of "
            "the archive; say which with --pick 'FOLDER/*'"
        )
    if len({PurePosixPath(name).name for name in chosen}) != len(chosen):
        raise OptionError("several pictures of the archive have the same name")
    return chosen


def _extract(members: _Members, name: str, path: Path) -> None:
    try:
        opened = members[name]()
        content = opened.read(_LARGEST + 1)
    except (*_BROKEN, OSError) as error:
        raise _BrokenArchive(f"{name}: is damaged in the archive ({error})") from None
    if len(content) > _LARGEST:
        raise _BrokenArchive(f"{name}: unpacks to more than a picture can be")
    path.write_bytes(content)
    flush(path)
