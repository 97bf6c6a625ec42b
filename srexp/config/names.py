"""What runs, methods and jobs are called: in every table, plot and page, in folders and MLflow."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from srexp.config.catalogue import conf_dir
from srexp.config.effect import has_effect, is_folder

# Of a name, which stands in tables and under pictures, and of what stands for it in a folder's.
LONGEST = 48
_LONGEST_SLUG = 32
DEFAULTS = "defaults"
MORE = "…"
_ABSENT = object()
_RUN_ID = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_.*_(\w{4})")
# What a composition is made by, and what says nothing about a run beside others.
_NOT_SAID = ("hydra", "sweep", "resume")


# Names of several things beside one another: what sets each apart.


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """What can set configurations apart, of a flat one; protocols by their names.

    Benchmarks do not: what is scored at the end changes no weights.
    """
    found = {k: v for k, v in config.items() if has_effect(k) and not k.startswith("benchmark")}
    protocols = dict.fromkeys(key.split(".")[1] for key in config if key.startswith("protocol."))
    return {**found, **({"protocol.name": ",".join(protocols)} if protocols else {})}


def names_of(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sets each configuration apart from the others: `depth=5 act=relu`.

    Args:
        configs: Flat, their keys in the order in which they are to be named.

    Returns:
        One for each; alike only where the configurations are, or where the words that would tell
        them apart are too long. Where there is no room for all, those that tell most apart are
        kept and ` …` stands for the rest. Empty where nothing differs, or no word fits.
    """
    keys = differing(configs)
    short = short_keys(keys)
    rows = [
        {key: f"{short[key]}={value_text(key, config[key])}" for key in keys if key in config}
        for config in configs
    ]
    kept = _with_room(keys, rows)
    end = [MORE] if 0 < len(kept) < len(keys) else []
    return [" ".join([*(row[key] for key in keys if key in row and key in kept), *end])
            for row in rows]  # fmt: skip


def differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys that say how flat configurations differ, in the order of the configurations.

    Of options that differ in kind the name alone: another network has other keys. None that merely
    follows another key.
    """
    keys = [
        key
        for key in dict.fromkeys(key for config in configs for key in config)
        if any(config.get(key, _ABSENT) != configs[0].get(key, _ABSENT) for config in configs)
    ]
    chosen = {key.removesuffix(".name") for key in keys if _names_group(key)}
    return [
        key
        for key in keys
        if (key.split(".")[0] not in chosen or _names_group(key) or _differs_within(key, configs))
        and not _follows(key, configs)
    ]


def _names_group(key: str) -> bool:
    return key.endswith(".name") and key.count(".") == 1


def _differs_within(key: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether options of the same name differ in it."""
    name = f"{key.split('.')[0]}.name"
    values: dict[Any, Any] = {}
    return any(
        values.setdefault(config.get(name), config[key]) != config[key]
        for config in configs
        if key in config
    )


def _follows(key: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it has the value of another key wherever it stands, as it has by default."""
    other = followed().get(key)
    return other is not None and all(
        config[key] == config.get(other, _ABSENT) for config in configs if key in config
    )


@cache
def followed() -> dict[str, str]:
    """Key -> the key whose value it has unless it is set: `schedule.steps` -> `trainer.steps`."""
    return {
        f"{path.parent.name}.{key}": other
        for path in sorted(conf_dir().glob("*/*.yaml"))
        for key, other in re.findall(
            r"^(\w+): *\$\{(\w[\w.]*)\}", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """Each key's last part, where no other key ends the same: `model.depth` -> `depth`."""
    last = [key.removesuffix(".name").rsplit(".", 1)[-1] for key in keys]
    return {
        key: end if last.count(end) == 1 else key.removesuffix(".name")
        for key, end in zip(keys, last, strict=True)
    }


def _with_room(keys: Sequence[str], rows: Sequence[Mapping[str, str]]) -> set[str]:
    """All keys if every name has room for its words; else those that tell most of them apart."""

    def fits(kept: set[str], room: int) -> bool:
        return all(len(" ".join(row[key] for key in kept if key in row)) <= room for row in rows)

    if fits(set(keys), LONGEST):
        return set(keys)
    kept: set[str] = set()
    rest = list(keys)
    while rest:
        told = [len({tuple(row.get(k) for k in (*kept, key)) for row in rows}) for key in rest]
        key = rest.pop(told.index(max(told)))
        if fits({*kept, key}, LONGEST - 2):
            kept.add(key)
    return kept


def value_text(key: str, value: Any) -> str:
    """A value as it stands in a name: of a folder its own name, of a run the end of its id."""
    if isinstance(value, str):
        if is_folder(key):
            value = value.rstrip("/").rsplit("/", 1)[-1]
        identity = _RUN_ID.fullmatch(value)
        return " ".join((identity[1] if identity else value).split())
    return json.dumps(value, default=str, separators=(",", ":"), ensure_ascii=False)


# The name of one run by itself: what was typed.


def typed_words(overrides: Sequence[str]) -> list[str]:
    """What was typed, short: `depth=5`; an experiment first, without its key.

    What cannot change the result is not said.
    """
    given: dict[str, str] = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        said = has_effect(key) or is_folder(key)
        if said and not key.startswith("paths.") and re.split(r"[./@]", key)[0] not in _NOT_SAID:
            given[key] = value_text(key, value.strip().strip("'\""))
    experiment = given.pop("experiment", "null")
    short = short_keys(list(given))
    words = [] if experiment == "null" else [experiment.strip("[]")]
    return [*words, *(f"{short[key]}={value}" for key, value in given.items())]


def job_name(swept: str, overrides: Sequence[str]) -> str:
    """The name of a run that is a job: its experiment, what was swept, what else was typed."""
    typed = typed_words(overrides)
    first = [word for word in typed if "=" not in word]
    words = [word for word in swept.split() if "=" in word and not word.startswith("experiment=")]
    return as_name(list(dict.fromkeys([*first, *words, *typed])))


def as_name(words: Sequence[str]) -> str:
    """As many words as there is room for in a name, ` …` for the rest; `defaults` for none."""
    kept = list(words)
    while len(kept) > 1 and len(" ".join(kept)) > LONGEST - 2 * (len(kept) < len(words)):
        kept.pop()
    name = " ".join([*kept, MORE] if len(kept) < len(words) else kept)
    return (name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}{MORE}") or DEFAULTS


def slug(name: str) -> str:
    """A name as part of a folder's: letters, digits, `.`, `_` and `-`, whole words if they fit.

    No file system, shell or parser of Hydra's sees anything else in it: `depth-5_act-prelu`.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = [re.sub(r"[^\w.]+", "-", word).strip("-.") for word in plain.split()]
    kept = [word for word in words if word]
    while len(kept) > 1 and len("_".join(kept)) > _LONGEST_SLUG:
        kept.pop()
    return "_".join(kept)[:_LONGEST_SLUG].rstrip("-.") or "run"
