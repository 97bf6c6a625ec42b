"""Shell completion: commands, groups, options and keys, runs, flags.

Hydra's scripts for bash and fish, and ours for zsh, ask us with the line in `COMP_LINE`; what we
say is made from `conf/`, the output folder and the commands' own parsers. Only of `hydra.*` Hydra
knows more.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from srexp.config import COMMANDS as HYDRA
from srexp.options import OptionError
from srexp.paths import OUTPUT_DIR, from_environment

# Hydra has a script for bash alone, which zsh does not take as it is.
_ZSH = """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_srexp() {
    local -a found
    found=(${(f)"$(COMP_LINE="${(j: :)words[1,CURRENT]}" srexp -sc query=zsh)"})
    if (( $#found )); then
        compadd -S '' -- $found
    else
        compset -P '*='
        _files
    fi
}
compdef _srexp srexp"""
# Keys whose value is a run.
_RUNS = ("run", "resume", "init_from")
_FLAGS = ("--help", "--multirun", "--cfg", "--config-dir", "--hydra-help")


def complete(arguments: list[str], commands: Iterable[str]) -> None:
    """`srexp -sc install=bash`, and what the installed script asks: `-sc query=bash`.

    Args:
        arguments: As typed.
        commands: All there are.
    """
    if "install=zsh" in arguments:
        print(_ZSH)
        return
    if "uninstall=zsh" in arguments:
        print("compdef -d srexp; unfunction _srexp")
        return
    if not any(argument.startswith("query") for argument in arguments):
        sys.argv = ["srexp", *arguments]  # install and uninstall: Hydra names the script `srexp`
        importlib.import_module("srexp.commands.train").main()
        return
    words = os.environ.get("COMP_LINE", "").split(" ")
    given, begun = [word for word in words[1:-1] if word], words[-1]
    if begun.startswith(("hydra.", "hydra/")) and given[:1] and given[0] in HYDRA:
        os.environ["COMP_LINE"] = " ".join(["srexp", *given[1:], begun])
        os.environ["COMP_POINT"] = str(len(os.environ["COMP_LINE"]))
        shell = "bash" if "query=bash" in arguments else "fish"
        sys.argv = ["srexp", "-sc", f"query={shell}"]
        importlib.import_module(f"srexp.commands.{given[0]}").main()
        return
    fitting = [word for word in _candidates(given, begun, commands) if word.startswith(begun)]
    print((" " if "query=bash" in arguments else "\n").join(dict.fromkeys(fitting)))


def _candidates(given: list[str], begun: str, commands: Iterable[str]) -> Iterable[str]:
    """What a line may go on with, whether it fits what was begun or not."""
    if not given or given == ["help"]:
        return commands
    if given[0] == "help":
        given = [given[1], "--help", *given[2:]]
    if given[0] in HYDRA:
        return _of_hydra(given[0], given[1:], begun)
    if given[:2] == ["data", "preview"] and not begun.startswith("-"):
        return _of_hydra("train", given[2:], begun)
    return _of_parser(given, begun) if given[0] in commands else ()


def _of_hydra(command: str, given: list[str], begun: str) -> Iterable[str]:
    """Overrides: groups, options of the group, keys of the options that the line chooses."""
    from srexp.config.catalogue import catalogue
    from srexp.config.sweeps import given_config_dir

    folder = given_config_dir(given)
    known = catalogue(command, [folder] if folder else [])
    if {"--help", "-h"} & {*given}:
        options = [f"{g.name}={option}" for g in known.groups.values() for option in g.options]
        return [*known.every_key, *options]
    if begun.startswith("-"):
        return _FLAGS
    known = known.as_chosen(given)
    prefix = begun[: len(begun) - len(begun.lstrip("+"))]
    begun = begun.lstrip("+")
    key, equals, value = begun.partition("=")
    if equals and key in _RUNS and key in known.keys:
        bundled = _bundled() if key == "init_from" else []
        return [f"{key}={run}" for run in [*_run_ids(), "latest", *bundled]]
    if equals and key in known.groups:
        before = re.match(r"(.*[\[,])?", value)  # a list, or several for a sweep
        start = f"{prefix}{key}={before[0] if before else ''}"
        return [f"{start}{option}" for option in known.groups[key].options]
    keys: dict[str, str] = {}
    for group in known.groups.values():
        for option in group.options.values():
            if option.name in group.default or (not group.default and "." in begun):
                keys |= {key.path: key.default for key in option.keys}
    keys |= {key.path: key.default for key in known.keys.values()}
    for inner in known.inner.values():
        for argument in given:
            added = re.fullmatch(rf"\+?{inner.name}@([\w.]+)=(\w+)", argument)
            if added and added[2] in inner.options:
                own = inner.options[added[2]]
                keys |= {k.path.replace(own.where, added[1], 1): k.default for k in own.keys}
        if equals and key.startswith(f"{inner.name}@"):
            return [f"{prefix}{key}={option}" for option in inner.options]
    if equals:
        is_switch = keys.get(key) in ("true", "false")
        return [f"{prefix}{key}=true", f"{prefix}{key}=false"] if is_switch else ()
    heads = [*(f"{group}=" for group in known.groups), "hydra.", "hydra/"]
    for inner in known.inner.values():
        head = f"{inner.name}@{inner.place}"
        heads.append(head.removesuffix("NAME") if head.endswith(".NAME") else f"{head}=")
    for path in keys:  # up to the next dot
        rest = path[len(begun) :] if path.startswith(begun) else path
        segment, dot, _ = rest.partition(".")
        heads.append(f"{path[: len(path) - len(rest)]}{segment}{dot or '='}")
    return [prefix + head for head in heads]


class _ParserFound(Exception):
    """Carries the parser of a command out of its `main`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def _of_parser(given: list[str], begun: str) -> Iterable[str]:
    """Flags, choices, runs and image sets of a command that has a parser of its own."""
    from srexp.terminal.arguments import Parser

    def found(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _ParserFound(parser)

    Parser.parse_known_args = found  # type: ignore[method-assign, assignment]
    try:
        importlib.import_module(f"srexp.commands.{given[0]}").main()
        return ()
    except _ParserFound as caught:
        parser = caught.parser
    for word in given[1:]:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                parser = action.choices[word]
    before = parser._option_string_actions.get(given[-1])
    if before is not None and before.nargs != 0:
        if before.choices is not None:
            return [str(choice) for choice in before.choices]
        return _sweeps() if before.dest == "sweep" else ()
    if begun.startswith("-"):
        return [flag for flag in parser._option_string_actions if flag.startswith("--")]
    offered: list[str] = []
    for action in parser._get_positional_actions():
        if action.choices is not None:
            offered += [str(choice) for choice in action.choices]
        elif action.metavar == "RUN":
            offered += [*_run_ids(), "latest"]
        elif given[0] == "data":
            from srexp.data.known import known_sets

            offered += known_sets()
    return offered


def _output_dir() -> Path:
    try:
        return from_environment(OUTPUT_DIR)
    except OptionError:
        return Path(os.devnull)  # which holds no runs


def _run_ids() -> list[str]:
    from srexp.tracking.record import runs

    return [run.id for run in runs(_output_dir())]


def _bundled() -> list[str]:
    from srexp.training.bundled import names

    return names()


def _sweeps() -> list[str]:
    return [*sorted(path.name for path in _output_dir().glob("sweeps/*")), "latest"]
