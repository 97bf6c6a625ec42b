"""A set of images with a name and a digest of its content."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from srexp.data.cache import Made, file_state, in_memory, kept, made_by, same_file
from srexp.data.known import known_sets
from srexp.images.io import EXTENSIONS, ImageFileError, list_images, read_image
from srexp.images.quantize import pack, unpack
from srexp.options import OptionError
from srexp.words import count

# Kinds of files that are not read and are named.
_KINDS = 6
# Files of more bytes are read one at a time: of 24 megapixels, say, which take 600 MB meanwhile.
_LARGE = 1 << 23
_ONE_LARGE = threading.Lock()
# What Windows leaves beside pictures.
_OF_SYSTEMS = ("thumbs.db", "desktop.ini")


class DataError(OptionError):
    """Images that are missing or cannot be used, in one line."""


def pixels_digest(image: np.ndarray) -> str:
    """SHA-256 of an image's pixels and shape, the same for BMP and PNG."""
    return digest_packed(pack(image))


def digest_packed(packed: np.ndarray) -> str:
    """`pixels_digest` of an image that is packed."""
    content = hashlib.sha256(f"{packed.dtype} {packed.shape}".encode())
    content.update(np.ascontiguousarray(packed).data)
    return content.hexdigest()


def unambiguous(name: str) -> str:
    """A file's name on one line, whatever is in it."""
    return name if name.isprintable() else repr(name)


def listed(items: Sequence[str], most: int = 5) -> str:
    """The first few in words: `a, b and 3 more`."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


class Images(Mapping[str, np.ndarray]):
    """Name -> image `[H, W, C]` float32 in [0, 1]; kept as 8 bits where that loses nothing.

    In memory, or in a file that is mapped into it (`srexp.data.cache`).
    """

    def __init__(self, images: Mapping[str, np.ndarray]) -> None:
        self._packed = {name: pack(image) for name, image in images.items()}
        self._digests: dict[str, str] | None = None

    @classmethod
    def of(cls, packed: dict[str, np.ndarray], digests: dict[str, str]) -> Images:
        """Of images that are packed, with the digests of their pixels."""
        images = cls({})
        images._packed, images._digests = packed, digests
        return images

    def __getitem__(self, name: str) -> np.ndarray:
        return unpack(self._packed[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> `(H, W, C)`."""
        return {name: image.shape for name, image in self._packed.items()}

    def packed(self, name: str) -> np.ndarray:
        """An image as it is kept: uint8 where that loses nothing."""
        return self._packed[name]

    @property
    def nbytes(self) -> int:
        """What they take in memory."""
        return sum(image.nbytes for image in self._packed.values() if in_memory(image))

    def only(self, names: Iterable[str]) -> Images:
        """Some of them."""
        digests, names = self.digests(), list(names)
        return Images.of({n: self._packed[n] for n in names}, {n: digests[n] for n in names})

    def joined(self, others: Images) -> Images:
        """These and, after them, others."""
        packed, digests = {**self._packed, **others._packed}, {**self.digests(), **others.digests()}
        return Images.of(packed, digests)

    def digests(self) -> dict[str, str]:
        """Name -> `pixels_digest`."""
        if self._digests is None:
            self._digests = {name: digest_packed(i) for name, i in self._packed.items()}
        return self._digests


