"""A set of images with a name and a digest of its content."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from srexp.data.known import known_sets
from srexp.images.io import EXTENSIONS, ImageFileError, list_images, read_image
from srexp.images.quantize import pack
from srexp.options import OptionError


class DataError(OptionError):
    """Images that are missing or cannot be used, in one line."""


def pixels_digest(image: np.ndarray) -> str:
    """SHA-256 of an image's pixels and shape, the same for BMP and PNG."""
    packed = pack(image)
    return hashlib.sha256(f"{packed.dtype} {packed.shape}".encode() + packed.tobytes()).hexdigest()


@dataclass
class ImageSet:
    """Named images, `[H, W, 1 or 3]` float32 in [0, 1], in a fixed order.

    Attributes:
        name: For tables and metrics: `set5`, `val`.
        images: Name -> image.
        remarks: What a person should know about the reading of them.
        originals: Digest of each file's pixels, where `images` were prepared since; else None.
    """

    name: str
    images: dict[str, np.ndarray]
    remarks: list[str] = field(default_factory=list)
    originals: dict[str, str] | None = None

    @cached_property
    def pixel_digests(self) -> dict[str, str]:
        """Digest of each image's content, by name."""
        return {name: pixels_digest(image) for name, image in self.images.items()}

    @property
    def file_digests(self) -> dict[str, str]:
        """Digest of each image as it was read, by name: what tells the same picture apart."""
        return self.pixel_digests if self.originals is None else self.originals

    @cached_property
    def digest(self) -> str:
        """Of all images' content, whatever their names and order."""
        joined = "".join(sorted(self.pixel_digests.values()))
        return hashlib.sha256(joined.encode()).hexdigest()[:16]


def _unique_names(paths: list[Path]) -> list[str]:
    """The shortest name of each file that no other has: `a`, else `folder/a.png`, else its path."""
    forms = [
        [path.stem for path in paths],
        [f"{path.parent.name}/{path.name}" for path in paths],
        [str(path) for path in paths],
    ]
    counts = [Counter(form) for form in forms]
    return [
        next(form[i] for form, count in zip(forms, counts, strict=True) if count[form[i]] == 1)
        for i in range(len(paths))
    ]


def read_folders(name: str, folders: list[Path], *, expected: int | None = None) -> ImageSet:
    """Read the pictures of one or several folders.

    Args:
        name: Of the set.
        folders: Read in this order, the files of each by name.
        expected: How many pictures there must be; None for any number but 0.

    Raises:
        DataError: A folder is missing or empty, a file cannot be read, or the count is wrong.
    """
    paths: list[Path] = []
    for folder in folders:
        if not folder.exists():
            get = f"srexp data fetch {folder.name}" if folder.name in known_sets() else ""
            raise DataError(
                f"{folder}: no such folder (paths.data_dir, or SREXP_DATA_DIR, says where the "
                f"known image sets lie{f'; to get this one: {get}' if get else ''})"
            )
        if not folder.is_dir():
            raise DataError(f"{folder}: is a file; a folder of pictures is wanted")
        try:
            found = list_images(folder)
        except PermissionError:
            raise DataError(f"{folder}: may not be read (permission denied)") from None
        if not found:
            endings = " ".join(sorted({e[1:] for e in EXTENSIONS}))
            raise DataError(
                f"{folder}: no pictures in it (looked for {endings}, not in subfolders)"
            )
        paths += found
    if expected is not None and len(paths) != expected:
        where = " and ".join(str(folder) for folder in folders)
        raise DataError(f"{where}: {len(paths)} pictures, but {name} has {expected}")
    return read_files(name, paths)


def read_files(name: str, paths: list[Path]) -> ImageSet:
    """Read picture files as a set, in this order.

    Raises:
        DataError: A file cannot be read.
    """
    images: dict[str, np.ndarray] = {}
    remarks: list[str] = []
    for path, unique in zip(paths, _unique_names(paths), strict=True):
        try:
            images[unique], remark = read_image(path)
        except ImageFileError as error:
            raise DataError(str(error)) from None
        if remark:
            remarks.append(remark)
    return ImageSet(name, images, remarks)
