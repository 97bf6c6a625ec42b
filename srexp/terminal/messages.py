"""What `srexp train` says besides its progress."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from srexp.pages.times import duration
from srexp.quiet import quiet_import
from srexp.tracking.record import RunFolder, runs
from srexp.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from srexp.evaluation.scoring import Report, Task
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials

_TENSORBOARD = ("python", "-m", "tensorboard.main", "--logdir")


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
    """Say what would be trained: what matters first, every key last."""
    with quiet_import():
        import tensorflow  # noqa: F401
    from srexp.evaluation.inference import upscaler
    from srexp.training.estimate import STEPS, estimate, forward_seconds
    from srexp.training.session import build_network

    def say(text: str) -> None:
        console.print(text, soft_wrap=True, highlight=False)

    (found,) = estimate([experiment])
    trainer, model = experiment.trainer, experiment.model
    field = upscaler(
        build_network(experiment), model, experiment.degradation, experiment.channels
    ).receptive_field
    seen = f"{field.size}x{field.size} input pixels" if field else "the whole image"
    say(f"{model.name}: {found.cost}; receptive field {seen}")
    say(
        f"{count(len(materials.train.images), 'training image')}, "
        f"{count(materials.sampler.patch_count, 'different patch', 'different patches')} of "
        f"{trainer.hr_patch_size}x{trainer.hr_patch_size}"
    )
    say(
        f"{count(trainer.steps, 'step')} of {count(trainer.batch_size, 'patch', 'patches')}: "
        f"{passes(experiment, materials):.3g} passes over the training images"
    )
    for task in materials.validation:
        say(f"validation: {task.label}")
    for task in materials.benchmarks:
        say(f"benchmark: {task.label}")
    for remark in materials.remarks:
        say(f"note: {remark}")
    mention_short_schedule(console, experiment)
    scored = forward_seconds(experiment, found.step_seconds, _scored_pixels(experiment, materials))
    training = found.step_seconds * trainer.steps
    say(
        f"time, about: {duration(training)} of training ({found.step_seconds:.2g} s a step, the "
        f"median of up to {STEPS} here on one device), {duration(scored)} of the network on the "
        "images that are scored; reading, scores and pictures come on top"
    )
    say(f"\n{OmegaConf.to_yaml(OmegaConf.create(values))}")
    say("dry run: nothing was trained, nothing was written")


def describe_sweep(
    console: Console, names: list[str], experiments: list[Experiment], remarks: list[str]
) -> None:
    """Say what a sweep would train: a line a job."""
    with quiet_import():
        import tensorflow  # noqa: F401
    from rich.table import Table

    from srexp.training.estimate import STEPS, estimate

    threads = experiments[0].trainer.threads  # a process cannot change it
    one = [replace(e, trainer=replace(e.trainer, threads=threads)) for e in experiments]
    found = estimate(one)
    table = Table()
    table.add_column("job", justify="right")
    table.add_column("what", overflow="fold")
    for head in ("parameters", "multiply-adds", "steps", "time"):
        table.add_column(head, justify="right", no_wrap=True)
    total = 0.0
    for number, (name, experiment, each) in enumerate(
        zip(names, experiments, found, strict=True), 1
    ):
        steps = experiment.trainer.steps
        seconds = each.step_seconds * steps
        total += seconds
        table.add_row(
            str(number),
            name,
            f"{each.cost.parameters:,}",
            f"{each.cost.multiply_adds / 1e9:.3g} G",
            f"{steps:,}",
            ("" if each.measured else "~") + duration(seconds),
        )
    console.print(table)
    for remark in remarks:
        console.print(f"note: {remark}", soft_wrap=True, highlight=False)
    console.print(
        f"{count(len(names), 'run')}, about {duration(total)} of training one after the other. "
        f"Timed here on one device, up to {STEPS} steps each: the jobs with the fewest and most "
        "multiply-adds a step; times with ~ lie between by theirs. Multiply-adds are for an image "
        "of 1280x720. Reading, scores and pictures come on top",
        highlight=False,
    )
    console.print("dry run: nothing was trained, nothing was written", highlight=False)


def passes(experiment: Experiment, materials: Materials) -> float:
    """How often the steps see each pixel of the training images, on average: epochs."""
    trainer = experiment.trainer
    shapes = materials.train.images.shapes.values()
    pixels = sum(height * width for height, width, *_ in shapes)
    return trainer.steps * trainer.batch_size * trainer.hr_patch_size**2 / pixels


def _scored_pixels(experiment: Experiment, materials: Materials) -> int:
    """Of all images at all evaluations of a run."""
    evaluations = -(-experiment.trainer.steps // experiment.trainer.eval_every)

    def pixels(tasks: list[Task]) -> int:
        shapes = [shape for task in tasks for shape in task.images.images.shapes.values()]
        return sum(height * width for height, width, *_ in shapes)

    return (evaluations + 1) * pixels(materials.validation) + pixels(materials.benchmarks)


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
    from srexp.tracking.tensorboard_view import TensorBoardView

    for report in reports:
        console.print()
        console.print(table(report))
        console.print(caption(report, session.cost))
    console.print(f"\npictures: {run.folder / 'grids'}")
    console.print(f"per image: {run.folder / 'evaluations'}")
    if isinstance(session.view, TensorBoardView):
        folder = session.view.folder
        logdir = folder.parent if folder.name == run.id else folder
        console.print(f"TensorBoard: {shlex.join([*_TENSORBOARD, str(logdir)])}", soft_wrap=True)
    elif session.view is not None:
        uri = shlex.quote(session.view.mirror.store.uri)
        console.print(f"MLflow: python -m srexp ui --uri {uri}", soft_wrap=True)
