"""A run, or a bundled network, as a file for other programs.

Where it goes, what is said of it, what it is tried on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srexp import __version__
from srexp.images.resize import resize
from srexp.options import OptionError
from srexp.tracking.record import RunError, RunFolder
from srexp.upscaling import formats
from srexp.upscaling.export import Exported, export


@dataclass(frozen=True)
class Done:
    """Attributes:
    path: The file or folder.
    nbytes: Its size.
    weights: How they are kept.
    parity: How far its results are off the network's; None where nothing here runs the file.
    facts: What stands in it.
    """

    path: Path
    nbytes: int
    weights: str
    parity: formats.Parity | None
    facts: dict[str, Any]


# Parts of a configuration that say nothing of the network, but where its files are.
_HERE = ("paths", "tracking", "data", "benchmark", "resume", "init_from", "metric")


def export_run(run: RunFolder, kind: str, **options: Any) -> Done:
    """Write a finished run's network as one of `formats.KINDS`; whole, or not at all.

    Args:
        run: The run.
        kind: Of file.
        options: `path`, `weights`, `overwrite` and `licence`, as of `_written`.

    Raises:
        RunError: The run is not finished.
        CheckpointError: Its weights are missing, or damaged.
        OptionError: Such a file cannot be made, or is there.
        OSError: It cannot be written.
    """
    if run.info["status"] != "FINISHED":
        raise RunError(
            f"run={run.id}: is {run.info['status']}, and only a finished run is exported; "
            f"srexp train resume={run.id} goes on with it"
        )

    def made() -> tuple[Exported, dict[str, Any]]:
        about = {"run": run.id, "scores": run.info.get("result")}
        return export(run), {**about, "configuration": run.config}

    return _written(made, run.id, run.config["degradation"]["scale"], kind, **options)


def export_bundled(name: str, scale: int, kind: str, **options: Any) -> Done:
    """As `export_run`, a network that comes with srexp.

    Args:
        name: `clean` or another of `bundled.KINDS`.
        scale: Of the network.
        kind: Of file.
        options: As of `export_run`.
    """
    from srexp.upscaling import of_bundled

    def made() -> tuple[Exported, dict[str, Any]]:
        network, config, facts = of_bundled.keras_network(name, scale)
        about = {"bundled": f"tiny {name}", "scores": facts["result"]}
        return network, {**about, "configuration": config}

    return _written(made, f"tiny_{name}", scale, kind, **options)


def _written(
    make: Callable[[], tuple[Exported, dict[str, Any]]],
    name: str,
    scale: int,
    kind: str,
    *,
    path: Path | None = None,
    weights: str | None = None,
    overwrite: bool = False,
    licence: str = "",
) -> Done:
    """Check, make the network, write it.

    Args:
        make: Gives the network and what is to be said of it.
        name: Of the file, where `path` is None: `NAME_xSCALE` with the kind's ending, in the
            current folder.
        scale: Likewise.
        kind: Of file.
        path: Where.
        weights: How they are kept; None for the kind's usual way.
        overwrite: Replace what is there.
        licence: Of the weights, as text.
    """
    known = formats.KINDS[kind]
    weights = weights or known.weights[0]
    formats.check(kind, weights)
    if path is None:
        path = Path(f"{name}_x{scale}{known.ending}")
    elif path.suffix != known.ending:
        wanted = f"must end in {known.ending}" if known.ending else "is a folder, without an ending"
        raise OptionError(f"-o {path}: {wanted} for --format {kind}")
    if os.path.lexists(path):
        _check_replaceable(path, kind, overwrite)
    from srexp.models.enlarge import clipped

    exported, about = make()
    sides = exported.sides
    config = about.pop("configuration")
    facts = {
        "made_by": f"srexp {__version__}", **about, "step": exported.step,
        "running_average": exported.averaged, "scale": scale,
        "channels": "RGB" if sides.channels == 3 else "Y, studio range over 255",
        "layout": "[N, height, width, channels]", "input_range": [0, 1], "output_range": [0, 1],
        "sides_divide_by": sides.multiple, "reach_in_lr_pixels": sides.reach,
        "licence": licence or None,
        # Without what is of this machine alone.
        "configuration": {k: v for k, v in config.items() if k not in _HERE},
    }  # fmt: skip
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        network = clipped(exported.whole)
        pictures = _pictures(sides.channels, sides.multiple)
        parity, facts = formats.write(
            network, exported.upscaler, beside, kind, weights, pictures, facts
        )
        _put(beside, path)
    finally:
        formats.remove(beside)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Done(path, sum(file.stat().st_size for file in files), weights, parity, facts)


def _check_replaceable(path: Path, kind: str, overwrite: bool) -> None:
    """Raises OptionError: it may not be replaced, or is something else than such a file."""
    if not overwrite:
        raise OptionError(f"{path}: is there; to replace it: --overwrite")
    if path.is_symlink():
        raise OptionError(f"{path}: is a link; give -o what it leads to")
    saved_model = (path / "saved_model.pb").is_file() or (path.is_dir() and not any(path.iterdir()))
    if not (saved_model if kind == "savedmodel" else path.is_file()):
        wanted = "a SavedModel" if kind == "savedmodel" else "a file"
        raise OptionError(f"{path}: is not {wanted}, and is not replaced")


def _put(made: Path, path: Path) -> None:
    """Where it shall be; what was there goes once the new one is in its place."""
    if not path.is_dir():
        made.replace(path)
        return
    before = path.with_name(f".{os.getpid()}.before.{path.name}")
    path.rename(before)
    made.rename(path)
    formats.remove(before)


def _pictures(channels: int, multiple: int) -> list[np.ndarray]:
    """A photograph made smaller, and parts of it: odd, narrow, and the smallest."""
    from sklearn.datasets import load_sample_image

    photo = load_sample_image("flower.jpg").astype(np.float32) / 255
    lr = np.clip(resize(photo, (213, 320), "bicubic"), 0, 1)[..., :channels]
    sizes = [(128, 160), (37, 53), (1, 64), (64, 1), (3, 3), (1, 1)]
    rounded = [tuple(-(-side // multiple) * multiple for side in size) for size in sizes]
    return [np.ascontiguousarray(lr[40 : 40 + h, 90 : 90 + w]) for h, w in rounded]
