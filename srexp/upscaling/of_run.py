"""The network of a run, to enlarge pictures by: exported once, kept in the run's folder."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from srexp.files import write_atomically
from srexp.tracking.record import RunError, RunFolder
from srexp.training import checkpoint
from srexp.upscaling.export import Exported, Sides, export
from srexp.upscaling.litert import LiteRT
from srexp.upscaling.method import Method
from srexp.upscaling.network import Network

_FOLDER = "export"
_FILE, _FACTS = "network.tflite", "network.json"


@dataclass(frozen=True, kw_only=True)
class _Facts(Sides):
    """What is to be known of an exported network.

    Attributes:
        weights: SHA-256 of the weights that it was made of.
        file: SHA-256 of the exported file.
    """

    weights: str
    file: str


def method_of_run(run: RunFolder) -> Method:
    """Enlarges by a run's best weights.

    The first time its network is exported (TensorFlow, some ten seconds); afterwards it is ready
    at once. A network that LiteRT cannot run is run by TensorFlow.

    Raises:
        RunError: The run is not finished, or has no sound weights, or its folder cannot be
            written to.
    """
    weights = checkpoint.best_path(run.checkpoints)
    if run.info["status"] != "FINISHED":
        raise RunError(
            f"run={run.id}: is {run.info['status']}, and only a finished run enlarges pictures; "
            f"srexp train resume={run.id} goes on with it"
        )
    try:
        digest = _sha256(weights)
        facts = _kept(run, digest)
        if facts is None:
            exported = export(run)
            content = exported.content()
            if content is None:
                return _by_tensorflow(run, digest, exported)
            facts = _keep(run, digest, exported.sides, content)
    except checkpoint.CheckpointError as error:
        raise RunError(f"run={run.id}: {error}") from None
    except OSError as error:
        named = error.filename or weights
        raise RunError(f"run={run.id}: {named}: {error.strerror or error}") from None
    file = run.folder / _FOLDER / _FILE

    def network(scale: int) -> Network:
        return facts.network(LiteRT(file))

    return Method(f"run {run.id}", facts.file[:12], (facts.scale,), network)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _kept(run: RunFolder, weights: str) -> _Facts | None:
    """What was exported of these weights, if it is sound."""
    folder = run.folder / _FOLDER
    with suppress(OSError, ValueError, TypeError):
        facts = _Facts(**json.loads((folder / _FACTS).read_text(encoding="utf-8")))
        if facts.weights == weights and _sha256(folder / _FILE) == facts.file:
            return facts
    return None


def _by_tensorflow(run: RunFolder, digest: str, exported: Exported) -> Method:
    def forward(lr: np.ndarray) -> np.ndarray:
        return exported.upscaler(lr[0])[None]

    def network(scale: int) -> Network:
        return exported.sides.network(forward)

    return Method(f"run {run.id}", digest[:12], (exported.sides.scale,), network)


def _keep(run: RunFolder, weights: str, sides: Sides, content: bytes) -> _Facts:
    digest = hashlib.sha256(content).hexdigest()
    facts = _Facts(**asdict(sides), weights=weights, file=digest)
    (run.folder / _FOLDER).mkdir(exist_ok=True)
    write_atomically(run.folder / _FOLDER / _FILE, content)
    write_atomically(run.folder / _FOLDER / _FACTS, json.dumps(asdict(facts)).encode())
    return facts
