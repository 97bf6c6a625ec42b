"""Checkpoints: one file of arrays with a JSON member and a checksum.

A file is written beside its place, flushed to the disk and renamed, so that a crash leaves the
old one or the new one, never half of either. Nothing in it is code: arrays are read without
pickle and the configuration as JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from srexp.files import write_atomically

FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint that is missing, cut short, altered, or of another network."""


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
        raise CheckpointError(
            f"{path}: written by a newer srexp (format {meta['format']}, this one reads {FORMAT})"
        )
    return arrays, meta
