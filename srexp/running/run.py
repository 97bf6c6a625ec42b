"""A whole run, from a resolved configuration to its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from srexp.config.resume import AlreadyFinished
from srexp.running import remarks
from srexp.running.claim import claim
from srexp.running.display import RunDisplay, Stop
from srexp.running.ends import RunInterrupted, TrainedRun
from srexp.running.job import Job
from srexp.running.plan import choose, make_plan, run_to_resume
from srexp.running.several_devices import work_along
from srexp.running.training import Training


def train_run(
    values: dict[str, Any],
    given: Sequence[str] | None,
    *,
    display: RunDisplay,
    stop: Stop,
    job: Job | None = None,
) -> TrainedRun | None:
    """One run: new, found, or gone on with; trained, scored, kept, shown.

    Args:
        values: A composed configuration, as plain data.
        given: The overrides that it was composed from; None where nobody typed any.
        display: What a person sees.
        stop: The signals.
        job: Its place in a sweep.

    Returns:
        The run; None for a dry run, and where this process trained along with another one.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was made.
        RunFailed: Training failed; the run says so.
        RunInterrupted: A signal ended it; what was trained is saved.
        RunningElsewhere: A job's run is trained by another process.
    """
    try:
        choice = choose(values, given)
    except AlreadyFinished as done:
        display.say(str(done), whole=True)
        run = run_to_resume(values)
        return TrainedRun(run, (run.info.get("result") or {}).get("gain"))
    with stop:
        try:
            plan = make_plan(choice, given, display, job)
            if plan.strategy is not None and not plan.strategy.chief:
                work_along(plan.experiment, plan.materials, plan.strategy, plan.run, stop)
                return None
            if plan.experiment.trainer.dry_run:
                display.describe(plan.experiment, plan.materials, plan.values)
                return None
            for remark in (*plan.materials.remarks, *plan.experiment.loss.notes):
                display.note(remark)
            if (short := remarks.short_schedule(plan.experiment)) is not None:
                display.note(short)
            stop.hold()  # a run that is there must get a status
            claimed = claim(plan, display)
        except RunInterrupted:
            raise
        except KeyboardInterrupt:
            raise RunInterrupted(
                "stopped before training began: nothing was made", stop.exit_code
            ) from None
        if claimed.finished:
            assert job is not None
            return TrainedRun(claimed.run, job.already_finished(claimed.run))
        return TrainedRun(claimed.run, Training(plan, claimed, display, stop).carry_out())