class ImageSet:
    """Named images, `[H, W, 1 or 3]` float32 in [0, 1], in a fixed order.

    Attributes:
        name: For tables and metrics: `set5`, `val`.
        images: Name -> image.
        remarks: What a person should know about the reading of them.
        originals: Digest of each file's pixels, where `images` were prepared since; else None.
        lr: Name -> LR image, where a set comes with its own; else None.
    """

    def __init__(
        self,
        name: str,
        images: Mapping[str, np.ndarray],
        remarks: list[str] | None = None,
        originals: dict[str, str] | None = None,
        lr: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.name = name
        self.images = images if isinstance(images, Images) else Images(images)
        self.remarks = [] if remarks is None else remarks
        self.originals = originals
        self.lr = lr if lr is None or isinstance(lr, Images) else Images(lr)

    def only(self, *names: str) -> ImageSet:
        """Some of its images, without the remarks."""
        lr = None if self.lr is None else self.lr.only(names)
        originals = self.originals and {name: self.originals[name] for name in names}
        return ImageSet(self.name, self.images.only(names), [], originals, lr)

    @cached_property
    def pixel_digests(self) -> dict[str, str]:
        """Digest of each image's content, by name."""
        return self.images.digests()

    @property
    def file_digests(self) -> dict[str, str]:
        """Digest of each image as it was read, by name: what tells the same picture apart."""
        return self.pixel_digests if self.originals is None else self.originals

    @cached_property
    def contents(self) -> dict[str, str]:
        """Digest of each image with its LR image, by name."""
        if self.lr is None:
            return self.pixel_digests
        low = self.lr.digests()
        return {name: digest + low[name] for name, digest in self.pixel_digests.items()}

    @property
    def by_content(self) -> list[str]:
        """The names, in the order of what they stand for, whatever they are."""
        return sorted(self.images, key=self.contents.__getitem__)

    @cached_property
    def digest(self) -> str:
        """Of all images' content, whatever their names and order."""
        joined = "".join(sorted(self.contents.values()))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]

    def check_scale(self, scale: int) -> None:
        """Raises DataError: LR images that come with the set are of another scale."""
        low = {} if self.lr is None else self.lr.shapes
        shapes = self.images.shapes
        wrong = [
            f"{name} (HR {size_of(shapes[name])}, LR {size_of(shape)})"
            for name, shape in low.items()
            if shape[:2] != (shapes[name][0] // scale, shapes[name][1] // scale)
        ]
        if wrong:
            raise DataError(
                f"{self.name}: at scale {scale} HR must be {scale} times as wide and high as LR; "
                f"{listed(wrong)}"
            )


def size_of(shape: tuple[int, ...]) -> str:
    """Of an image `(H, W, C)`, in words: `WxH`."""
    return f"{shape[1]}x{shape[0]}"


def unique_tails(paths: Sequence[Path], *, whole: bool = False) -> list[str]:
    """The shortest name of each file that no other has, in composed Unicode (NFC).

    `a`, else `a.png`, else with as many of its folders as it takes: `x/a.png`. None is absolute,
    so that the names stay when all is moved together.

    Args:
        paths: Of the files.
        whole: Never without the ending: they are folders.
    """
    parts = [unicodedata.normalize("NFC", os.path.abspath(p)).split(os.sep)[1:] for p in paths]
    names = [""] * len(paths)
    left, taken, depth = list(range(len(paths))), set[str](), int(whole)
    while left:
        form = {i: "/".join(parts[i][-depth:]) if depth else Path(parts[i][-1]).stem for i in left}
        counts = Counter(form.values())
        if depth > max(len(parts[i]) for i in left):  # NFC alone made them one
            form = {i: f"{parts[i][-1]} ({n})" for n, i in enumerate(left, 1)}
            counts = Counter(form.values())
        named = [i for i in left if counts[form[i]] == 1 and form[i] not in taken]
        for i in named:
            names[i] = form[i]
        taken.update(form[i] for i in named)
        left = [i for i in left if not names[i]]
        depth += 1
    return names


def passed_over(folder: Path) -> list[tuple[str, list[str]]]:
    """What lies in a folder and is not read: each kind in words, with the names."""
    kinds: dict[str, list[str]] = {}
    endings: Counter[str] = Counter()
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            if path.suffix.lower() not in EXTENSIONS:
                continue  # no picture, as .DS_Store
            kind = "hidden, and not read"
        elif path.is_symlink() and not path.exists():
            kind = "links that lead nowhere"
        elif path.is_dir():
            kind = "pictures in folders below are not read"
            if not _holds_pictures(path):
                continue
        elif path.name.lower() in _OF_SYSTEMS or (
            path.suffix.lower() in EXTENSIONS and path.is_file()
        ):
            continue
        else:
            kind = "kinds that are not read"
            endings[path.suffix.lower()[1:] or "no ending"] += 1
        kinds.setdefault(kind, []).append(path.name)
    counted = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(_KINDS))
    return [
        (f"{kind} ({counted})" if kind == "kinds that are not read" else kind, names)
        for kind, names in kinds.items()
    ]


def _holds_pictures(folder: Path) -> bool:
    return any(
        name.lower().endswith(EXTENSIONS) and not name.startswith(".")
        for _, _, names in os.walk(folder)
        for name in names
    )


def remarks_on(folder: Path) -> list[str]:
    """`passed_over` in lines."""
    return [f"{folder}: {said_of(names, what)}" for what, names in passed_over(folder)]


