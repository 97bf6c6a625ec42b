"""What a dry run says: of one training, and of a sweep."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srexp.config.settings import as_yaml
from srexp.pages.times import duration
from srexp.quiet import quiet_import
from srexp.running import remarks
from srexp.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from srexp.evaluation.scoring import Task
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials


def describe(
    console: Console, experiment: Experiment, materials: Materials, values: dict[str, Any]
) -> None:
    """Say what would be trained: what matters first, every key last."""
    with quiet_import():
        import tensorflow  # noqa: F401
    from srexp.evaluation.inference import upscaler
    from srexp.training.estimate import STEPS, estimate, forward_seconds, training_seconds
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
        f"{remarks.passes(experiment, materials):.3g} passes over the training images"
    )
    for task in materials.validation:
        say(f"validation: {task.label}")
    for task in materials.benchmarks:
        say(f"benchmark: {task.label}")
    for remark in materials.remarks:
        say(f"note: {remark}")
    if (short := remarks.short_schedule(experiment)) is not None:
        console.print(f"note: {short}")
    scored = forward_seconds(experiment, found.step_seconds, _scored_pixels(experiment, materials))
    training = training_seconds(experiment, found.step_seconds)
    say(
        f"time, about: {duration(training)} of training ({found.step_seconds:.2g} s a step, the "
        f"median of up to {STEPS} here on one device), {duration(scored)} of the network on the "
        "images that are scored; reading, scores and pictures come on top"
    )
    say(f"\n{as_yaml(values)}")
    say("dry run: nothing was trained, nothing was written")


def describe_sweep(
    console: Console, names: list[str], experiments: list[Experiment], remarks: list[str]
) -> None:
    """Say what a sweep would train: a line a job."""
    with quiet_import():
        import tensorflow  # noqa: F401
    from rich.table import Table

    from srexp.training.estimate import STEPS, estimate, training_seconds

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
        seconds = training_seconds(experiment, each.step_seconds)
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


def _scored_pixels(experiment: Experiment, materials: Materials) -> int:
    """Of all images at all evaluations of a run."""
    evaluations = -(-experiment.trainer.steps // experiment.trainer.eval_every)

    def pixels(tasks: list[Task]) -> int:
        shapes = [shape for task in tasks for shape in task.images.images.shapes.values()]
        return sum(height * width for height, width, *_ in shapes)

    return (evaluations + 1) * pixels(materials.validation) + pixels(materials.benchmarks)
