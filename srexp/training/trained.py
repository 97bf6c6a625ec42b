"""A trained network from its run folder."""

from __future__ import annotations

from srexp.evaluation import cost
from srexp.evaluation.inference import forward
from srexp.models.upscaler import Upscaler
from srexp.tracking.record import RunFolder
from srexp.training import loop
from srexp.training.experiment import Experiment
from srexp.training.learner import Learner
from srexp.training.session import build_network


def load_upscaler(
    run: RunFolder, experiment: Experiment, which: str
) -> tuple[Upscaler, str, cost.Cost]:
    """An upscaler with a run's scored weights (the running average where there is one).

    Args:
        run: The run.
        experiment: Its options.
        which: `best` or `last`.

    Returns:
        The upscaler, words for which weights these are, and what the network costs.

    Raises:
        CheckpointError: Missing, damaged, or of another network.
    """
    network = build_network(experiment)
    optimizer = experiment.optimizer.build(experiment.schedule, ema=experiment.trainer.ema)
    learner = Learner(
        network,
        optimizer,
        experiment.loss.build(),
        jit_compile=False,
        mixed_precision=experiment.trainer.mixed_precision,
    )
    last, best = loop.checkpoint_paths(run.checkpoints)
    progress = loop.load(best if which == "best" else last, learner)
    if learner.uses_ema:
        optimizer.finalize_variable_values(network.trainable_variables)
    measured = cost.measure(
        network, scale=experiment.degradation.scale, upsampling=experiment.model.upsampling
    )
    upscaler = Upscaler(
        experiment.model, experiment.degradation, experiment.channels, forward(network)
    )
    chosen = "best on val" if which == "best" else "last"
    # A checkpoint of the best weights was made at its best step.
    step = progress.best_step if which == "best" else progress.step
    kind = "EMA" if learner.uses_ema else "raw"
    return upscaler, f"{chosen} (step {step}), {kind}", measured
