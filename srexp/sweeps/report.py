"""A sweep as one HTML file, to be read anywhere: nothing in it is loaded from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from srexp.config.names import short_keys
from srexp.evaluation.numbers import number
from srexp.pages.page import data_uri, render
from srexp.pages.times import duration
from srexp.sweeps import summary
from srexp.sweeps.results import JobResult

_TEMPLATE = "report.html.jinja"


@dataclass(frozen=True)
class AboutSweep:
    """What the results do not say.

    Attributes:
        name: Of the sweep: its folder's.
        command: The command line that began it.
        when: From when to when, for people to read.
        rerun: The command that goes on with it or repeats it; empty if there is none.
        runs: The folder that holds the run folders, relative to the report's.
    """

    name: str
    command: str
    when: str
    rerun: str
    runs: str = "../.."


def html(
    about: AboutSweep,
    jobs: Sequence[JobResult],
    *,
    png: bytes | None,
    best_yaml: str | None,
    best_command: str | None,
) -> str:
    """The report.

    Args:
        about: The sweep.
        jobs: All of its jobs.
        png: `figures.png(jobs)`.
        best_yaml: `best.best_experiment(...)`; None leaves its part out.
        best_command: `best.command(...)`; None leaves it out.

    Returns:
        The content of `report.html`. All that comes from the user is escaped.
    """
    keys = summary.swept_keys(jobs)
    short = short_keys(keys)
    return render(
        Path(__file__).parent,
        _TEMPLATE,
        title=f"sweep {about.name}",
        about=about,
        count=summary.count(jobs),
        common=_common(jobs),
        swept=_swept(jobs),
        keys=[short[key] for key in keys],
        best=_best(jobs),
        figure=data_uri(png) if png else None,
        combinations=_combinations(jobs, keys),
        remarks=summary.remarks(jobs),
        effects=_effects(jobs, short),
        jobs=[_job(job, about.runs) for job in jobs],
        best_yaml=best_yaml,
        best_command=best_command,
    )


def _common(jobs: Sequence[JobResult]) -> list[str]:
    """The overrides that all jobs have, and that were not swept."""
    if not jobs:
        return []
    swept = {key for job in jobs for key in job.choices}
    return [o for o in jobs[0].overrides if o.split("=", 1)[0].lstrip("+") not in swept]


def _swept(jobs: Sequence[JobResult]) -> list[tuple[str, list[str]]]:
    keys = dict.fromkeys(key for job in jobs for key in job.choices)
    return [
        (key, summary.ordered(job.choices[key] for job in jobs if key in job.choices))
        for key in keys
    ]


def _best(jobs: Sequence[JobResult]) -> dict[str, str] | None:
    winner = summary.best(jobs)
    if winner is None:
        return None
    return {
        "title": summary.title(winner),
        "gain": summary.gain_in_words(winner.gain),
        "on": ", ".join(summary.tasks(winner.jobs)),
    }


def _combinations(jobs: Sequence[JobResult], keys: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "choices": [combination.choices.get(key, summary.NOTHING) for key in keys],
            "gain": summary.gain_text(combination.gain),
            "replicates": combination.replicates,
        }
        for combination in summary.combinations(jobs)
    ]


def _effects(jobs: Sequence[JobResult], short: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "key": short[effect.key],
            "value": effect.value,
            "gain": number(effect.gain, 3, "+"),
            "combinations": effect.combinations,
        }
        for effect in summary.main_effects(jobs)
    ]


def _job(job: JobResult, runs: str) -> dict[str, Any]:
    return {
        "number": job.number,
        "name": job.name,
        "state": job.state,
        "bad": job.state == "failed",
        "gain": _figure(job.gain, 3, "+"),
        "psnr": _figure(job.psnr, 2),
        "seconds": _duration(job.seconds),
        "run": job.run,
        "href": f"{runs}/{quote(job.run, safe='')}/" if job.run else None,
        "note": job.note,
    }


def _figure(value: float | None, digits: int, sign: str = "") -> str:
    return summary.NOTHING if value is None else number(value, digits, sign)


def _duration(seconds: float | None) -> str:
    if seconds is None or not math.isfinite(seconds):
        return summary.NOTHING
    return duration(seconds)