def said_of(names: Sequence[str], what: str) -> str:
    """Something of files, the first few by name: `a, b and 3 more: what`."""
    return f"{listed([unambiguous(name) for name in names])}: {what}"


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, by name.

    Raises:
        DataError: It is missing, may not be read, or holds none.
    """
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; a folder of pictures is wanted")
    try:
        found = list_images(folder)
    except PermissionError:
        raise DataError(f"{folder}: may not be read (permission denied)") from None
    for path in found:
        try:
            path.name.encode()
        except UnicodeEncodeError:
            system = sys.getfilesystemencoding()
            why = "not UTF-8"
            if system != "utf-8":  # LC_ALL=C with PYTHONUTF8=0
                why = f"Python reads names as {system} here; PYTHONUTF8=1 has it read UTF-8"
            raise DataError(f"{folder}: {path.name!r} is no valid name ({why})") from None
    if not found:
        endings = " ".join(sorted({e[1:] for e in EXTENSIONS}))
        there = "".join(f"; {said_of(names, what)}" for what, names in passed_over(folder))
        raise DataError(f"{folder}: no pictures in it (looked for {endings}){there}")
    return found


def read_pictures(what: str, pictures: Mapping[str, Path], remarks: list[str]) -> Images:
    """Read files, by the names of their images; what there is to be said is added to `remarks`.

    Args:
        what: The set, for messages.
        pictures: Name -> file.
        remarks: Added to.

    Raises:
        DataError: A file cannot be read, or the cache not be written.
    """
    paths = list(pictures.values())

    def read(path: Path) -> Made:
        try:
            state = file_state(path)
            with _ONE_LARGE if state["state"][0] > _LARGE else nullcontext():
                image, about = read_image(path)
                packed = pack(image)
        except ImageFileError as error:
            raise DataError(str(error)) from None
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
        return (packed,), {"file": state, "digest": digest_packed(packed), "remarks": about}

    def recheck(known: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        states = [same_file(p, k["file"]) for p, k in zip(paths, known, strict=True)]
        if None in states:
            return None
        return [{**k, "file": state} for k, state in zip(known, states, strict=True)]

    # By their place alone, since they are checked by content.
    key = ["files", [os.path.abspath(path) for path in paths], made_by()]
    made = kept(key, f"reading {what}", paths, read, recheck)
    remarks += gathered((path, k["remarks"]) for path, (_, k) in zip(paths, made, strict=True))
    return images_of(pictures, made)


def gathered(remarks: Iterable[tuple[Path, list[str]]]) -> list[str]:
    """Remarks on files, each with the files of a folder that it is on."""
    said: dict[tuple[Path, str], list[str]] = {}
    for path, about in remarks:
        for remark in about:
            said.setdefault((path.parent, remark), []).append(path.name)
    return [f"{folder}: {said_of(names, what)}" for (folder, what), names in said.items()]


def images_of(names: Iterable[str], made: list[Made]) -> Images:
    """Images of what `kept` gives, an image each with the digest of its pixels."""
    both = list(zip(names, made, strict=True))
    return Images.of({n: a for n, ((a,), _) in both}, {n: k["digest"] for n, (_, k) in both})


def read_folders(name: str, folders: list[Path], *, expected: int | None = None) -> ImageSet:
    """Read the pictures of one or several folders.

    Args:
        name: Of the set.
        folders: Read in this order, the files of each by name.
        expected: How many pictures there must be; None for any number but 0.

    Raises:
        DataError: A folder is missing, empty or given twice, a file cannot be read, or the count
            is wrong.
    """
    for folder in folders:
        if not folder.exists():
            get = f"srexp data fetch {folder.name}" if folder.name in known_sets() else ""
            raise DataError(
                f"{folder}: no such folder (paths.data_dir, or SREXP_DATA_DIR, says where the "
                f"known image sets lie{f'; to get this one: {get}' if get else ''})"
            )
    seen: dict[Path, Path] = {}
    for folder in folders:
        before = seen.setdefault(folder.resolve(), folder)
        if before is not folder:
            same = f"{folder}" if str(before) == str(folder) else f"{before} and {folder}"
            raise DataError(
                f"{same}: one folder, given twice; some of its pictures would be in training and "
                "in validation"
            )
    paths = [path for folder in folders for path in pictures_in(folder)]
    if expected is not None and len(paths) != expected:
        where = " and ".join(str(folder) for folder in folders)
        raise DataError(f"{where}: {count(len(paths), 'picture')}, but {name} has {expected}")
    images = read_files(name, paths)
    images.remarks += [remark for folder in folders for remark in remarks_on(folder)]
    return images


def read_files(name: str, paths: list[Path]) -> ImageSet:
    """Read picture files as a set, in this order.

    Raises:
        DataError: A file cannot be read.
    """
    remarks: list[str] = []
    pictures = dict(zip(unique_tails(paths), paths, strict=True))
    return ImageSet(name, read_pictures(name, pictures, remarks), remarks)
