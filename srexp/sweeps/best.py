"""The best configuration of a sweep as an experiment of its own: a YAML file to train again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from srexp.config.compose import conf_dir
from srexp.config.overrides import Override, parse_override, preset, to_yaml
from srexp.config.typed import quoted
from srexp.options import OptionError
from srexp.sweeps.results import JobResult
from srexp.sweeps.summary import SEED, best, combinations, gain_in_words, tasks, title
from srexp.words import count

NAME = "best"
# Groups that an experiment cannot choose, since they come after it.
_PRESETS = ("sweep", "debug")


def command(folder: Path | str, config_dir: Path | str | None = None) -> str:
    """The command that trains the best configuration again.

    Args:
        folder: The sweep's; the file lies in `conf/experiment/best.yaml` in it.
        config_dir: The folder with options of the user's own that the sweep used, if it did.
    """
    conf = str(Path(folder) / "conf")
    start = "python -m srexp train --config-dir"
    if config_dir is None:
        return f"{start} {shlex.quote(conf)} experiment={NAME}"
    # Hydra takes one --config-dir.
    path = f"hydra.searchpath=[{quoted(f'file://{conf}')}]"
    return f"{start} {shlex.quote(str(config_dir))} {shlex.quote(path)} experiment={NAME}"


def best_experiment(
    jobs: Sequence[JobResult], folder: Path, config_dir: Path | None = None
) -> str | None:
    """The best combination's configuration as the content of `conf/experiment/best.yaml`.

    Args:
        jobs: The sweep's.
        folder: The sweep's, for the command in the comment.
        config_dir: The folder with options of the user's own that the sweep used, if it did.

    Returns:
        None if no job has a gain.

    Raises:
        OptionError: An override cannot stand in a file.
    """
    winner = best(jobs)
    if winner is None or winner.best is None:
        return None
    on = ", ".join(tasks(winner.jobs))
    seeds = (
        f"mean of {winner.replicates} seeds ± 95 % interval" if winner.gain.n > 1 else "one seed"
    )
    comment = [
        f"Sweep {folder.name}, best of {count(len(combinations(jobs)), 'combination')}:",
        f"  {title(winner)}",
        f"  {gain_in_words(winner.gain)}{f' on {on}' if on else ''} ({seeds})",
        f"  best run: {winner.best.run}",
        "",
        f"  {command(folder, config_dir)}",
    ]
    return experiment_yaml(winner.best.overrides, comment, config_dir)


def experiment_yaml(
    overrides: Iterable[str], comment: Iterable[str] = (), config_dir: Path | None = None
) -> str:
    """Overrides as an experiment file that composes to the same, but for the seed.

    An experiment among them becomes what this one builds on. Of `sweep` and `debug`, which come
    after experiments, it has what they set. Hydra's own keys are no part of a run and left out.

    Args:
        overrides: Of one job.
        comment: Lines for the head.
        config_dir: Where else than in `conf/` groups may lie.

    Raises:
        OptionError: An override cannot stand in a file: a deletion, an item of a list, an option
            put in another package, an experiment that has this file's own name.
    """
    below: list[str] = []
    added: dict[str, str] = {}
    chosen: dict[str, str] = {}
    values: list[tuple[str, Any]] = []
    preset_groups: dict[str, str] = {}
    preset_values: list[tuple[str, Any]] = []
    for override in map(parse_override, overrides):
        if override.key == SEED or override.key.split("/")[0].split(".")[0] == "hydra":
            continue
        _check(override)
        if override.key == "experiment":
            below = _built_on(override.value)
        elif override.key in _PRESETS:
            groups, keys = _preset(override, config_dir)
            preset_groups |= {key: f"/{key}: {_flow(option)}" for key, option in groups.items()}
            preset_values += keys
        elif _is_group(override.key, config_dir):
            group = added if override.adds else chosen
            group[override.key] = f"/{override.key}: {_flow(override.value)}"
        else:
            values.append((override.key, override.value))
    chosen, values = preset_groups | chosen, [*preset_values, *values]  # what was typed counts
    head = "".join(f"# {_one_line(line)}".rstrip() + "\n" for line in comment)
    parts = [f"# @package _global_\n#\n{head}"]
    # Our values go over those of an experiment below, so _self_ comes after it; Hydra wants
    # overrides at the end.
    defaults = [*below, *added.values()]
    defaults += ["_self_"] if defaults else []
    defaults += [f"override {line}" for line in chosen.values()]
    if defaults:
        parts[0] += "defaults:\n" + "".join(f"  - {line}\n" for line in defaults)
    if values:
        parts.append(to_yaml(values))
    return "\n".join(parts)


def _preset(
    override: Override, config_dir: Path | None
) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    for place in (*([Path(config_dir)] if config_dir else []), conf_dir()):
        path = place / override.key / f"{override.value}.yaml"
        if path.is_file():
            return preset(path)
    return {}, []  # null


def _check(override: Override) -> None:
    reason = ""
    if override.deletes:
        reason = "an experiment file cannot remove a key"
    elif override.package is not None:
        reason = "an experiment file cannot put an option into another place"
    elif any(part.isdigit() for part in override.key.split(".")):
        reason = "an experiment file cannot set an item of a list; set the whole list"
    if reason:
        raise OptionError(f"{override.text}: {reason}", override.key)


def _is_group(key: str, config_dir: Path | None) -> bool:
    places = [conf_dir(), *([Path(config_dir)] if config_dir else [])]
    return "." not in key and any((place / key).is_dir() for place in places)


def _built_on(value: Any) -> list[str]:
    if value == NAME:
        raise OptionError(
            f"experiment={NAME}: {NAME}.yaml cannot build on a file of its own name; rename that",
            "experiment",
        )
    return [_flow(value)]


def _flow(value: Any) -> str:
    """A name or a list of names as it stands in a line of YAML."""
    return str(yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1])


def _one_line(text: str) -> str:
    """Text for a comment: nothing in it ends the line."""
    return "".join(c if c.isprintable() else " " for c in text)
