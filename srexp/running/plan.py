"""From a resolved configuration to what is to be trained: all checked, all read, nothing made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.config.identity import config_digest
from srexp.config.resume import Source, check_folders, resumed, source_of
from srexp.config.settings import absolute_paths, experiment_of
from srexp.paths import checked
from srexp.running.several_devices import join
from srexp.tracking.record import RunFolder, find_run
from srexp.training import checkpoint

if TYPE_CHECKING:
    from srexp.running.display import RunDisplay
    from srexp.running.job import Job
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials
    from srexp.training.strategy import Strategy


@dataclass
class Plan:
    """A training about to begin.

    Attributes:
        experiment: Its options.
        values: Its resolved configuration, as plain data.
        given: The overrides that it was composed from; None where nobody typed any.
        digest: Of the configuration.
        materials: Its images.
        run: To go on with, or None.
        source: Whose weights it starts from, or None.
        job: Its place in a sweep, or None.
        strategy: Its devices; None for one.
    """

    experiment: Experiment
    values: dict[str, Any]
    given: Sequence[str] | None
    digest: str
    materials: Materials
    run: RunFolder | None
    source: Source | None
    job: Job | None
    strategy: Strategy | None


@dataclass(frozen=True)
class Choice:
    """What is asked for: an experiment, and the runs that it goes on with or starts from."""

    experiment: Experiment
    values: dict[str, Any]
    run: RunFolder | None
    source: Source | None


def choose(values: dict[str, Any], given: Sequence[str] | None) -> Choice:
    """Check a resolved configuration, and open the runs that it names.

    Raises:
        OptionError, RunError, CheckpointError: Bad input.
    """
    values = absolute_paths(values)
    run: RunFolder | None = None
    if values["resume"] is not None:
        run, values = _open_resumed(values, given or ())
    source: Source | None = None
    if run is None or not checkpoint.exist(run.checkpoints):
        source, values = source_of(values)
    return Choice(experiment_of(values), values, run, source)


def make_plan(
    choice: Choice, given: Sequence[str] | None, display: RunDisplay, job: Job | None
) -> Plan:
    """Read all images, without TensorFlow, so that bad ones are told at once; find the devices.

    Raises:
        OptionError: Bad input.
        RunFailed: The processes of a training did not meet.
    """
    from srexp.training.materials import gather

    experiment = choice.experiment
    materials = job.materials if job is not None else None
    if materials is None:
        with display.preparing() as progress:
            materials = gather(experiment, progress)
    experiment.prepare()
    digest = config_digest(choice.values)
    strategy = join(display.say, experiment, job, digest + materials.digest)
    return Plan(
        experiment,
        choice.values,
        given,
        digest,
        materials,
        choice.run,
        choice.source,
        job,
        strategy,
    )


def run_to_resume(values: dict[str, Any]) -> RunFolder:
    """The run that `resume` names; raises RunError where there is none."""
    output_dir = checked("paths.output_dir", values["paths"]["output_dir"]).resolve()
    return find_run(str(values["resume"]), output_dir)


def _open_resumed(values: dict[str, Any], given: Sequence[str]) -> tuple[RunFolder, dict[str, Any]]:
    run = run_to_resume(values)
    going_on = resumed(run, values, list(given))
    check_folders(run, going_on)
    if checkpoint.exist(run.checkpoints):
        checkpoint.load_newest(run.checkpoints)  # all damaged: told now, before anything changes
    return run, going_on
