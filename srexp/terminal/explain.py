"""`--help` of the commands that Hydra composes: every group, option and key in words.

Made of the comments in `conf/`, without Hydra.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from textwrap import wrap
from typing import Any

from yaml import YAMLError

from srexp.config.catalogue import Catalogue, Group, Key, Option, catalogue
from srexp.config.words import elsewhere, meant
from srexp.terminal.exit import fail

_WIDTH = 80
HELP = ("-h", "--help", "help")
# Of the keys that belong to no group.
_SETTINGS = {
    "train": ("srexp.training.experiment", "Experiment"),
    "evaluate": ("srexp.config.settings", "EvaluateSettings"),
    "reproduce": ("srexp.config.reproduction", "ReproduceSettings"),
}
_FOOT = """\
srexp {command} --help KEY     a key, group or option: {topics}
srexp {command} --cfg job      every key and its value as YAML
srexp {command} --hydra-help   Hydra's flags; --config-dir DIR: options of yours
"""
_TOPICS = {
    "train": "trainer.ema, act, model=srcnn",
    "evaluate": "timing, protocol=rgb",
    "reproduce": "train, table=srcnn",
}


def asks_for_help(arguments: list[str]) -> bool:
    """Whether a command line asks what a command does."""
    return any(argument in HELP[:2] for argument in arguments) or arguments[:1] == ["help"]


def explain(command: str, arguments: list[str]) -> None:
    """Print what `srexp COMMAND --help ...` asks for: all, or a few topics.

    Every other argument is a topic: `trainer.ema`, `model`, `model=srcnn`.
    """
    folders, topics = _taken_apart(arguments)
    for folder in folders:
        if not folder.is_dir():
            fail(f"--config-dir {folder}: no such folder")
    try:
        known = catalogue(command, folders)
        if topics:
            text = "\n".join(line for topic in topics for line in [*_topic(known, topic), ""])
        else:
            text = "\n".join(_everything(known))
    except YAMLError as error:
        from srexp.config.errors import broken_yaml

        fail(broken_yaml(error))
    _show(text.rstrip("\n") + "\n")


def _taken_apart(arguments: list[str]) -> tuple[list[Path], list[str]]:
    """Folders with more options, and topics."""
    folders, topics, rest = [], [], iter(arguments)
    for argument in rest:
        flag, equals, value = argument.partition("=")
        if flag in ("--config-dir", "-cd"):
            folders.append(Path(value if equals else next(rest, ".")))
        elif argument not in HELP and not argument.startswith("-"):
            topics.append(argument.lstrip("+~"))
    return folders, topics


def _everything(known: Catalogue) -> Iterator[str]:
    yield from _prose(known.words)
    yield ""
    yield from _FOOT.format(command=known.command, topics=_TOPICS[known.command]).splitlines()
    for group in known.every_group:
        yield ""
        yield from _group(known, group, brief=True)
    yield ""
    yield "keys of no group:"
    yield from _keys(known.keys.values())


def _topic(known: Catalogue, topic: str) -> Iterator[str]:
    path, _, value = topic.partition("=")
    group = known.groups.get(path) or known.inner.get(path.partition("@")[0])
    if group is not None:
        chosen = [name for name in re.split(r"[\[\],\s]+", value) if name in group.options]
        for name in chosen:
            yield from _option(known, group, group.options[name])
        if not chosen:
            yield from _group(known, group, brief=False)
        return
    found = list(_find(known, path))
    if found:
        yield from _key(known, found)
        return
    places = known.groups_with(path)
    if places:
        for group in known.every_group:
            if group.name in places:
                yield from _option(known, group, group.options[path])
        return
    word = meant(path.replace("-", "_"), value, known)
    if word is not None and (word.key in known.groups or list(_find(known, word.key))):
        yield from _topic(known, word.key)
        return
    if where := elsewhere(path, known.command):
        fail(f"{path}: no key of srexp {known.command}; {where}")
    near = get_close_matches(path, known.every_key, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    fail(f"{path}: no key, group or option of srexp {known.command}{hint}")


def _find(known: Catalogue, path: str) -> Iterator[tuple[Group | None, Option | None, Key]]:
    """Everything that a path may mean: its option decides."""
    if path in known.keys:
        yield None, None, known.keys[path]
    for group in known.every_group:
        for option in group.options.values():
            for key in known.of(group, option):
                if key.path == path or key.path == path.replace(".NAME.", f".{option.name}.", 1):
                    yield group, option, key


def _group(known: Catalogue, group: Group, *, brief: bool) -> Iterator[str]:
    default = ",".join(group.default)
    several = len(group.default) > 1
    head = f"{group.name}={f'[{default}]' if several or not default else default}"
    yield from _entry(head if default else group.typed, group.words, indent=0, column=14)
    width = max(map(len, group.options), default=0) + 4
    for option in group.options.values():
        if len(group.options) > 1 or not brief:
            words = option.summary if brief else option.words.replace("\n", " ")
            yield from _entry(f"  {option.name}", words, indent=0, column=width)
    keys = _merged(known, group)
    if keys:
        yield from _keys(keys)


def _merged(known: Catalogue, group: Group) -> list[Key]:
    """The keys of all options of a group, each once.

    One that some options alone have says which; a default is that of the options that have it
    first, the chosen ones before the others.
    """
    order = sorted(group.options.values(), key=lambda option: option.name not in group.default)
    merged: dict[tuple[str, str], tuple[Key, list[Option]]] = {}
    for option in order:
        for key in known.of(group, option):
            path = key.path
            if option.where != group.name and not group.place:
                path = path.replace(option.where, f"{group.name}.NAME", 1)
            _, having = merged.setdefault((path, key.words), (key, []))
            having.append(option)
    result = []
    for (path, words), (key, having) in merged.items():
        others = [option.name for option in group.options.values() if option not in having]
        names = ", ".join(sorted(option.name for option in having))
        if len(others) < len(having):
            names = f"not {', '.join(others)}"
        some = bool(others)
        defaults = {k.default for o in having for k in known.of(group, o) if k.name == key.name}
        ours = having[0].where == group.name and having[0].name in group.default
        shown = key.default if ours or len(defaults) == 1 else ""
        result.append(Key(path, shown, f"{words} ({names})" if some else words))
    return result


def _option(known: Catalogue, group: Group, option: Option) -> Iterator[str]:
    chosen = " (the default)" if option.name in group.default else ""
    yield f"{group.typed}={option.name}{chosen}"
    yield from (f"  {line}".rstrip() for line in _prose(option.words, _WIDTH - 2))
    yield from _keys(known.of(group, option))


def _keys(keys: Iterable[Key]) -> Iterator[str]:
    for key in keys:
        head = f"  {key.path}={key.default}" if key.default else f"  {key.path}"
        yield from _entry(head, key.words, indent=2, column=30)


def _key(known: Catalogue, found: list[tuple[Group | None, Option | None, Key]]) -> Iterator[str]:
    """A key in full; once for all options in which it is the same."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for group, option, key in found:
        takes = _takes(known, group, option, key)
        names = alike.setdefault((key.default, key.words, takes), [])
        if group is not None and option is not None and len(group.options) > 1:
            names.append(f"{group.typed}={option.name}")
    path = found[0][2].path
    yield path
    for (default, words, takes), names in alike.items():
        if names:
            yield from _wrapped(f"with {', '.join(names)}:", 2)
        yield from _wrapped(words, 4)
        yield from _entry("    takes", takes, indent=0, column=14)
        yield from _entry("    default", default, indent=0, column=14)


