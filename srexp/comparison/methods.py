"""Runs as methods: those that differ in seed alone are replicates of one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from srexp.comparison.results import Evaluation, FileResults, Results, RunResults, TaskKey
from srexp.config.effect import has_effect
from srexp.options import OptionError, flatten

# What every table has first.
BICUBIC = "bicubic"
# Of a name, which stands in tables and under pictures.
_LONGEST = 48
_ABSENT = object()


@dataclass(frozen=True)
class Method:
    """What has a row of its own in a comparison.

    Attributes:
        name: What sets it apart from the others: `depth=5 act=relu`; or the run's id.
        replicates: Its runs, which differ in seed alone, by seed; none of a method that was read
            from files.
        seeds: Theirs.
        files: Of such a method.
    """

    name: str
    replicates: tuple[RunResults, ...]
    seeds: tuple[int, ...]
    files: FileResults | None = None

    def evaluations(self, task: TaskKey) -> list[Evaluation]:
        """One a replicate."""
        if self.files is not None:
            return [self.files.evaluations[task]]
        return [results.evaluations[task] for results in self.replicates]


def group(all_results: Sequence[Results]) -> tuple[list[Method], list[str]]:
    """Runs as methods, in the order in which they are first named, and remarks; files last.

    Replicates agree in every key that has an effect but the seed, in the content of the training
    and validation images, and in what their weights started from. Benchmarks do not matter.

    Raises:
        RunError: A run's configuration cannot be read.
    """
    results = [one for one in all_results if isinstance(one, RunResults)]
    files = [one for one in all_results if isinstance(one, FileResults)]
    stored = [one.run.config for one in results]
    configs = _comparable(stored)
    groups: dict[str, dict[int, RunResults]] = {}
    distinct: dict[str, dict[str, Any]] = {}
    remarks = []
    for result, config, whole in zip(results, configs, stored, strict=True):
        same = json.dumps([config, result.run.info.get("images_digest")], sort_keys=True)
        distinct.setdefault(same, config)
        seeds = groups.setdefault(same, {})
        first = seeds.setdefault(int(whole.get("seed", 0)), result)
        if first is not result:  # the same weights once more are no replicate
            remarks.append(
                f"{result.run.id} repeats {first.run.id} (same configuration, images and seed) "
                "and is left out"
            )
    ordered = [dict(sorted(seeds.items())) for seeds in groups.values()]
    names = _names(list(distinct.values()), [list(seeds.values()) for seeds in ordered])
    methods = [
        Method(name, tuple(seeds.values()), tuple(seeds))
        for name, seeds in zip(names, ordered, strict=True)
    ]
    taken = {BICUBIC, *names}
    return methods + [
        Method(f"{one.name} (file)" if one.name in taken else one.name, (), (), one)
        for one in files
    ], remarks


def _comparable(configs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What can set methods apart, flat."""
    if _of_several_versions(configs):
        configs = [_with_additions(config) for config in configs]
    return [
        {
            key: value
            for key, value in flatten(config).items()
            if has_effect(key) and key != "seed" and not key.startswith("benchmark")
        }
        for config in configs
    ]


def _with_additions(config: dict[str, Any]) -> dict[str, Any]:
    from srexp.config.settings import with_additions  # OmegaConf: a fifth of a second

    try:
        return with_additions(config)
    except OptionError:  # of a package that is not here
        return config


def _of_several_versions(configs: list[dict[str, Any]]) -> bool:
    """Whether the same option has a key in one that it does not have in another."""
    known: dict[tuple[str, Any], frozenset[str]] = {}
    for config in configs:
        options = {"": config} | {k: v for k, v in config.items() if isinstance(v, dict)}
        for group, node in options.items():
            keys = frozenset(node)
            if known.setdefault((group, node.get("name")), keys) != keys and (
                group not in ("protocol", "benchmark")
            ):
                return True
    return False


def _names(configs: list[dict[str, Any]], members: list[list[RunResults]]) -> list[str]:
    """What sets each apart: `depth=5 act=relu`, and ` …` where that is too much to say."""
    keys = _telling_keys(configs)
    ends = [_end(key) for key in keys]
    shown = {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}
    names = []
    for config, replicates in zip(configs, members, strict=True):
        own = _short([f"{end}={_text(config[key])}" for key, end in shown.items() if key in config])
        run = replicates[0].run
        fallback = run.id if len(replicates) == 1 else str(run.info.get("name") or run.id)
        names.append(own or fallback)
    return [
        name if names.count(name) == 1 else f"{name} ({replicates[0].run.id.rsplit('_', 1)[-1]})"
        for name, replicates in zip(names, members, strict=True)
    ]


def _short(words: list[str]) -> str:
    """As many of them as there is room for; empty if not even the first one fits."""
    kept = list(words)
    while kept and len(" ".join(kept)) > _LONGEST - (2 if len(kept) < len(words) else 0):
        kept.pop()
    return " ".join([*kept, "…"] if 0 < len(kept) < len(words) else kept)


def _telling_keys(configs: list[dict[str, Any]]) -> list[str]:
    keys = [
        key
        for key in dict.fromkeys(key for config in configs for key in config)
        if any(config.get(key, _ABSENT) != configs[0].get(key, _ABSENT) for config in configs)
    ]
    # Another network has other keys: its name says so. What it shares is still told apart.
    chosen = {key.removesuffix(".name") for key in keys if key.endswith(".name")}
    return [
        key
        for key in keys
        if key.endswith(".name")
        or key.rsplit(".", 1)[0] not in chosen
        or _differs_within(key, configs)
    ]


def _differs_within(key: str, configs: list[dict[str, Any]]) -> bool:
    """Whether options of the same name differ in it."""
    name = f"{key.rsplit('.', 1)[0]}.name"
    values: dict[Any, Any] = {}
    return any(
        values.setdefault(config.get(name), config[key]) != config[key]
        for config in configs
        if key in config
    )


def _end(key: str) -> str:
    """`model.depth` -> `depth`, `act.name` -> `act`."""
    return key.removesuffix(".name").rsplit(".", 1)[-1]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
