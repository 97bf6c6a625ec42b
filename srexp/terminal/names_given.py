"""`--name RUN=NAME`: what methods are called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from srexp.comparison.methods import BICUBIC
from srexp.tracking.record import RunError, RunFolder, find_run


def names_given(
    given: Sequence[str], runs: Sequence[RunFolder], output_dir: Path, others: Sequence[str] = ()
) -> dict[str, str]:
    """Id of a run, or name of another method -> what it is to be called.

    Args:
        given: `RUN=NAME` each; RUN is a run's id, its start, a folder, or latest.
        runs: That are shown.
        output_dir: Where runs are looked for.
        others: Methods that are no runs, by name, beside bicubic.

    Raises:
        RunError: No such run, or not one that is shown; no name, or two for one run.
    """
    found: dict[str, str] = {}
    for text in given:
        key, name = _split(text, runs, output_dir, {BICUBIC, *others})
        if not name.strip():
            raise RunError(f"--name {text}: must be RUN=NAME, such as latest=Ours")
        if found.setdefault(key, name) != name:
            raise RunError(f"--name: {key} is called {found[key]} and {name}")
    return found


def _split(
    text: str, runs: Sequence[RunFolder], output_dir: Path, others: set[str]
) -> tuple[str, str]:
    """The run and its name; `=` may stand in both, so the shortest beginning that fits is taken."""
    ids = {run.id for run in runs}
    shown = sorted(runs, key=lambda run: run.info.get("created", 0))  # latest: of these
    problem = RunError(f"--name {text}: must be RUN=NAME, such as latest=Ours")
    for at in (index for index, character in enumerate(text) if character == "="):
        wanted, name = text[:at], text[at + 1 :]
        if wanted in others:
            return wanted, name
        try:
            run = find_run(wanted, output_dir, shown)
        except RunError as error:
            several = "runs begin so" in str(error)
            why = str(error) if several else f"no run that is shown is called {wanted}"
            problem = RunError(f"--name {text}: {why}")
            continue
        if run.id not in ids:
            raise RunError(f"--name {text}: {run.id} is not among the runs that are shown")
        return run.id, name
    raise problem
