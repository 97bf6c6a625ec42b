"""A run's place in a sweep, and its line to whoever launched it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from srexp.tracking.record import RunFolder

if TYPE_CHECKING:
    from srexp.training.materials import Materials


class RunningElsewhere(Exception):
    """Another process trains this very run: it is left to it."""

    def __init__(self, run: str) -> None:
        super().__init__(f"is running elsewhere, as {run}")
        self.run = run


def _to_nobody(kind: str, value: Any) -> None:
    pass


def _go_on() -> str | None:
    return None


@dataclass(frozen=True)
class Job:
    """A job of a sweep, as the process that runs it sees it.

    Attributes:
        name: What was swept: `depth=3 act=relu`.
        sweep: Name of the sweep's folder.
        parent_run_id: Of the sweep's MLflow run, or None.
        tell: Told a kind of news and its value: `run` (its id), `elsewhere` (the id of a run that
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

    def already_finished(self, run: RunFolder) -> float | None:
        """Take the result of a run that was finished before."""
        self.tell("note", "was finished already")
        self.tell("run", run.id)
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
