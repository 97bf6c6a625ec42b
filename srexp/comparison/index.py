"""All runs under an output folder and what they scored, without reading every file each time.

`.index.jsonl` in the output folder keeps what was read from each run folder, with the size, time
and number (inode) of the files it came from. It holds nothing of its own: where one of them has
changed its run is read again, and an index that is missing, damaged or of another srexp is made
anew. How large a run is depends on files that are not looked at one by one; that is measured again
where the time of the run folder or of a folder directly in it has changed: where something was
added, removed or replaced there. What changes deeper, or within a file, is not seen so.
It is replaced as a whole, so several processes at once need no lock; where the folder may not be
written, there is none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srexp import __version__
from srexp.comparison.results import find_files, read_run
from srexp.files import write_atomically
from srexp.tracking.record import RunError, RunFolder

if TYPE_CHECKING:
    from srexp.comparison.summary import Summary

NAME = ".index.jsonl"
# Another number wherever what stands in a line, or how it is computed, changes.
FORMAT = 2


@dataclass(frozen=True)
class Entry:
    """One run. What was not asked for may be missing.

    Attributes:
        run: Its folder.
        steps: That it is to be trained for; None if its configuration cannot be read.
        bytes: Of all its files, as of the last change that the module says is seen.
        scores: `Summary.to_json` of each task that it was scored on.
        faults: Tables that were passed over, and why.
    """

    run: RunFolder
    steps: int | None
    bytes: int | None
    scores: list[dict[str, Any]] | None
    faults: list[str]

    @property
    def summaries(self) -> list[Summary]:
        """Its scores."""
        from srexp.comparison.summary import from_json  # NumPy, which a list of runs needs not

        return [from_json(score) for score in self.scores or ()]


def indexed(output_dir: Path, *, scores: bool = False, sizes: bool = False) -> list[Entry]:
    """All runs directly under a folder, the oldest first; unreadable ones are passed over.

    Those that were killed are marked so.

    Args:
        output_dir: Where the runs are.
        scores: Whether to say what they scored.
        sizes: Whether to say how many steps they have and how large they are.
    """
    kept = _read(output_dir)
    lines: dict[str, bytes] = {}
    entries = []
    for folder in _run_folders(output_dir):
        line, record = kept.get(folder.name, (b"", {}))
        files = find_files(folder)
        stamp = _stamp(folder, files)
        try:
            if record.get("stamp") != stamp:
                info = RunFolder.open(folder).info
                record = {"folder": folder.name, "stamp": stamp, "info": info}
            run = RunFolder(folder, record["info"])
        except RunError:
            continue
        missing = {
            **(_scores(run, files) if scores and "scores" not in record else {}),
            **(_sizes(run, record) if sizes else {}),
        }
        if missing or not line or record is not kept[folder.name][1]:
            record |= missing
            line = json.dumps(record, separators=(",", ":")).encode()
        lines[folder.name] = line
        run.settle()
        entries.append(_entry(run, record))
    if lines != {name: line for name, (line, _) in kept.items()}:
        _write(output_dir, list(lines.values()))
    return sorted(entries, key=lambda entry: entry.run.info.get("created", 0))


def planned_steps(config: Mapping[str, Any]) -> int | None:
    """How many a configuration asks for; None where it is damaged."""
    try:
        return int(config["trainer"]["steps"])
    except (KeyError, TypeError, ValueError):
        return None


def folder_size(folder: Path | str) -> int:
    """Bytes of all files in a folder, links not followed."""
    total = 0
    try:
        with os.scandir(folder) as inside:
            for item in inside:
                if item.is_dir(follow_symlinks=False):
                    total += folder_size(item.path)
                else:
                    total += item.stat(follow_symlinks=False).st_size
    except OSError:
        pass  # a temporary file of a running training
    return total


def _run_folders(output_dir: Path) -> list[Path]:
    try:
        names = sorted(item.name for item in os.scandir(output_dir) if item.is_dir())
    except OSError:
        return []
    return [output_dir / name for name in names if not name.startswith(".")]  # being removed


# What is read from a run folder.


def _stamp(folder: Path, files: list[Path]) -> list[list[Any]]:
    """Path, size, time and inode of the files that say all: a file that was replaced is another."""
    stamp = []
    for path in (folder / "run.json", folder / "config.json", *files):
        try:
            stat = os.stat(path)
        except OSError:
            continue  # an earlier srexp's, or being removed
        name = str(path)[len(str(folder)) + 1 :]
        stamp.append([name, stat.st_size, stat.st_mtime_ns, stat.st_ino])
    return stamp


def _scores(run: RunFolder, files: list[Path]) -> dict[str, Any]:
    from srexp.comparison.summary import find_timing, summarize, to_json

    results = read_run(run, files)
    scores = [
        to_json(summarize(evaluation, timing=find_timing(evaluation, files)))
        for evaluation in results.evaluations.values()
    ]
    return {"scores": scores, "faults": results.faults}


def _sizes(run: RunFolder, record: dict[str, Any]) -> dict[str, Any]:
    """What is missing or no longer holds; nothing where a record is good."""
    times = _folder_times(run.folder)  # before the size: what changes meanwhile is seen next time
    if record.get("folder_times") == times:
        return {}
    try:
        steps = planned_steps(run.config)
    except RunError:  # of a newer srexp, or damaged
        steps = None
    return {"steps": steps, "bytes": folder_size(run.folder), "folder_times": times}


def _folder_times(folder: Path) -> list[int]:
    """When something was last added to or removed from a folder, and those directly in it."""
    try:
        with os.scandir(folder) as inside:
            below = [
                item.stat().st_mtime_ns for item in inside if item.is_dir(follow_symlinks=False)
            ]
        return [os.stat(folder).st_mtime_ns, *sorted(below)]
    except OSError:
        return []  # being removed


def _entry(run: RunFolder, record: dict[str, Any]) -> Entry:
    size = record.get("bytes")
    if size is not None and run.info["status"] == "RUNNING":
        size = folder_size(run.folder)  # it grows
    return Entry(run, record.get("steps"), size, record.get("scores"), record.get("faults", []))


# The file.


def _read(output_dir: Path) -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Folder -> its line, as bytes and as data; nothing if the index cannot be trusted."""
    try:
        head, body = (output_dir / NAME).read_bytes().split(b"\n", 1)
        if json.loads(head) != _head(body):
            return {}
        lines = body.splitlines()
        return {record["folder"]: (line, record) for line in lines for record in [json.loads(line)]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write(output_dir: Path, lines: list[bytes]) -> None:
    body = b"".join(line + b"\n" for line in lines)
    try:
        write_atomically(output_dir / NAME, json.dumps(_head(body)).encode() + b"\n" + body)
    except OSError:
        pass  # somebody else's folder, or a full disk: it is only slower


def _head(body: bytes) -> dict[str, Any]:
    return {"format": FORMAT, "srexp": __version__, "crc32": zlib.crc32(body)}
