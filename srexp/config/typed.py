"""What people type as KEY=VALUE, made what Hydra's grammar reads as the same text.

Hydra reads `2024`, `1e3` and `true` as numbers and booleans, and `=`, `,`, `{}`, `[]` and quotes as
its grammar. A key that holds any text or a path gets what was typed, letter by letter, but for:
`null`; a text in quotes; `[A,B]` where the key takes a list; `${...}`; with `-m`, commas and
functions such as `choice(A,B)`. What is there under the very name, brackets and all, goes first.
"""

from __future__ import annotations

import os
import re
import shlex
import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import grammar_parser
from omegaconf.errors import GrammarParseError

from srexp.config.catalogue import SEVERAL, conf_dir
from srexp.config.compose import one_choice
from srexp.config.errors import several_values
from srexp.config.registry import groups, implementations
from srexp.config.sweeps import CONFIG_DIR
from srexp.options import EMPTY, OptionError
from srexp.paths import PathError, checked, to_path


@dataclass(frozen=True)
class TextKey:
    """A key that holds any text.

    Attributes:
        lists: Whether it takes several.
        flag: Whether it takes true and false too.
        there: Whether what it names must be there already: a folder of pictures, a run.
    """

    lists: bool = False
    flag: bool = False
    there: bool = False


_INPUT = TextKey(there=True)
# Keys outside the groups of options; `test_typed.py` compares them with the settings.
_KEYS = {
    "run": _INPUT, "resume": _INPUT, "init_from": _INPUT, "sr_dir": _INPUT,
    "method": TextKey(), "save_sr": TextKey(flag=True),
    "paths.output_dir": TextKey(), "paths.data_dir": TextKey(),
    "hydra.run.dir": TextKey(), "hydra.sweep.dir": TextKey(),
    "hydra.sweeper.storage": TextKey(), "hydra.sweeper.study_name": TextKey(),
}  # fmt: skip
# Fields of options that name what is there already.
_INPUT_FIELDS = (
    "train_dir", "val_dir", "dir", "hr_dir", "lr_dir", "val_hr_dir", "val_lr_dir", "model",
)  # fmt: skip

_OVERRIDE = re.compile(r"(\+{0,2})([A-Za-z_][\w./-]*)=(.*)", re.DOTALL)
_FUNCTION = re.compile(
    r"(choice|range|interval|glob|sort|shuffle|tag|str|int|float|bool|json_str|extend_list)\(.*\)",
    re.DOTALL,
)
# What may make it a sweep besides -m: a file that says so.
_MAY_SWEEP = ("sweep=", "+sweep=", "experiment=", "--config-dir", "-cd", "hydra.mode=")


@cache
def _text_fields(group: str) -> dict[str, TextKey]:
    found = {}
    for cls in implementations(group).values():
        for field in fields(cls):
            kind = typing.get_type_hints(cls)[field.name]
            holds = {kind, *typing.get_args(kind)}
            lists = kind == list[str] or "texts" in field.metadata
            if (str in holds or lists) and "choices" not in field.metadata:
                there = field.name in _INPUT_FIELDS
                found[field.name] = TextKey(lists, bool in holds, there)
    return found


def text_key(key: str) -> TextKey | None:
    """What is known of a dotted key that holds any text; None for other keys."""
    group, _, rest = key.partition(".")
    if key in _KEYS or group not in groups():
        return _KEYS.get(key)
    return _text_fields(group).get(rest.rsplit(".", 1)[-1])


def as_typed(arguments: Sequence[str], config_dir: str | Path | None = None) -> list[str]:
    """A command line as Hydra reads it right; what is no override of a text stays as it is.

    Args:
        arguments: Overrides and Hydra's options.
        config_dir: Where there are groups besides those of `conf/`.

    Raises:
        OptionError: A value may mean two things, or is empty; says what to type.
    """
    sweeps = any(a in ("-m", "--multirun") or "=MULTIRUN" in a.upper() for a in arguments)
    may_sweep = sweeps or any(a.startswith(_MAY_SWEEP) for a in arguments)
    found = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        match = _OVERRIDE.fullmatch(argument)
        option, equals, folder = argument.partition("=")
        if option in CONFIG_DIR and equals:
            argument = f"{option}={checked(option, folder)}"
        elif before in CONFIG_DIR:
            match, argument = None, str(checked(before, argument))
        if match is None:
            _check_part(argument)
            found.append(argument)
            continue
        signs, key, value = match.groups()
        kind = text_key(key)
        if kind is not None:
            value = _sweep(key, value, kind, sweeps, may_sweep)
        elif _is_group(key, config_dir):
            value = _names(value)
        found.append(f"{signs}{key}={value}")
    if sweeps:
        _check_once(found)
    return found


def _check_part(argument: str) -> None:
    """Refuse a list for a part of an option here, since Hydra forgets the `+` before it."""
    match = re.fullmatch(r"(\+{0,2}(\w+)@[\w.]+)=\[(.*)\]", argument)
    if match is not None and match[2] not in SEVERAL and _is_group(match[2], None):
        names = [name.strip() for name in match[3].split(",")]
        raise OptionError(one_choice(match[1], f"[{match[3]}]", names), match[1])


