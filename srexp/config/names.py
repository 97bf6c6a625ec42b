"""What runs, methods and jobs are called: in every table, plot and page, in folders and MLflow."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from srexp.config.catalogue import catalogue, conf_dir
from srexp.config.effect import has_effect, is_folder

# Of a name, which stands in tables and under pictures, and of what stands for it in a folder's.
LONGEST = 48
_LONGEST_VALUE = 24
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

    The keys that tell most apart come first. A default that most rows have is not said where the
    rest tells rows apart; where there is no room for all, no default is.

    Args:
        configs: Flat, their keys in the order in which those that tell as much are to be named.

    Returns:
        One for each; alike only where the configurations are, or where the words that would tell
        them apart are too long. ` …` stands for words that there is no room for. Empty where
        nothing differs.
    """
    keys = _most_telling_first(differing(configs), configs)
    short = short_keys(keys)
    texts = {key: _texts(key, configs) for key in keys}
    rows = _without_defaults(keys, texts, configs, most=True)
    if _longest(rows, short) > LONGEST:
        rows = _without_defaults(keys, texts, configs, most=False)
    if _longest(rows, short) > LONGEST:
        brief = {key: _brief({row[key] for row in rows if key in row}) for key in keys}
        rows = [{key: brief[key][text] for key, text in row.items()} for row in rows]
    words = [[f"{short[key]}={text}" for key, text in row.items()] for row in rows]
    return [_cut(row) if row else "" for row in words]


