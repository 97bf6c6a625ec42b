"""What runs have in common: the tasks on which all of them were scored, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from srexp.comparison.results import Evaluation, Results, RunResults, TaskKey
from srexp.data.sources import words_for
from srexp.options import flatten
from srexp.tracking.record import RunError
from srexp.words import count

# The images that chose the weights; their scores flatter.
VALIDATION = "val"
# What all sets of one's own were called once.
_NAMELESS = ("folder", "pairs")


def with_todays_names(results: Sequence[Results]) -> list[Results]:
    """The same, with an image set that an older srexp called `folder` called as others call it.

    Sets of one's own had no names before; they are known again by their digest.
    """
    names = {
        (task.digest, task.scale, task.protocol): task.images
        for result in results
        for task in result.evaluations
        if task.images not in (*_NAMELESS, VALIDATION)
    }

    def today(evaluation: Evaluation) -> Evaluation:
        task = evaluation.task
        name = names.get((task.digest, task.scale, task.protocol), task.images)
        known = replace(task, images=name) if task.images in _NAMELESS else task
        return replace(evaluation, task=known)

    return [
        replace(
            result,
            evaluations={new.task: new for new in map(today, result.evaluations.values())}
            # What has today's name goes first.
            | {t: e for t, e in result.evaluations.items() if t.images not in _NAMELESS},
        )
        for result in results
    ]


def common_tasks(
    results: Sequence[Results],
    benchmarks: Sequence[str] = (),
    protocols: Sequence[str] = (),
) -> tuple[list[TaskKey], list[str]]:
    """The tasks on which every run was scored, and one line for each that is left out.

    A run counts at its own scale alone, so that runs of several scales stand side by side. Without
    `benchmarks` the validation images are left out, unless there is nothing else.

    Args:
        results: The runs.
        benchmarks: Image sets, by name; empty for all.
        protocols: By name; empty for all.

    Raises:
        RunError: There is none, and why.
    """
    for result in results:
        if isinstance(result, RunResults) and not result.evaluations:
            why = f"; {result.faults[0]}" if result.faults else ""
            raise RunError(
                f"run {result.name}: has no scores, it is {result.run.info['status']}{why}; "
                f"to score it: python -m srexp evaluate {result.run.typed('run')}"
            )
    every = [task for result in results for task in result.evaluations]
    check_known("benchmark", benchmarks, {task.images for task in every})
    check_known("protocol", protocols, {task.protocol for task in every})
    wanted = {
        task
        for task in every
        if (not benchmarks or task.images in benchmarks)
        and (not protocols or task.protocol in protocols)
    }
    names = dict.fromkeys(task.name for task in every if task in wanted)
    shared, left_out = [], {}
    for name in names:
        scale = next(task.scale for task in wanted if task.name == name)
        members = [one for one in results if any(t.scale == scale for t in one.evaluations)]
        tasks = [[t for t in result.evaluations if t.name == name] for result in members]
        common = [task for task in tasks[0] if all(task in others for others in tasks)]
        shared += common
        if not common:
            left_out[name] = _why_not(name, members, tasks)
        elif other := {task.digest for found in tasks for task in found if task not in common}:
            digests = ", ".join(f"[{digest}]" for digest in sorted(other))
            left_out[name] = f"{name} {digests}: not of all these runs"
    # Of the validation images nothing is said where there is anything else.
    tested = [task for task in shared if task.images != VALIDATION]
    reasons = [why for name, why in left_out.items() if not name.startswith(f"{VALIDATION}_x")]
    if benchmarks or not reasons:
        reasons = list(left_out.values())
    if not shared:
        raise RunError(_why_nothing(results, list(names), reasons, benchmarks, protocols))
    return (shared if benchmarks or not tested else tested), reasons


def check_known(what: str, wanted: Iterable[str], known: set[str]) -> None:
    """Raises RunError: a benchmark, scale or protocol that no run was scored with."""
    for name in wanted:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise RunError(
                f"--{what} {name}: none of these runs was scored with it{hint} (there are "
                f"{', '.join(sorted(known))})"
            )


def _why_nothing(
    results: Sequence[Results],
    names: Sequence[str],
    reasons: Sequence[str],
    benchmarks: Sequence[str],
    protocols: Sequence[str],
) -> str:
    if not names:
        return (
            f"none of these runs was scored on {', '.join(benchmarks)} under {', '.join(protocols)}"
        )
    # What a run was trained for: no further evaluation would help.
    kinds: dict[str, list[str]] = {}
    for result in results:
        for kind in sorted({task.degradation for task in result.evaluations}):
            kinds.setdefault(kind, []).append(result.name)
    if all(len(having) < len(results) for having in kinds.values()):
        listed = "; ".join(f"{kind}: {_few(having)}" for kind, having in sorted(kinds.items()))
        return f"runs of different degradations cannot be compared ({listed})"
    return "these runs have no scores in common: " + "; ".join(reasons)


def _why_not(name: str, results: Sequence[Results], tasks: Sequence[Sequence[TaskKey]]) -> str:
    """Why a task cannot be compared: runs without it, or numbers of different experiments."""
    without = [r.name for r, found in zip(results, tasks, strict=True) if not found]
    if without:
        task = next(task for found in tasks for task in found)
        runs = [r.run for r in results if r.name in without and isinstance(r, RunResults)]
        command = ""
        if runs and task.images != VALIDATION:
            command = (
                f" (python -m srexp evaluate {runs[0].typed('run')} {words_for(task.images)} "
                f"protocol={task.protocol})"
            )
        faults = [
            fault for r in results if r.name in without and isinstance(r, RunResults)
            for fault in r.faults if f"/{name}/" in fault
        ]  # fmt: skip
        if faults:
            return f"{name}: {faults[0]}"
        return f"{name}: not scored by {_few(without)}{command}"
    first, task = results[0], tasks[0][0]
    for other, found in zip(results, tasks, strict=True):
        if task not in found:
            reason = _difference(first, task, other, found[0])
            return f"{name}: {reason} ({first.name}, {other.name})"
    return f"{name}: no two tables of all runs belong together"


def _difference(first: Results, task: TaskKey, other: Results, their_task: TaskKey) -> str:
    """What sets two digests apart: degradation, images or protocol."""
    if task.degradation != their_task.degradation:
        return f"the degradations differ, {task.degradation} and {their_task.degradation}"
    ours, theirs = first.evaluations[task], other.evaluations[their_task]
    if set(ours.images) != set(theirs.images):
        return f"the image sets differ, {_images(ours, theirs)} and {_images(theirs, ours)}"
    options = [options_of(first, ours), options_of(other, theirs)]
    for key in sorted(options[0].keys() & options[1].keys()):
        a, b = (option[key] for option in options)
        if a != b:
            return f"{key} differs, {a} and {b}"
    if not all(options):
        return f"the images of {task.images} or the protocol's settings differ"
    return f"the images of {task.images} have the same names, but other pixels"


def _images(ours: Evaluation, theirs: Evaluation) -> str:
    alone = [name for name in ours.images if name not in theirs.images]
    return count(len(ours.images), "image") + (f" with {_few(alone)}" if alone else "")


def options_of(result: Results, evaluation: Evaluation) -> dict[str, Any]:
    """Of protocol and degradation, flat: as noted beside the table, else as the run was trained."""
    name, noted = evaluation.task.protocol, evaluation.document
    if "protocol_options" in noted:
        return flatten(
            {
                "protocol": {name: noted["protocol_options"]},
                "degradation": noted.get("degradation_options", {}),
            }
        )
    try:
        config = result.run.config if isinstance(result, RunResults) else {}
    except RunError:
        return {}
    if evaluation.path.name != "final.csv" or name not in config.get("protocol", {}):
        return {}
    return flatten(
        {"protocol": {name: config["protocol"][name]}, "degradation": config["degradation"]}
    )


def _few(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
