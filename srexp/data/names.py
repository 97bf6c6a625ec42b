"""Which file belongs to which HR image: by name, also with the suffixes that programs add."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from srexp.data.sets import DataError, listed
from srexp.images.io import EXTENSIONS

# What may stand after an HR image's name: `_SwinIR`, `-out`, `x2` (DIV2K), ` (1)`.
_SUFFIX = re.compile(r"[_\-. (]|x\d")


def match_names(names: Sequence[str], files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by the HR image that they belong to; those of no image stand under an empty name.

    A file belongs to the image whose name it has, or begins with (`baby_x2_SwinIR`, `0801x4`);
    to the longest such name, so that `img_1_b_SwinIR` is of `img_1_b` and not of `img_1`.
    Upper and lower case, and a `_HR` or `_GT` at the end of an HR image's own name, do not count.

    Args:
        names: Of the HR images, as in `ImageSet`.
        files: In any folder.

    Raises:
        DataError: Two HR images cannot be told apart.
    """
    keys: dict[str, str] = {}
    for name in names:
        path = Path(name)  # where two files had the same name, with their folders
        stem = path.stem if path.suffix.lower() in EXTENSIONS else path.name
        key = re.sub(r"[_-](hr|gt)$", "", stem.casefold())
        if key in keys:
            raise DataError(f"HR images {keys[key]} and {name} have the same name but for its end")
        keys[key] = name
    found: dict[str, list[Path]] = {name: [] for name in (*names, "")}
    for path in files:
        stem = path.stem.casefold()
        fitting = [k for k in keys if stem.startswith(k) and _is_suffix(stem[len(k) :])]
        found[keys[max(fitting, key=len)] if fitting else ""].append(path)
    return found


def _is_suffix(rest: str) -> bool:
    return not rest or _SUFFIX.match(rest) is not None


def one_each(found: dict[str, list[Path]], where: str) -> dict[str, Path]:
    """The file of each HR image.

    Args:
        found: As `match_names` gives it.
        where: What is said to lack files: `benchmark.pairs.lr_dir=DIR`.

    Raises:
        DataError: An image has none or several; names them.
    """
    missing = [name for name, paths in found.items() if name and not paths]
    if missing:
        raise DataError(f"{where}: no picture of {listed(missing)}")
    for name, paths in found.items():
        if name and len(paths) > 1:
            files = ", ".join(path.name for path in paths)
            raise DataError(f"{where}: several pictures of {name} ({files}); one is wanted")
    return {name: paths[0] for name, paths in found.items() if name}
