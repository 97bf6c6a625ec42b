"""What `srexp train` says besides its progress."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from srexp.commands.quiet import quiet_import
from srexp.tracking.record import RunFolder, runs

if TYPE_CHECKING:
    from rich.console import Console

    from srexp.evaluation.scoring import Report
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials


def mention_twin(console: Console, experiment: Experiment, identity: str) -> None:
    """Say that the same run was begun before and not finished."""
    for other in reversed(runs(experiment.paths.output_dir)):
        if other.info.get("identity") == identity and other.info["status"] != "FINISHED":
            state = "is running now" if other.alive else "was not finished"
            console.print(
                f"note: run {other.id} with the same configuration {state}"
                + ("" if other.alive else f"; to go on with it: resume={other.id}")
            )
            return


def mention_short_schedule(console: Console, experiment: Experiment) -> None:
    """Say that a schedule ends before the training does."""
    from srexp.training.schedules import Cosine

    schedule, steps = experiment.schedule, experiment.trainer.steps
    if isinstance(schedule, Cosine) and schedule.steps < steps:
        rate = experiment.optimizer.learning_rate * schedule.final_fraction
        console.print(
            f"note: the cosine ends at step {schedule.steps}; the steps after it, up to {steps}, "
            f"train at its final learning rate of {rate:.1e}"
        )


def describe(
    console: Console, experiment: Experiment, materials: Materials, values: dict[str, Any]
) -> None:
    """Say what would be trained."""
    with quiet_import():
        import tensorflow  # noqa: F401
    from srexp.evaluation import cost
    from srexp.training.session import build_network

    console.print(OmegaConf.to_yaml(OmegaConf.create(values)))
    network = build_network(experiment)
    measured = cost.measure(
        network, scale=experiment.degradation.scale, upsampling=experiment.model.upsampling
    )
    field = experiment.model.receptive_field
    console.print(f"{measured}; receptive field {field}x{field} input pixels")
    sampler, trainer = materials.sampler, experiment.trainer
    seen = trainer.steps * trainer.batch_size
    console.print(
        f"{len(materials.train.images)} training images with {sampler.patch_count:,} different "
        f"patches of {trainer.hr_patch_size}x{trainer.hr_patch_size}; "
        f"{trainer.steps:,} steps see {seen:,} patches"
    )
    for task in materials.validation:
        console.print(f"validation: {task.label}")
    for task in materials.benchmarks:
        console.print(f"benchmark: {task.label}")
    console.print("dry run: nothing was trained, nothing was written")


def say_speed(console: Console, outcome: Any) -> None:
    """How long training took, and how much of it was waiting for data."""
    seconds = outcome.train_seconds
    if seconds:
        console.print(
            f"trained for {seconds:.0f} s, {100 * outcome.data_wait_seconds / seconds:.1f} % of it "
            "waiting for data"
        )


def say_reports(console: Console, run: RunFolder, session: Any, reports: list[Report]) -> None:
    """The tables, and where everything is."""
    from srexp.evaluation.tables import caption, table

    for report in reports:
        console.print()
        console.print(table(report))
        console.print(caption(report, session.cost))
    console.print(f"\npictures: {run.folder / 'grids'}")
    console.print(f"per image: {run.folder / 'evaluations'}")
    if session.view is not None:
        uri = shlex.quote(session.view.mirror.store.uri)
        console.print(f"MLflow: python -m srexp ui --uri {uri}", soft_wrap=True)
