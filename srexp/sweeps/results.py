"""What came of each job of a sweep."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from srexp.tracking.record import RunError

State = Literal["finished", "stopped", "failed", "pruned", "running elsewhere", "not started"]

_FORMAT = 1


@dataclass(frozen=True)
class JobResult:
    """One job.

    Attributes:
        number: From 1, in the order in which the jobs start.
        name: What sets it apart: `depth=3 act=relu seed=0`.
        choices: The swept keys in full and their values as given: `model.depth` -> `3`.
        overrides: All of its overrides, those common to the sweep too.
        state: How far it came.
        note: `new`, `resumed at step 200`, `was finished already`, or the failure in one line.
        run: Id of its run, which is the folder's name; None before one was made.
        gain: Mean PSNR gain over bicubic in dB on the last benchmark (without one, on the
            validation images) under the first protocol.
        psnr: Mean PSNR in dB of the same images.
        task: What `gain` was measured on, as `photos_x2/rgb`; may be empty.
        seconds: Time spent training.
    """

    number: int
    name: str
    choices: dict[str, str]
    overrides: list[str]
    state: State
    note: str
    run: str | None
    gain: float | None
    psnr: float | None
    task: str
    seconds: float | None

    @property
    def counts(self) -> bool:
        """Whether its gain enters the means: it finished, with a finite gain."""
        return self.state == "finished" and self.gain is not None and math.isfinite(self.gain)


def to_json(jobs: Iterable[JobResult]) -> dict[str, Any]:
    """Plain data, strictly JSON: NaN and infinities become text."""
    rows = [dataclasses.asdict(job) for job in jobs]
    for row in rows:
        for key, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                row[key] = str(value)
    return {"format": _FORMAT, "jobs": rows}


def from_json(data: Any) -> list[JobResult]:
    """What `to_json` wrote; keys beside `format` and `jobs` are left alone.

    Raises:
        RunError: Of another format, or damaged.
    """
    found = data.get("format") if isinstance(data, dict) else None
    if found != _FORMAT:
        raise RunError(f"results of a sweep in format {found}; this srexp reads format {_FORMAT}")
    try:
        jobs = [JobResult(**{**row, **_numbers(row)}) for row in data["jobs"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"results of a sweep: damaged ({error})") from None
    for job in jobs:
        if job.state not in get_args(State):
            raise RunError(f"results of a sweep: damaged (job {job.number} is {job.state!r})")
    return jobs


def _numbers(row: dict[str, Any]) -> dict[str, float | None]:
    names = ("gain", "psnr", "seconds")
    return {name: None if row[name] is None else float(row[name]) for name in names}
