"""Benchmarks whose HR images were cropped for each scale, in a folder each."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from srexp.data.sets import DataError, ImageSet, read_files
from srexp.data.sources import Benchmark, FolderBenchmark
from srexp.images.io import list_images
from srexp.paths import checked
from srexp.words import count


def load_for_scale(option: Benchmark, name: str, scale: int) -> ImageSet:
    """The images of a benchmark for one scale.

    A folder without pictures of its own may hold one for each scale: `x3`, `3` or `image_SRF_3`.
    Where HR images (`*_HR.png`) lie among their LR images (`*_LR.png`), as in SelfExSR's copies of
    the sets, HR alone is read.

    Args:
        option: The benchmark.
        name: For tables.
        scale: Which.

    Raises:
        DataError: Missing or unreadable.
    """
    folder = checked(f"benchmark.{name}.dir", getattr(option, "dir", None) or ".")
    readable = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    if not isinstance(option, FolderBenchmark) or not readable:
        return option.load(name)  # which says what is wrong with it
    within = folder if list_images(folder) else _folder_of(folder, scale, name)
    paths = list_images(within)
    hr = [path for path in paths if path.stem.endswith("_HR")]
    if not any(path.stem.endswith("_LR") for path in paths) or not hr:
        # Cropped, the images are no longer those of the digest.
        digest = option.expected_digest if within == folder else None
        return replace(option, dir=str(within), expected_digest=digest).load(name)
    if option.expected_images not in (None, len(hr)):
        raise DataError(
            f"benchmark.{name}.dir: {within}: {count(len(hr), 'HR picture')}, but {name} has "
            f"{option.expected_images}"
        )
    return read_files(name, hr)


def _folder_of(folder: Path, scale: int, name: str) -> Path:
    wanted = re.compile(rf"(x|image_srf_)?{scale}", re.IGNORECASE)
    found = [path for path in folder.iterdir() if path.is_dir() and wanted.fullmatch(path.name)]
    if len(found) == 1:
        return found[0]
    several = " and ".join(sorted(path.name for path in found))
    problem = f"both {several}" if found else f"no folder x{scale} or image_SRF_{scale}"
    raise DataError(
        f"benchmark.{name}.dir: {folder}: holds no pictures itself, and {problem} for scale {scale}"
    )
