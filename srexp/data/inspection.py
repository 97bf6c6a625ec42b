"""What is in folders of pictures, and what is wrong with it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from srexp.data.known import KnownSet, known_sets
from srexp.data.sets import DataError, passed_over, pixels_digest
from srexp.images.colour import grey_of_rgb
from srexp.images.io import (
    EXTENSIONS,
    ImageFileError,
    Stored,
    list_images,
    read_image,
    size_of,
    stored_as,
)
from srexp.images.resize import resize_pillow
from srexp.words import count

# Two pictures look alike if their 12x12 thumbnails correlate so well and differ by so few of 255
# levels on average. Of the different pictures of Set5, Set14, T91 and BSDS200 no two come nearer
# than 0.89 or 9.7 levels; the same picture in grey, as JPEG, at half its size or with a hundredth
# cut off stays within 0.987 and 4.6.
_THUMBNAIL = 12
_CORRELATION = 0.97
_LEVELS = 6.0
# Shapes may differ by so much: a cut changes them.
_ASPECT = 0.1
# Pictures that are read at once, whatever the number of cores; those of more pixels are read one at
# a time. A pixel takes some 25 bytes meanwhile.
_AT_ONCE = 4
_LARGE = 1 << 22
# Files of a finding that are named.
_NAMED = 5
# What files of an ending hold.
_ENDINGS = {
    "png": ("PNG",), "jpg": ("JPEG", "MPO"), "jpeg": ("JPEG", "MPO"), "bmp": ("BMP", "DIB"),
    "webp": ("WEBP",), "tif": ("TIFF",), "tiff": ("TIFF",),
}  # fmt: skip


@dataclass(frozen=True)
class PictureFile:
    """One picture that can be read.

    Attributes:
        path: The file.
        width: Pixels.
        height: Pixels.
        stored: How it is stored.
        bytes: Of the file.
        sha256: Of the file.
        pixels: `srexp.data.sets.pixels_digest`.
        thumbnail: `[144]`, 0 to 255, grey.
        remarks: What its reading changes.
    """

    path: Path
    width: int
    height: int
    stored: Stored
    bytes: int
    sha256: str
    pixels: str
    thumbnail: np.ndarray
    remarks: list[str]


@dataclass(frozen=True)
class Finding:
    """Something that a person should know of.

    Attributes:
        what: `unreadable`, `count`, `content`, `duplicate`, `overlap`, `alike`, or `remark`.
        text: In one line.
        files: Those concerned.
    """

    what: str
    text: str
    files: list[str]


@dataclass
class Inspected:
    """A folder, what is in it, and what was found.

    Attributes:
        folder: Its path.
        known: The set that it is said to hold (by its name), or None.
        pictures: Those that can be read.
        faults: What is wrong.
        notes: What is only to be known.
    """

    folder: Path
    known: KnownSet | None
    pictures: list[PictureFile]
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """For programs: counts, sizes, formats, and the findings."""
        pictures = self.pictures
        counted = {
            name: dict(Counter(str(getattr(p.stored, name)) for p in pictures).most_common())
            for name in ("format", "mode", "bits")
        }
        sides = {
            name: [min(values), max(values)]
            if (values := [getattr(p, name) for p in pictures])
            else []
            for name in ("width", "height")
        }
        return {
            "folder": str(self.folder),
            "known": self.known.name if self.known else None,
            "images": len(pictures),
            "bytes": sum(picture.bytes for picture in pictures),
            "megapixels": round(sum(p.width * p.height for p in pictures) / 1e6, 3),
            **sides,
            **counted,
            "faults": [asdict(finding) for finding in self.faults],
            "notes": [asdict(finding) for finding in self.notes],
        }


def inspect(
    folders: list[Path],
    data_dir: Path,
    *,
    patch: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Inspected]:
    """Look at every picture of some folders, and for pictures that stand in several of them.

    Folders that are no known benchmark are also compared with the known benchmarks in `data_dir`.

    Args:
        folders: Each a set of its own.
        data_dir: Where the known sets lie.
        patch: Side of a training patch; pictures that are smaller are noted.
        progress: Told how many pictures were looked at, and of how many.

    Raises:
        DataError: A folder is missing, or none.
    """
    own = {folder.resolve() for folder in folders}
    listed = [(folder, _known_at(folder, data_dir), _files(folder)) for folder in folders]
    others = []
    if any(known is None or known.use == "training" for _, known, _ in listed):
        for known in known_sets().values():
            folder = data_dir / known.name
            if known.use == "benchmark" and folder.is_dir() and folder.resolve() not in own:
                others.append((folder, known, _files(folder)))
    read = _read_all([path for _, _, files in (*listed, *others) for path in files], progress)

    def look(folder: Path, known: KnownSet | None, files: list[Path]) -> Inspected:
        looked_at = [read[path] for path in files]
        inspected = Inspected(folder, known, [p for p in looked_at if isinstance(p, PictureFile)])
        _find(inspected, [e for e in looked_at if isinstance(e, ImageFileError)])
        small = [
            p.path.name for p in inspected.pictures if patch and min(p.width, p.height) < patch
        ]
        if small and (known is None or known.use == "training"):
            text = f"smaller than a training patch of {patch} pixels (trainer.hr_patch_size)"
            inspected.notes.append(Finding("remark", text, small))
        return inspected

    seen = [look(*item) for item in listed]
    benchmarks = [look(*item) for item in others]
    for index, one in enumerate(seen):
        for other in seen[index + 1 :]:
            _compare(one, other)
        if one.known is None or one.known.use == "training":
            for benchmark in benchmarks:
                _compare(one, benchmark)
    return seen


def _known_at(folder: Path, data_dir: Path) -> KnownSet | None:
    known = known_sets().get(folder.resolve().name)
    return known if known and folder.resolve().parent == data_dir.resolve() else None


def _files(folder: Path) -> list[Path]:
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; a folder of pictures is wanted")
    try:
        return list_images(folder)
    except PermissionError:
        raise DataError(f"{folder}: may not be read (permission denied)") from None


def _read_all(
    paths: list[Path], progress: Callable[[int, int], None] | None
) -> dict[Path, PictureFile | ImageFileError]:
    read: dict[Path, PictureFile | ImageFileError] = {}
    # A thread of their own for the large ones: what others free is not given back to the system.
    with ThreadPoolExecutor(_AT_ONCE) as small, ThreadPoolExecutor(1) as large:
        reading = {
            (large if _pixels_of(path) > _LARGE else small).submit(_read, path): path
            for path in paths
        }
        try:
            for done, future in enumerate(as_completed(reading), 1):
                read[reading[future]] = future.result()
                if progress is not None:
                    progress(done, len(paths))
        except BaseException:  # Ctrl-C must not wait for all that are left
            for future in reading:
                future.cancel()
            raise
    return read


def _pixels_of(path: Path) -> int:
    try:
        width, height = size_of(path)
    except ImageFileError:
        return 0  # reading it says why
    return width * height


def _read(path: Path) -> PictureFile | ImageFileError:
    try:
        content = path.read_bytes()
        image, remarks = read_image(path)
        stored = stored_as(path)
    except ImageFileError as error:
        return error
    except OSError as error:
        return ImageFileError(f"{path}: {(error.strerror or str(error)).lower()}")
    height, width = image.shape[:2]
    grey = grey_of_rgb(image) if image.shape[2] == 3 else image
    thumbnail = resize_pillow(grey, (_THUMBNAIL, _THUMBNAIL), "bicubic").ravel() * 255
    return PictureFile(
        path, width, height, stored, len(content),
        hashlib.sha256(content).hexdigest(), pixels_digest(image), thumbnail, remarks,
    )  # fmt: skip


# One folder.


def _find(inspected: Inspected, errors: list[ImageFileError]) -> None:
    faults, notes, pictures = inspected.faults, inspected.notes, inspected.pictures
    for error in errors:
        faults.append(Finding("unreadable", str(error), [str(error).split(": ")[0]]))
    if not pictures and not errors:
        endings = " ".join(sorted(ending[1:] for ending in EXTENSIONS))
        faults.append(Finding("count", f"no pictures in it (looked for {endings})", []))
    same: dict[str, list[str]] = {}
    remarks: dict[str, list[str]] = {}
    for picture in pictures:
        same.setdefault(picture.pixels, []).append(picture.path.name)
        for remark in (*picture.remarks, *_misnamed(picture)):
            remarks.setdefault(remark, []).append(picture.path.name)
    for what, names in (*remarks.items(), *passed_over(inspected.folder)):
        notes.append(Finding("remark", what, names))
    published = _against_published(inspected)
    for names in same.values():
        if len(names) > 1:
            as_published = " (as published)" if published else ""
            finding = Finding("duplicate", f"the same pixels{as_published}", names)
            (notes if published else faults).append(finding)


def _misnamed(picture: PictureFile) -> list[str]:
    stored, ending = picture.stored, picture.path.suffix.lower()[1:]
    kind = _ENDINGS[ending]
    if stored.format in kind:
        return []
    lossy = ", compressed with loss" if stored.lossy else ""
    return [f"named {ending}, and {stored.format} inside{lossy}"]


def _against_published(inspected: Inspected) -> bool:
    """Whether a known set is what was published, image by image."""
    known, pictures = inspected.known, inspected.pictures
    if known is None:
        return False
    if len(pictures) != known.images:
        text = f"{len(pictures)} readable pictures, and {known.name} has {known.images}"
        inspected.faults.append(Finding("count", text, []))
    if not known.published:
        text = f"no checksums of {known.name} are known: its content was not compared"
        inspected.notes.append(Finding("remark", text, []))
        return False
    recognised = {p.path.name: known.recognise(p.sha256, p.pixels) for p in pictures}
    wrong = [name for name, images in recognised.items() if not images]
    if wrong:
        text = f"not what was published as {known.name}"
        inspected.faults.append(Finding("content", text, wrong))
    found = {image.name for images in recognised.values() for image in images}
    missing = [image.name for image in known.published if image.name not in found]
    if missing:
        inspected.faults.append(Finding("content", "published, and not here", missing))
    if not wrong and not missing:
        text = f"all {known.images} images are the published ones"
        inspected.notes.append(Finding("remark", text, []))
    return not wrong


# Two folders.


def _compare(one: Inspected, other: Inspected) -> None:
    """Say which pictures stand in both: their pixels, or what a person would call the same."""
    both_benchmarks = all(i.known is not None and i.known.use == "benchmark" for i in (one, other))
    into = one.notes if both_benchmarks else one.faults
    name = other.known.name if other.known else str(other.folder)
    there = {picture.pixels: picture for picture in other.pictures}
    exact = [p for p in one.pictures if p.pixels in there]
    if exact:
        text = f"{len(exact)} with the same pixels as in {name}"
        into.append(Finding("overlap", text, [p.path.name for p in exact]))
    for mine, theirs in _alike(one.pictures, other.pictures):
        if mine.pixels != theirs.pixels:
            text = f"looks the same as {name}/{theirs.path.name}, with other pixels"
            into.append(Finding("alike", text, [mine.path.name]))


def _alike(
    ones: list[PictureFile], others: list[PictureFile]
) -> list[tuple[PictureFile, PictureFile]]:
    if not ones or not others:
        return []
    a, b = (_unit([p.thumbnail for p in pictures]) for pictures in (ones, others))
    found = []
    for start in range(0, len(ones), 1024):  # ten thousand by ten thousand would not fit
        rows, columns = np.nonzero(a[start : start + 1024] @ b.T > _CORRELATION)
        found += [(ones[start + r], others[c]) for r, c in zip(rows, columns, strict=True)]
    return [(x, y) for x, y in found if _near(x, y)]


def _unit(thumbnails: list[np.ndarray]) -> np.ndarray:
    """Without mean and of length 1, so that products are correlations; a flat one stays 0."""
    centred = np.stack(thumbnails).astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(length > _THUMBNAIL, centred / np.maximum(length, 1), 0)


def _near(one: PictureFile, other: PictureFile) -> bool:
    levels = float(np.abs(one.thumbnail - other.thumbnail).mean())
    ratio = (one.width * other.height) / (one.height * other.width)
    return levels < _LEVELS and abs(np.log(ratio)) < _ASPECT


def lines(summary: dict[str, Any]) -> list[str]:
    """A summary, for people: no control character of a file's name reaches their terminal."""
    told = [f"{summary['folder']}: {count(summary['images'], 'image')}"]
    if summary["images"]:

        def span(name: str) -> str:
            low, high = summary[name]
            return str(low) if low == high else f"{low} to {high}"

        def counted(name: str, unit: str = "") -> str:
            return ", ".join(f"{times} {value}{unit}" for value, times in summary[name].items())

        told += [
            f"    {span('width')} wide, {span('height')} high; {summary['megapixels']:.1f} "
            f"megapixels, {summary['bytes'] / 1e6:.1f} MB",
            f"    {counted('format')}; {counted('mode')}; {counted('bits', '-bit')}",
        ]
    told += [f"    note: {_text(note)}" for note in summary["notes"]]
    told += [f"    wrong: {_text(fault)}" for fault in summary["faults"]]
    return [re.sub(r"[\x00-\x1f\x7f]", lambda m: repr(m[0])[1:-1], line) for line in told]


def _text(finding: dict[str, Any]) -> str:
    files = finding["files"]
    if not files or finding["what"] == "unreadable":  # its text names the file
        return str(finding["text"])
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return f"{', '.join(files[:_NAMED])}{more}: {finding['text']}"
