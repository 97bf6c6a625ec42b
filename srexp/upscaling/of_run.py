"""The network of a run, to enlarge pictures by: exported once, kept in the run's folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from srexp.files import write_atomically
from srexp.quiet import quiet_import
from srexp.tracking.record import RunError, RunFolder
from srexp.training import checkpoint
from srexp.upscaling.litert import LiteRT
from srexp.upscaling.method import Method
from srexp.upscaling.network import Network

_FOLDER = "export"
_FILE, _FACTS = "network.tflite", "network.json"


@dataclass(frozen=True)
class _Facts:
    """What is to be known of an exported network.

    Attributes:
        weights: SHA-256 of the weights that it was made of.
        file: SHA-256 of the exported file.
        scale: As of `Network`, and the rest too.
        channels: Likewise.
        reach: Likewise.
        multiple: Likewise.
    """

    weights: str
    file: str
    scale: int
    channels: int
    reach: int | None
    multiple: int

    def network(self, forward: Any) -> Network:
        return Network(self.scale, self.channels, self.reach, self.multiple, forward)


def method_of_run(run: RunFolder) -> Method:
    """Enlarges by a run's best weights.

    The first time its network is exported (TensorFlow, some ten seconds); afterwards it is ready
    at once.

    Raises:
        RunError: The run is not finished, or has no sound weights.
    """
    weights = checkpoint.best_path(run.checkpoints)
    if run.info["status"] != "FINISHED":
        raise RunError(
            f"run={run.id}: is {run.info['status']}, and only a finished run enlarges pictures; "
            f"srexp train resume={run.id} goes on with it"
        )
    try:
        digest = _sha256(weights)
    except OSError as error:
        raise RunError(f"run={run.id}: {weights}: cannot be read ({error.strerror})") from None
    facts = _kept(run, digest)
    if facts is None:
        facts = _export(run, digest)
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


def _export(run: RunFolder, weights: str) -> _Facts:
    from srexp.running.evaluation import experiment_here
    from srexp.training.experiment import Paths

    here = Paths(run.folder.parent, Path(run.config["paths"]["data_dir"]))
    experiment = experiment_here(run, here)
    with quiet_import():
        from srexp.evaluation.inference import upscaler
        from srexp.models.enlarge import network_from_lr
        from srexp.training.trained import load_network

        network, _, _ = load_network(run, experiment, "best")
        made = upscaler(network, experiment.model, experiment.degradation, experiment.channels)
        field = made.receptive_field
        factor = experiment.model.input_factors(experiment.degradation.scale)[0]
        # Both in pixels of the network's first input, which may be the enlarged image.
        reach = None if field is None else -(-field.reach // factor) + made.kernel_reach
        multiple = experiment.model.size_multiple
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, _FILE)
            network_from_lr(network, made).export(file, format="litert", verbose=False)
            content = Path(file).read_bytes()
    facts = _Facts(
        weights,
        hashlib.sha256(content).hexdigest(),
        experiment.degradation.scale,
        experiment.channels,
        reach,
        multiple // math.gcd(multiple, factor),
    )
    (run.folder / _FOLDER).mkdir(exist_ok=True)
    write_atomically(run.folder / _FOLDER / _FILE, content)
    write_atomically(run.folder / _FOLDER / _FACTS, json.dumps(asdict(facts)).encode())
    return facts
