"""A run's place in a sweep, and its line to whoever launched it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.tracking.record import RunError, RunFolder

if TYPE_CHECKING:
    from srexp.training.materials import Materials


# News of a job that from now on leaves memory and time for the next one to prepare itself.
NEARLY = "nearly"
# What is noted of a job whose result was there.
ALREADY = "was finished already"


class RunningElsewhere(Exception):
    """Another process trains this very run: it is left to it."""

    def __init__(self, run: str) -> None:
        super().__init__(f"is running elsewhere, as {run}")
        self.run = run


def _to_nobody(kind: str, value: Any) -> None:
    pass


def _go_on() -> str | None:
    return None


def complete(run: RunFolder, max_minutes: float | None) -> bool:
    """Whether nothing is left to do for who asks for this training under this limit.

    A run that its time ended is complete for the same limit alone, one that was trained to the end
    for every limit within which it was.
    """
    if run.info["status"] != "FINISHED":
        return False
    if run.info.get("ended") == "max_minutes":
        return max_minutes is not None and _limit(run) == max_minutes
    seconds = run.info.get("progress", {}).get("seconds", math.inf)
    return max_minutes is None or _limit(run) == max_minutes or seconds <= 60 * max_minutes


def _limit(run: RunFolder) -> float | None:
    try:
        limit: float | None = run.config["trainer"]["max_minutes"]
    except (RunError, KeyError, TypeError):
        return None
    return limit


@dataclass(frozen=True)
class Job:
    """A job of a sweep, as the process that runs it sees it.

    Attributes:
        name: What was swept: `depth=3 act=relu`.
        sweep: Name of the sweep's folder.
        parent_run_id: Of the sweep's MLflow run, or None.
        tell: Told a kind of news and its value: `run` (its id), `taken` (the id of a run whose
            result it takes), `elsewhere` (the id of a run that
            another process trains), `note` (what became of an earlier run), `step` (steps done,
            steps in all), `evaluated` (step, mean validation PSNR in dB).
        asked_to_stop: Why training should stop (`stopped`, `pruned`), or None.
        materials: Its images where they have been read already.
    """

    name: str
    sweep: str
    parent_run_id: str | None = None
    tell: Callable[[str, Any], None] = _to_nobody
    asked_to_stop: Callable[[], str | None] = _go_on
    materials: Materials | None = None

    def whole(self, same: Sequence[RunFolder], max_minutes: float | None) -> RunFolder | None:
        """Of the runs that are this training, the newest that is all this job would come to.

        Args:
            same: Those of its identity, the oldest first.
            max_minutes: After what time the job would end; None for no limit.
        """
        found = [run for run in same if complete(run, max_minutes)]
        return found[-1] if found else None

    def unfinished(self, same: Sequence[RunFolder], max_minutes: float | None) -> RunFolder | None:
        """Of the runs that are this training, the newest to go on with.

        Under the job's own limit it has none that is finished. Without a limit it also goes on with
        one that its time ended; not with one of the same sweep, which is another job's result.
        """
        found = [
            run
            for run in same
            if (run.info["status"] != "FINISHED" and _limit(run) == max_minutes)
            or (
                max_minutes is None
                and (run.info["status"] != "FINISHED" or run.info.get("ended") == "max_minutes")
                and run.info.get("sweep") != self.sweep
            )
        ]
        return found[-1] if found else None

    def already_finished(self, run: RunFolder) -> float | None:
        """Take the result of a run that was finished before."""
        self.tell("taken", run.id)
        gain: float | None = run.info["result"]["gain"]
        return gain

    def take_up(self, run: RunFolder) -> None:
        """Go on with a run that was cut off.

        Raises:
            RunningElsewhere: It was not cut off.
        """
        if run.alive:
            self.tell("elsewhere", run.id)
            raise RunningElsewhere(run.id)
        step = run.info.get("progress", {}).get("step", 0)
        self.tell("note", f"resumed at step {step}" if step else "begun anew")