def _check_once(overrides: Sequence[str]) -> None:
    """Refuse a swept key that is given again: the last would win, and the sweep be lost."""
    given: dict[str, str] = {}
    for match in filter(None, map(_OVERRIDE.fullmatch, overrides)):
        _, key, value = match.groups()
        before = given.setdefault(key, value)
        swept = [v for v in (before, value) if len(_split(v)) > 1 or _FUNCTION.fullmatch(v)]
        if before != value and swept:
            raise OptionError(
                f"{key}: is given twice, as {before} and as {value}; leave one out", key
            )


def keys_of_a_run(arguments: Sequence[str]) -> list[str]:
    """Overrides as Hydra takes them with `resume=RUN`, else as they are.

    A key is then one of the run's options, which today's defaults may not have; `config.resume`
    refuses what the run does not have either.
    """
    if not any(a.startswith("resume=") and a != "resume=null" for a in arguments):
        return list(arguments)
    own = re.compile(r"(?!hydra\.)[a-z_]+\.[\w.]+=")
    return [f"++{a}" if own.match(a) else a for a in arguments]


def quoted(text: str) -> str:
    """A text in quotes, as Hydra reads it back whatever is in it."""
    escaped = re.sub(r"(\\*)\$\{", lambda m: 2 * m[1] + "\\${", text)
    return QuotedString(escaped, Quote.single).with_quotes()


def typed_override(key: str, text: str) -> str:
    """The argument to type, quoted for the shell, by which a key gets a text."""
    return shlex.quote(f"{key}={_literal(text)}")


def _sweep(key: str, value: str, kind: TextKey, sweeps: bool, may_sweep: bool) -> str:
    """The value, or with -m each of its values."""
    parts = _split(value)
    if len(parts) == 1 or (not sweeps and (_is_there(value) or not (may_sweep or kind.there))):
        return _value(key, value, kind, sweeps)
    if may_sweep:
        values = [_value(key, part, kind, sweeps) for part in parts]
        if key == "paths.output_dir":
            raise OptionError(
                f"{key}={value}: a sweep has one output folder, for its summary; one with a comma "
                f"in its name: {shlex.quote(f'{key}={quoted(value)}')}",
                key,
            )
        return ",".join(values)
    raise OptionError(f"{several_values(key, value)}; there is nothing of this name", key)


def _value(key: str, text: str, kind: TextKey, sweeps: bool) -> str:
    """One value, as Hydra reads it as what was typed."""
    word = text.strip()
    if not word:
        raise OptionError(f"{key}=: {EMPTY}", key)
    if word.lower() == "null":
        if kind.there and os.path.lexists(word):
            raise OptionError(
                f"{key}={word}: means none; for what is there under that name: {key}=./{word}", key
            )
        return text
    if kind.flag and word.lower() in ("true", "false"):
        return text
    if _is_there(text):
        return _literal(text)
    parsed = _parsed(text)
    if isinstance(parsed, QuotedString):
        return _literal(parsed.text) if _is_there(parsed.text) else text
    if "${" in text and _is_interpolation(text):
        return text if isinstance(parsed, str) else QuotedString(text, Quote.single).with_quotes()
    if kind.lists and word.startswith("[") and word.endswith("]"):
        items = [part.strip() for part in _split(word[1:-1])]
        return f"[{','.join(_value(key, item, TextKey(), False) for item in items)}]"
    if sweeps and _FUNCTION.fullmatch(word):
        return text
    return _literal(text)


def _is_interpolation(text: str) -> bool:
    try:
        grammar_parser.parse(text)
    except GrammarParseError:
        return False
    return True


def _literal(text: str) -> str:
    """The text, in quotes where Hydra would not read it as it is."""
    return text if _parsed(text) == text and "${" not in text else quoted(text)


def _names(value: str) -> str:
    """Names of options, in quotes where they look like numbers: `experiment=2024`."""
    return ",".join(
        quoted(part) if isinstance(_parsed(part), (int, float)) else part for part in _split(value)
    )


def _is_group(key: str, config_dir: str | Path | None) -> bool:
    places = [conf_dir(), *([to_path(config_dir)] if config_dir else [])]
    return "." not in key and any((place / key).is_dir() for place in places)


def _is_there(text: str) -> bool:
    """Whether a path of this very name exists."""
    try:
        return os.path.lexists(to_path(text))
    except PathError:
        return False


@cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _parsed(text: str) -> Any:
    """What Hydra makes of a value; None where it cannot read it, or reads several."""
    try:
        override = _parser().parse_override(f"key={text}")
    except (HydraException, ValueError):
        return None
    return None if override.is_sweep_override() else override._value


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and outside quotes that begin an item."""
    parts, start, depth, index = [], 0, 0, 0
    while index < len(text):
        letter = text[index]
        if letter in "'\"" and not text[start:index].strip(" [{("):
            closing = re.compile(rf"(?:[^\\{letter}]|\\.)*{letter}", re.DOTALL)
            end = closing.match(text, index + 1)
            index = end.end() if end else index + 1
            continue
        if letter in "[{(":
            depth += 1
        elif letter in "]})":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
        index += 1
    # Brackets that are no pairs are letters of a name.
    return [*parts, text[start:]] if depth == 0 else text.split(",")
