"""Which file belongs to which HR image: by name, also with the suffixes that programs add."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from srexp.data.sets import DataError, listed
from srexp.files import file_name
from srexp.images.io import EXTENSIONS

# What may stand after an HR image's name: `_SwinIR`, `-out`, `x2` (DIV2K), ` (1)`.
_SUFFIX = re.compile(r"[_\-. (]|x\d")


def match_names(names: Sequence[str], files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by the HR image that they belong to; those of no image stand under an empty name.

    A file belongs to the image whose name it has, or begins with (`baby_x2_SwinIR`, `0801x4`);
    to the longest such name, so that `img_1_b_SwinIR` is of `img_1_b` and not of `img_1`.
    Upper and lower case, and a `_HR` or `_GT` at the end of an HR image's own name, do not count,
    nor how accents are encoded. A file that `file_name` has named is of the image that it names.

    Args:
        names: Of the HR images, as in `ImageSet`.
        files: In any folder.

    Raises:
        DataError: A file may be of two HR images that its name does not tell apart.
    """
    own = {_composed(file_name(name)): name for name in names}
    keys: dict[str, list[str]] = {}
    for name in names:
        path = Path(name)  # where two files had the same name, with their folders
        stem = path.stem if path.suffix.lower() in EXTENSIONS else path.name
        keys.setdefault(re.sub(r"[_-](hr|gt)$", "", _plain(stem)), []).append(name)
    found: dict[str, list[Path]] = {name: [] for name in (*names, "")}
    for path in files:
        ours = own.get(_composed(path.stem))
        if ours is not None:
            found[ours].append(path)
            continue
        stem = _plain(path.stem)
        fitting = [k for k in keys if stem.startswith(k) and _is_suffix(stem[len(k) :])]
        several = keys[max(fitting, key=len)] if fitting else [""]
        if len(several) > 1:
            raise DataError(
                f"{path.name}: of {' or '.join(several)}? these HR images have the same name but "
                "for its end"
            )
        found[several[0]].append(path)
    return found


def _composed(text: str) -> str:
    """In the Unicode form of most systems; macOS takes letters and their accents apart."""
    return unicodedata.normalize("NFC", text)


def _plain(text: str) -> str:
    return _composed(_composed(text).casefold())


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