def _texts(key: str, configs: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """The values of a key as they are named; None where it is absent."""
    return [value_text(key, config[key]) if key in config else None for config in configs]


def _most_telling_first(keys: list[str], configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each key the one that, with those before it, tells most configurations apart."""
    found: list[str] = []
    said: list[tuple[str, ...]] = [()] * len(configs)
    rest = {key: [repr(config.get(key, _ABSENT)) for config in configs] for key in keys}
    while rest:
        told = {key: len(set(zip(said, values, strict=True))) for key, values in rest.items()}
        found.append(max(told, key=lambda key: told[key]))  # of equals the first
        values = rest.pop(found[-1])
        said = [(*before, value) for before, value in zip(said, values, strict=True)]
    return found


def _without_defaults(
    keys: Sequence[str],
    texts: Mapping[str, Sequence[str | None]],
    configs: Sequence[Mapping[str, Any]],
    *,
    most: bool,
) -> list[dict[str, str]]:
    """The words of each row, without the defaults that nothing needs.

    Args:
        keys: In the order of the words.
        texts: Of each key, its value in each row.
        configs: Of each row.
        most: Leave out a default only where most rows have it.
    """

    def rows_of(dropped: Mapping[str, Sequence[bool]]) -> list[dict[str, str]]:
        return [
            {
                key: text
                for key in keys
                if (text := texts[key][row]) is not None
                and not (key in dropped and dropped[key][row])
            }
            for row in range(len(configs))
        ]

    def told(rows: Sequence[Mapping[str, str]]) -> int:
        return len({tuple(row.items()) for row in rows})

    # `patience=null` says least; then the longest.
    def says_least(key: str) -> tuple[bool, int]:
        return "null" not in texts[key], -max(len(text or "") for text in texts[key])

    dropped: dict[str, list[bool]] = {}
    rows = rows_of(dropped)
    for key in sorted(keys, key=says_least):
        default = [key in config and _is_default(key, config) for config in configs]
        if most and 2 * sum(default) <= len(configs):
            continue
        fewer = rows_of({**dropped, key: default})
        if all(fewer) and told(fewer) == told(rows):
            dropped, rows = {**dropped, key: default}, fewer
    return rows


def _is_default(key: str, config: Mapping[str, Any]) -> bool:
    """Whether a configuration has what its option's YAML says, or the option of `train.yaml`."""
    option = "" if _names_group(key) else config.get(f"{key.split('.')[0]}.name", "")
    return (option, key, _as_number(value_text(key, config[key]))) in _defaults()


@cache
def _defaults() -> set[tuple[str, str, str]]:
    """Implementation of the option, or nothing; key; value."""
    known = catalogue("train")
    found = {("", key.path, key.default) for key in known.keys.values()}
    for group in known.groups.values():
        for option in group.options.values():
            chosen = option.name in group.default
            if chosen:
                found.add(("", f"{group.name}.name", option.implementation))
            if chosen or option.name == option.implementation:
                found |= {(option.implementation, key.path, key.default) for key in option.keys}
    return {(option, key, _as_number(value)) for option, key, value in found}


def _as_number(text: str) -> str:
    try:
        return str(float(text))
    except ValueError:
        return text


def _longest(rows: Sequence[Mapping[str, str]], short: Mapping[str, str]) -> int:
    names = (" ".join(f"{short[key]}={text}" for key, text in row.items()) for row in rows)
    return max(map(len, names), default=0)


def _brief(texts: Collection[str]) -> dict[str, str]:
    """Each value, long ones cut at their end, or where they begin alike from where they differ."""
    long = [text for text in texts if len(text) > _LONGEST_VALUE]
    at = 0
    if len({text[: _LONGEST_VALUE - 1] for text in long}) < len(long):
        columns = enumerate(zip(*long, strict=False))
        at = next(
            (place for place, letters in columns if len(set(letters)) > 1), min(map(len, long))
        )

    def cut(text: str) -> str:
        if len(text) <= _LONGEST_VALUE:
            return text
        start = MORE if at else ""
        room = _LONGEST_VALUE - len(start)
        rest = text[at:]
        return start + (rest if len(rest) <= room else rest[: room - 1] + MORE)

    return {text: cut(text) for text in texts}


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


def value_text(key: str, value: Any) -> str:
    """A value as it stands in a name: of a folder its own name, of a run the end of its id."""
    if isinstance(value, str):
        if is_folder(key):
            value = value.rstrip("/").rsplit("/", 1)[-1]
        identity = _RUN_ID.fullmatch(value)
        return " ".join((identity[1] if identity else value).split())
    if isinstance(value, (list, tuple)):
        return f"[{','.join(value_text(key, item) for item in value)}]"
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
    return _cut(list(dict.fromkeys([*first, *words, *typed])))


def as_name(words: Sequence[str]) -> str:
    """What was typed, as far as there is room in a name; `defaults` for nothing.

    The last word is kept: what is added to a line that was typed before stands at its end.
    """
    return _cut(words, words[-1:])


def _cut(words: Sequence[str], keep: Collection[str] = ()) -> str:
    """As many words as there is room for, ` …` for the rest.

    Args:
        words: What tells most apart first.
        keep: Those of them that are kept beside the first one and the seed.
    """
    kept = list(words)
    spare = [word for word in words[1:] if word not in keep and not word.startswith("seed=")]

    def name() -> str:
        return " ".join([*kept, MORE] if len(kept) < len(words) else kept)

    while len(name()) > LONGEST and spare:
        kept.remove(spare.pop())
    if (over := len(name()) - LONGEST) > 0:
        longest = max(kept, key=len)
        kept[kept.index(longest)] = f"{longest[: max(0, len(longest) - over - 1)]}{MORE}"
    return name()[:LONGEST] or DEFAULTS


def slug(name: str) -> str:
    """A name as part of a folder's: letters, digits, `.`, `_` and `-`, whole words if they fit.

    No file system, shell or parser of Hydra's sees anything else in it: `depth-5_act-prelu`. Of too
    many words those in the middle are left out, but never the seed.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = [re.sub(r"[^\w.]+", "-", word).strip("-.") for word in plain.split()]
    kept = [word for word in words if word]
    while len(kept) > 1 and len("_".join(kept)) > _LONGEST_SLUG:
        seedless = [word for word in kept if not word.startswith("seed-")]
        # The last word and the first one go last.
        kept.remove((seedless[1:-1] or seedless or kept)[-1])
    return "_".join(kept)[:_LONGEST_SLUG].rstrip("-.") or "run"
