"""Checkpoints: one file of arrays with a JSON member and a checksum.

A file is written beside its place, flushed to the disk and renamed, so that a crash leaves the
old one or the new one, never half of either. Nothing in it is code: arrays are read without
pickle and the rest as JSON. A folder holds the newest ones, `step-NNNNNNN.npz`, and `best.npz`.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srexp.files import write_atomically

FORMAT = 3


def _renamed_score(meta: dict[str, Any]) -> dict[str, Any]:
    """Format 1 knew PSNR alone to choose weights by."""
    progress = dict(meta["progress"])
    progress["best_score"] = progress["reference"] = progress.pop("best_psnr")
    return {**meta, "progress": progress}


def _named_scalars(meta: dict[str, Any]) -> dict[str, Any]:
    """Format 2 knew the loss alone (and named arrays by their place: see `Learner.restore`)."""
    progress = dict(meta["progress"])
    losses = progress.pop("losses", [])
    progress["scalars"] = {"loss": losses} if losses else {}
    return {**meta, "progress": progress}


# A step turns the plain data of format n into that of n + 1.
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _renamed_score,
    2: _named_scalars,
}


class CheckpointError(ValueError):
    """A checkpoint that is missing, cut short, altered, or of another network."""


class NewerFormatError(CheckpointError):
    """A sound checkpoint that only a newer srexp can read."""


def _checksum(arrays: dict[str, np.ndarray], meta: str) -> str:
    sha = hashlib.sha256(meta.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()


def save(path: Path, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write a checkpoint.

    Args:
        path: The file.
        arrays: Name -> array.
        meta: Plain data (step, scores, identity).

    Raises:
        OSError: The disk is full; what was there before still is.
    """
    text = json.dumps({"format": FORMAT, **meta}, sort_keys=True)
    members = {
        **arrays,
        "meta": np.frombuffer(text.encode(), np.uint8),
        "sha256": np.frombuffer(_checksum(arrays, text).encode(), np.uint8),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **members)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read a checkpoint: arrays and plain data.

    Raises:
        CheckpointError: Missing, cut short, altered (checksum), or from a newer srexp.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text = arrays.pop("meta").tobytes().decode()
        stated = arrays.pop("sha256").tobytes().decode()
    except Exception as error:  # a damaged archive raises almost anything
        raise CheckpointError(f"{path}: cut short or damaged ({error})") from None
    if stated != _checksum(arrays, text):
        raise CheckpointError(f"{path}: damaged (its checksum does not match its content)")
    meta = json.loads(text)
    if meta["format"] > FORMAT:
        raise NewerFormatError(
            f"{path}: written by a newer srexp (format {meta['format']}, this one reads {FORMAT})"
        )
    for step in range(meta["format"], FORMAT):
        meta = UPGRADES[step](meta)
    return arrays, meta


def fingerprint(path: Path) -> str:
    """Eight hexadecimal digits that stand for the content.

    Raises:
        CheckpointError: Missing or damaged.
    """
    arrays, _ = load(path)
    return _checksum(arrays, "")[:8]


def step_path(folder: Path, step: int) -> Path:
    """The file of the checkpoint of a step."""
    return folder / f"step-{step:07d}.npz"


def best_path(folder: Path) -> Path:
    """The file of the best checkpoint."""
    return folder / "best.npz"


def aside_path(folder: Path) -> Path:
    """The file of the best checkpoint that is gone on from, where another is scored (see loop)."""
    return folder / "best-before.npz"


def newest(folder: Path) -> list[Path]:
    """The files of the newest checkpoints, the newest first."""
    steps = [path for path in folder.glob("step-*.npz") if path.stem[5:].isdigit()]
    steps.sort(key=lambda path: int(path.stem[5:]), reverse=True)
    older = folder / "last.npz"  # as format 1 called the only one
    return [*steps, older] if older.exists() else steps


def exist(folder: Path) -> bool:
    """Whether there is any checkpoint, sound or not."""
    return bool(newest(folder)) or best_path(folder).exists()


def load_newest(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any], list[str]]:
    """Read the newest checkpoint that is sound.

    Returns:
        Arrays, plain data, and what is wrong with the newer ones.

    Raises:
        CheckpointError: There is none, or none that is sound; or one that is found on the way is
            of a newer srexp.
    """
    sound = None
    faults: list[str] = []
    for path in newest(folder):
        try:
            sound = load(path)
            break
        except NewerFormatError:
            raise
        except CheckpointError as error:
            faults.append(str(error))
    if sound is None or faults:  # the best one may be newer than the newest sound one
        try:
            best = load(best_path(folder))
            if sound is None or best[1]["progress"]["step"] > sound[1]["progress"]["step"]:
                sound = best
        except CheckpointError:
            pass
    if sound is None:
        raise CheckpointError("; ".join(faults) or f"{folder}: holds no checkpoint")
    return *sound, faults


def keep_as_best(path: Path) -> None:
    """Make a checkpoint the best one as well: a copy, so that no damage hits both."""
    write_atomically(best_path(path.parent), path.read_bytes())


def set_best_aside(folder: Path) -> None:
    """Keep the best checkpoint where the next `keep_as_best` leaves it alone."""
    write_atomically(aside_path(folder), best_path(folder).read_bytes())


def remove_old(folder: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints; the best one stays."""
    for path in newest(folder)[keep:]:
        path.unlink(missing_ok=True)


def remove_beyond(folder: Path, step: int) -> None:
    """Remove the checkpoints of later steps: damaged ones, or they would not be beyond."""
    for path in folder.glob("step-*.npz"):
        if path.stem[5:].isdigit() and int(path.stem[5:]) > step:
            path.unlink(missing_ok=True)
