"""A trained network from its run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from srexp.evaluation import cost
from srexp.evaluation.inference import upscaler
from srexp.models.upscaler import Upscaler
from srexp.tracking.record import RunFolder
from srexp.training import bundled, checkpoint, loop
from srexp.training.experiment import Experiment
from srexp.training.learner import Learner
from srexp.training.session import build_learner, build_network

if TYPE_CHECKING:
    import keras


def scored_weights(run: RunFolder | str, experiment: Experiment) -> dict[str, np.ndarray]:
    """The weights of a run that are scored, as `Learner.set_weights` takes them.

    Args:
        run: The run, or the name of a bundled network.
        experiment: Its options; the threads must be this process's.

    Raises:
        CheckpointError: Missing, damaged, or of another network.
    """
    learner = build_learner(experiment, build_network(experiment))
    if isinstance(run, str):
        bundled.set_weights(learner.network, run)
        return learner.arrays()
    _restore(run, learner, "best")
    with learner.scored_weights():
        return learner.arrays()


def _restore(run: RunFolder, learner: Learner, which: str) -> loop.Progress:
    if which == "best":
        return loop.load(checkpoint.best_path(run.checkpoints), learner)
    arrays, meta, _ = checkpoint.load_newest(run.checkpoints)
    learner.restore(arrays)
    return loop.Progress(**meta["progress"])


def load_network(
    run: RunFolder, experiment: Experiment, which: str
) -> tuple[keras.Model, loop.Progress, bool]:
    """A network with a run's scored weights (the running average where there is one).

    Args:
        run: The run.
        experiment: Its options.
        which: `best` or `last`.

    Returns:
        The network as it is used (`Model.collapse`), how far it was trained, and whether the
        weights are running averages.

    Raises:
        CheckpointError: Missing, damaged, or of another network.
    """
    learner = build_learner(experiment, build_network(experiment))
    network = learner.network
    progress = _restore(run, learner, which)
    learner.use_averages()
    return experiment.model.collapse(network), progress, learner.uses_ema


def load_upscaler(
    run: RunFolder, experiment: Experiment, which: str
) -> tuple[Upscaler, str, cost.Cost]:
    """As `load_network`, as what enlarges images.

    Returns:
        The upscaler, words for which weights these are, and what the network costs.

    Raises:
        CheckpointError: Missing, damaged, or of another network.
    """
    network, progress, averaged = load_network(run, experiment, which)
    measured = cost.measure(network, experiment.model, experiment.degradation.scale)
    made = upscaler(network, experiment.model, experiment.degradation, experiment.channels)
    chosen = "best on val" if which == "best" else "last"
    kind = "EMA" if averaged else "raw"
    return made, f"{chosen} (step {progress.step}), {kind}", measured
