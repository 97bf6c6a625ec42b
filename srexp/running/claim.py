"""The run of a training: new, found, or taken up."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from srexp.comparison.about_run import defaults
from srexp.config import names
from srexp.config.identity import sources
from srexp.config.settings import as_yaml
from srexp.data.sets import DataError
from srexp.files import remove_parts
from srexp.options import OptionError, flatten
from srexp.running import remarks
from srexp.running.display import RunDisplay
from srexp.running.job import Job
from srexp.running.plan import Plan
from srexp.tracking.record import RunFolder, claims, runs_of_identity
from srexp.training.materials import RESULTS_VERSION


@dataclass(frozen=True)
class Claim:
    """A run that this process has.

    Attributes:
        run: It.
        resume: Whether it goes on.
        finished: Whether it is whole already, and nothing is to be done.
    """

    run: RunFolder
    resume: bool = False
    finished: bool = False


def claim(plan: Plan, display: RunDisplay) -> Claim:
    """Take the run to go on with, one of a sweep that is the same training, or make a new one.

    Raises:
        OptionError: It is running now, or its images are not what they were.
        RunningElsewhere: A job's run is trained by another process.
        RunError: The output folder cannot be written.
    """
    if plan.run is not None:
        _take_up(plan.run, plan)
        return Claim(plan.run, resume=True)
    output_dir, identity = plan.experiment.paths.output_dir, plan.materials.identity(plan.digest)
    job = plan.job
    # Two sweeps may come to the same job at the same moment.
    with claims(output_dir):
        if job is not None:
            same = runs_of_identity(output_dir, identity)
            limit = plan.experiment.trainer.max_minutes
            if (whole := job.whole(same, limit)) is not None:
                return Claim(whole, finished=True)
            if (run := job.unfinished(same, limit)) is not None:
                job.take_up(run)
                _take_up(run, plan)
                return Claim(run, resume=True)
        if (remark := remarks.twin(plan.experiment, identity)) is not None:
            display.note(remark)
        return Claim(_new_run(plan, identity))


def _new_run(plan: Plan, identity: str) -> RunFolder:
    name = name_of(plan.values, plan.given, plan.job)
    return RunFolder.create(
        plan.experiment.paths.output_dir,
        names.slug(name),
        plan.values,
        as_yaml(plan.values),
        config_digest=plan.digest,
        images_digest=plan.materials.digest,
        identity=identity,
        results_version=RESULTS_VERSION,
        sources=sources(plan.values),
        init_from=plan.source.id if plan.source else None,
        title=name,
        typed=typed_line(plan.given or ()),
        sweep=plan.job.sweep if plan.job else None,
    )


def typed_line(given: Sequence[str]) -> str:
    """What was typed, as a shell takes it again, but for where the run went."""
    return shlex.join(o for o in given if not o.startswith(("paths.", "tracking")))


def name_of(values: dict[str, Any], given: Any, job: Job | None) -> str:
    """What a run is called: what was typed, or what sets it apart from the default run."""
    if job is not None:
        return names.job_name(job.name, given or ())
    if given is not None:
        return names.as_name(names.typed_words(given))
    found = names.names_of([names.comparable(defaults()), names.comparable(flatten(values))])[1]
    return found or names.DEFAULTS


def _take_up(run: RunFolder, plan: Plan) -> None:
    if run.info["images_digest"] != plan.materials.digest:
        raise DataError(
            f"resume={run.id}: the training or validation images are not what they were when it "
            "began, so it cannot go on as if they were; start a new run"
        )
    if not run.claim():
        raise OptionError(f"resume={run.id}: it is running now")
    remove_parts(run.folder)
    (run.folder / "report.html").unlink(missing_ok=True)  # it would show what was
    # With more steps it is another run to a sweep that looks for it.
    run.set_status(
        "RUNNING",
        config_digest=plan.digest,
        identity=plan.materials.identity(plan.digest),
        results_version=RESULTS_VERSION,
        sources=sources(plan.values),
    )
    run.write_config(plan.values)
