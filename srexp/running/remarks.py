"""What is worth saying of a training that is about to begin."""

from __future__ import annotations

from srexp.tracking.record import runs
from srexp.training.experiment import Experiment
from srexp.training.materials import Materials


def twin(experiment: Experiment, identity: str) -> str | None:
    """That the same run was begun before and not finished."""
    for other in reversed(runs(experiment.paths.output_dir)):
        if other.info.get("identity") == identity and other.info["status"] != "FINISHED":
            state = "is running now" if other.alive else "was not finished"
            go_on = "" if other.alive else f"; to go on with it: resume={other.id}"
            return f"run {other.id} with the same configuration {state}{go_on}"
    return None


def short_schedule(experiment: Experiment) -> str | None:
    """That a schedule ends before the training does."""
    from srexp.training.schedules import Cosine

    schedule, steps = experiment.schedule, experiment.trainer.steps
    if not isinstance(schedule, Cosine) or schedule.steps >= steps:
        return None
    rate = experiment.optimizer.learning_rate * schedule.final_fraction
    return (
        f"the cosine ends at step {schedule.steps}; the steps after it, up to {steps}, "
        f"train at its final learning rate of {rate:.1e}"
    )


def passes(experiment: Experiment, materials: Materials) -> float:
    """How often the steps see each pixel of the training images, on average: epochs."""
    shapes = materials.train.images.shapes.values()
    pixels = sum(height * width for height, width, *_ in shapes)
    return experiment.trainer.pixels() / pixels