def _takes(known: Catalogue, group: Group | None, option: Option | None, key: Key) -> str:
    """Type, range and choices, from the class that checks the key."""
    from importlib import import_module

    from srexp.config.registry import groups, implementations
    from srexp.options import described

    if key.owner[0]:
        cls: Any = implementations(key.owner[0]).get(key.owner[1])
    elif group is not None and option is not None:
        if group.name not in groups():
            module, name = ("srexp.training.experiment", "Paths")
            cls = getattr(import_module(module), name) if group.name == "paths" else None
        else:
            cls = implementations(group.name).get(option.implementation)
    else:
        module, name = _SETTINGS[known.command]
        cls = getattr(import_module(module), name)
    own = {field.name: field for field in fields(cls)} if cls is not None else {}
    return described(own[key.name]) if key.name in own else "a value"


def _entry(head: str, words: str, *, indent: int, column: int) -> Iterator[str]:
    """A name and its explanation beside it, or below where the name is long."""
    lines = wrap(words, _WIDTH - column, break_on_hyphens=False) or [""]
    if len(head) + 2 > column:
        yield from _broken(head)
        rest = lines if words else []
    else:
        yield f"{head:{column}}{lines[0]}".rstrip()
        rest = lines[1:]
    yield from (f"{'':{column}}{line}" for line in rest)


def _broken(head: str) -> Iterator[str]:
    """A line that is too long, at commas."""
    while len(head) > _WIDTH:
        cut = head.rfind(",", 0, _WIDTH) + 1 or _WIDTH
        yield head[:cut]
        head = "      " + head[cut:]
    yield head


def _wrapped(text: str, indent: int) -> list[str]:
    space = " " * indent
    return wrap(text, _WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)


def _prose(text: str, width: int = _WIDTH) -> Iterator[str]:
    for line in text.split("\n"):
        if line.startswith(" ") or not line:
            yield line
        else:
            yield from wrap(line, width, break_on_hyphens=False)


def _show(text: str) -> None:
    """Through the user's pager where it is longer than the terminal is high."""
    if sys.stdout.isatty() and text.count("\n") >= shutil.get_terminal_size().lines:
        pager = shlex.split(os.environ.get("PAGER", "less"))
        if pager and shutil.which(pager[0]):
            # As Git does: colours as they are, what was shown stays on the screen.
            environment = {"LESS": "FRX", **os.environ}
            encoding = sys.stdout.encoding  # of the terminal
            subprocess.run(
                pager, input=text, encoding=encoding, errors="replace", env=environment, check=False
            )
            return
    print(text, end="")
