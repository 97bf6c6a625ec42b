"""SR images as files: read where another program made them, written where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srexp.data.names import match_names, one_each
from srexp.data.sets import (
    DataError,
    gathered,
    listed,
    passed_over,
    pictures_in,
    remarks_on,
    said_of,
)
from srexp.evaluation.scoring import Case, Task
from srexp.files import file_name, write_atomically
from srexp.images.colour import grey_of_rgb
from srexp.images.io import ImageFileError, read_image, size_of, stored_as, to_png
from srexp.images.quantize import pack, round_8bit


def save_sr(folder: Path, name: str, sr: np.ndarray) -> None:
    """Keep one SR image `[H, W, 1 or 3]` as an 8-bit PNG, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{file_name(name)}.png", to_png(sr))


def _check_sizes(files: Mapping[str, Path], task: Task) -> None:
    """Raises DataError: One is no picture, or not of its HR image's size; before any is scored."""
    scale = task.degradation.scale
    for name, path in files.items():
        height, width = (side - side % scale for side in task.images.images.shapes[name][:2])
        try:
            wide, high = size_of(path)
        except ImageFileError as error:
            raise DataError(str(error)) from None
        if (wide, high) != (width, height):
            raise DataError(
                f"{path}: is {wide}x{high}, and {name} of {task.images.name} is {width}x{height} "
                f"at scale {scale}"
            )


@dataclass
class SavedImages:
    """SR images of a task in a folder, 8-bit grey or RGB, whoever made them.

    Attributes:
        task: What they are scored on.
        files: The file of each HR image.
        remarks: What a person should know of them.
    """

    task: Task
    files: dict[str, Path]
    remarks: list[str]

    @classmethod
    def find(cls, folder: Path, task: Task) -> SavedImages:
        """Match files to the images of a task.

        Args:
            folder: That of the task in it (`FOLDER/set5_x2/y_paper`, as `save_sr` makes them), or
                of the set (`FOLDER/set5_x2`, `FOLDER/set5`), or the files themselves.
            task: What they are scored on.

        Raises:
            DataError: Files are missing, or an image has several.
        """
        nested = [folder / task.key, (folder / task.key).parent, folder / task.images.name]
        folder = next((path for path in nested if path.is_dir()), folder)
        try:
            pictures = pictures_in(folder)
        except DataError as error:
            raise DataError(f"sr_dir: {error}") from None
        try:
            found = match_names(list(task.images.images), pictures)
            files = one_each(found, f"{folder}, {task.images.name}")
        except DataError as error:
            there = "".join(f"; {said_of(names, what)}" for what, names in passed_over(folder))
            raise DataError(f"sr_dir: {error}{there}") from None
        _check_sizes(files, task)
        remarks = remarks_on(folder)
        if found[""]:
            others = listed([path.name for path in found[""]])
            remarks.append(f"{folder}: pictures of no image of {task.images.name}: {others}")
        stored = {path: stored_as(path) for path in files.values()}
        deep = [path.name for path, kind in stored.items() if kind.bits > 8]
        if deep:
            raise DataError(f"{folder}: more than 8 bits a channel: {listed(deep)}; save 8")
        odd = [path for path, kind in stored.items() if kind.alpha or kind.frames > 1]
        try:
            remarks += gathered((path, read_image(path)[1]) for path in odd)
        except ImageFileError as error:
            raise DataError(str(error)) from None
        shapes = task.images.images.shapes
        grey = [
            path.name
            for name, path in files.items()
            if stored[path].mode in ("L", "1", "LA") and shapes[name][2] == 3
        ]
        if grey and task.protocol.channels == 1:
            remarks.append(f"{folder}: grey files of colour images are taken as Y: {listed(grey)}")
        lossy = [path.name for path, kind in stored.items() if kind.lossy]
        if lossy:
            remarks.append(f"{folder}: what JPEG or WebP has lost is scored too: {listed(lossy)}")
        return cls(task, files, remarks)

    def __call__(self, case: Case) -> np.ndarray:
        """The SR image of a case, with its channels: `[H, W, 1 or 3]` in [0, 1].

        Luma of a colour file is taken where the protocol works on luma.

        Raises:
            DataError: It cannot be read, or is not what was asked for.
        """
        path = self.files[case.name]
        try:
            image, _ = read_image(path)
        except ImageFileError as error:
            raise DataError(str(error)) from None
        if pack(image).dtype != np.uint8:
            raise DataError(f"{path}: has more than 8 bits; save it with 8")
        channels = case.hr.shape[2]
        if image.shape[2] == channels:
            return image
        grey = self.task.images.images.shapes[case.name][2] == 1
        if grey and channels == 1:
            return round_8bit(grey_of_rgb(image))  # Y of a grey picture is the picture: see `luma`
        if not grey and channels == 3:
            raise DataError(
                f"{path}: is grey, and protocol {self.task.protocol_name} works on colour "
                "(protocol=y_paper scores luma)"
            )
        return self.task.protocol.works_on(image)
