"""Runs as methods: those that differ in seed alone are replicates of one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srexp.comparison.results import Evaluation, FileResults, Results, RunResults, TaskKey
from srexp.config.effect import is_folder
from srexp.config.identity import deciding
from srexp.config.names import DEFAULTS, names_of
from srexp.options import flatten
from srexp.tracking.record import RunError, RunFolder

# What every table has first.
BICUBIC = "bicubic"
SCALE = "degradation.scale"


@dataclass(frozen=True)
class ComparedMethod:
    """What has a row of its own in a comparison.

    Attributes:
        name: What it was told to be called, or what sets it apart from the others: `depth=5
            act=relu`; of one alone what its run is called.
        replicates: Its runs, which differ in seed alone, and in scale; none of a method that was
            read from files.
        seeds: Theirs, one a run.
        files: Of such a method.
    """

    name: str
    replicates: tuple[RunResults, ...]
    seeds: tuple[int, ...]
    files: FileResults | None = None

    def at(self, task: TaskKey) -> ComparedMethod:
        """With those of its runs alone that were scored on a task."""
        kept = [
            (results, seed)
            for results, seed in zip(self.replicates, self.seeds, strict=True)
            if task in results.evaluations
        ]
        files = self.files if self.files and task in self.files.evaluations else None
        return ComparedMethod(
            self.name, tuple(r for r, _ in kept), tuple(s for _, s in kept), files
        )

    def evaluations(self, task: TaskKey) -> list[Evaluation]:
        """One a replicate; none where it was not scored on a task."""
        found = [self.files] if self.files is not None else self.replicates
        return [results.evaluations[task] for results in found if task in results.evaluations]


def group(
    all_results: Sequence[Results], names: Mapping[str, str] | None = None
) -> tuple[list[ComparedMethod], list[str]]:
    """Runs as methods, in the order in which they are first named, and remarks; files last.

    Replicates agree in all that decides their weights but the seed and the scale: configuration,
    code, content of the training and validation images, and where `trainer.max_minutes` ended
    them. Benchmarks do not matter.

    Args:
        all_results: What was read.
        names: Id of a run, or name of a method that was read from files -> what it is called. Runs
            of different scales that are called alike are one method.

    Raises:
        RunError: A run's configuration cannot be read; two methods are called alike.
    """
    results = [one for one in all_results if isinstance(one, RunResults)]
    files = [one for one in all_results if isinstance(one, FileResults)]
    names = names or {}
    groups, remarks = group_runs([one.run for one in results], names)
    by_id = {one.run.id: one for one in results}
    methods = [
        ComparedMethod(found.name, tuple(by_id[run.id] for run in found.runs), found.seeds)
        for found in groups
    ]
    taken = {names.get(BICUBIC, BICUBIC), *(method.name for method in methods)}
    for one in files:
        name = names.get(one.name, f"{one.name} (file)" if one.name in taken else one.name)
        if name in taken:
            raise RunError(f"--name {one.name}={name}: another method is called so")
        taken.add(name)
        methods.append(ComparedMethod(name, (), (), one))
    return methods, remarks


@dataclass(frozen=True)
class MethodRuns:
    """Runs that are one method: by scale, then by seed."""

    name: str
    runs: tuple[RunFolder, ...]
    seeds: tuple[int, ...]


def group_runs(
    runs: Sequence[RunFolder], names: Mapping[str, str] | None = None
) -> tuple[list[MethodRuns], list[str]]:
    """As `group`, of runs alone, whatever they were scored on."""
    names = names or {}
    stored = [run.config for run in runs]
    configs = [_comparable(run, config) for run, config in zip(runs, stored, strict=True)]
    groups: dict[str, dict[tuple[int, int], RunFolder]] = {}
    distinct: dict[str, dict[str, Any]] = {}
    remarks = []
    for run, config, whole in zip(runs, configs, stored, strict=True):
        place = int(config.pop(SCALE, 0)), int(config.pop("seed", 0))
        same = json.dumps([config, run.info.get("images_digest")], sort_keys=True)
        distinct.setdefault(same, {**config, **_folders(whole)})
        first = groups.setdefault(same, {}).setdefault(place, run)
        if first is not run:  # the same weights once more are no replicate
            remarks.append(
                f"{run.id} repeats {first.id} (same configuration, images and seed) and is left out"
            )
    made: dict[str, dict[tuple[int, int], RunFolder]] = {}
    short = _names(list(distinct.values()), list(groups.values()))
    for name, members in zip(short, groups.values(), strict=True):
        told = dict.fromkeys(names[run.id] for run in members.values() if run.id in names)
        if len(told) > 1:
            raise RunError(f"--name: the runs of one method are called {' and '.join(told)}")
        name = next(iter(told), name)
        if name == names.get(BICUBIC, BICUBIC):
            raise RunError(f"--name {next(iter(members.values())).id}={name}: is the baseline")
        scales = {scale for scale, _ in made.get(name, {})} & {scale for scale, _ in members}
        if scales:
            one, other = (next(iter(runs.values())).id for runs in (made[name], members))
            raise RunError(
                f"--name {name}: {one} and {other} are not one method (both are of "
                f"x{min(scales)}, and differ in more than the seed)"
            )
        made.setdefault(name, {}).update(members)
    return [
        MethodRuns(name, tuple(members[key] for key in sorted(members)),
             tuple(seed for _, seed in sorted(members)))
        for name, members in made.items()
    ], remarks  # fmt: skip


def _folders(config: dict[str, Any]) -> dict[str, Any]:
    """The image folders of a configuration, which tell methods apart if nothing else does."""
    return {k: v for k, v in flatten(config.get("data", {}), "data.").items() if is_folder(k)}


def _names(
    configs: list[dict[str, Any]], members: Sequence[Mapping[tuple[int, int], RunFolder]]
) -> list[str]:
    """What sets each apart; no two are alike."""
    without = [{k: v for k, v in config.items() if not is_folder(k)} for config in configs]
    names = names_of(without)
    if len(set(names)) < len(names):
        names = names_of(configs)
    found = []
    for name, members_of in zip(names, members, strict=True):
        run = next(iter(members_of.values()))
        alone = run.id if len(members_of) == 1 else str(run.info.get("name") or run.id)
        if len(configs) == 1 and (title := run.info.get("title")):
            apart = "seed|scale" if len({scale for scale, _ in members_of}) > 1 else "seed"
            alone = re.sub(rf"\b({apart})=\S+ ?", "", title).strip() or DEFAULTS
        found.append(name or alone)
    return [
        name
        if found.count(name) == 1
        else f"{name} ({next(iter(runs.values())).id.rsplit('_', 1)[-1]})"
        for name, runs in zip(found, members, strict=True)
    ]


def _comparable(run: RunFolder, config: dict[str, Any]) -> dict[str, Any]:
    """What decided a run's weights, flat, but for the images."""
    values = deciding(config)
    first = f"protocol.{values['protocol.name']}."
    own = {
        key: value
        for key, value in values.items()
        if not key.startswith("benchmark.")
        # By the protocols after the first one it was only scored.
        and (not key.startswith("protocol.") or key.startswith((first, "protocol.name")))
    }
    if run.info.get("ended") == "max_minutes":  # so much of the training it is
        own["trainer.max_minutes"] = config["trainer"]["max_minutes"]
    own |= {f"code of {key}": version for key, version in run.info.get("sources", {}).items()}
    return {**own, "results_version": run.info.get("results_version", 1)}
