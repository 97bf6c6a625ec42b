"""Hydra's and OmegaConf's errors as one readable line with a suggestion."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path

from yaml import YAMLError

from srexp.config.catalogue import SEVERAL, Catalogue, Group, commands_with, conf_dir
from srexp.config.compose import one_choice
from srexp.config.hydra_settings import NO_LOGGING
from srexp.config.registry import groups, implementations
from srexp.config.words import groups_with, of_key, option_meant


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def _suggest(wrong: str, known: Iterable[str]) -> str:
    near = get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def readable(error: BaseException, known: Catalogue) -> str:
    """One line for a configuration error.

    Args:
        error: As Hydra or OmegaConf raised it.
        known: What the command's configuration is made of.
    """
    if message := _missing_key(list(_chain(error)), known):
        return message
    texts = [str(link) for link in _chain(error) if str(link).strip()]
    for text in texts:
        for rule in _RULES:
            message = rule(text, known)
            if message:
                return message
    return " ".join(" ".join(texts[:1] or [type(error).__name__]).split())


def broken_yaml(error: YAMLError) -> str:
    """One line for a file that is no YAML: where, and what is wrong."""
    mark = getattr(error, "problem_mark", None)
    where = f"{mark.name}, line {mark.line + 1}: " if mark is not None else ""
    return where + " ".join(str(getattr(error, "problem", None) or error).split())


def _ours(text: str, known: Catalogue) -> str | None:
    """What we raised ourselves, in what resolves `${...}`."""
    match = re.match("OptionError raised while resolving interpolation: (.*)", text)
    return match[1] if match else None


def _twice(text: str, known: Catalogue) -> str | None:
    """`+link@degradation.links.jpeg=jpeg` where there is one already."""
    match = re.match(r"(?:Multiple values for )?(\S+@(\S+?))(?:\.\s| appears more than)", text)
    return match and (
        f"+{match[1]}: there is {match[2]} already; leave + out to replace it, or call the new one "
        "otherwise"
    )


def _grammar(text: str, known: Catalogue) -> str | None:
    """What cannot be read as an override at all."""
    if match := re.search(r"Error parsing override '(.*)'\s+missing EQUAL", text, re.DOTALL):
        keys = [key for key in ("run", "resume", "init_from") if key in known.keys]
        runs = " or ".join(f"{key}={match[1]}" for key in keys)
        run = f" (a run: {runs})" if re.match(r"20\d\d-|latest$", match[1]) else ""
        return f"{match[1]}: must be KEY=VALUE or GROUP=OPTION{run}"
    if match := re.search(r"Ambiguous value for argument '([^=]+)=([^']*)'", text):
        return several_values(match[1].lstrip("+"), match[2])
    match = re.search(
        r"(?:Error parsing override '(?=.*'\n)|LexerNoViableAltException: )(.*?)(?:'\n|\s+\^)",
        text,
        re.DOTALL,
    )
    if match and "hydra.cc/docs" in text:
        return (
            f"{match[1]}: cannot be read; a value with blanks, commas, quotes or brackets wants "
            "quotes of its own: KEY=\"'VALUE'\""
        )
    return None


def several_values(key: str, values: str) -> str:
    """What `KEY=A,B` without `-m` may have meant."""
    group = key.split("@")[0]
    if "." not in group and group not in SEVERAL and (conf_dir() / group).is_dir():
        return one_choice(key, values, values.split(","))
    sweep = f"one run for each of several values: -m {shlex.quote(f'{key}={values}')}"
    kind = "Any" if group in SEVERAL else _type(key)
    if not kind.startswith(("list", "Any")):
        return f"{key}={values}: takes one value; {sweep}"
    listed = f"several values are a list, {shlex.quote(f'{key}=[{values}]')}"
    return f"{key}={values}: {listed}" + (f"; {sweep}" if kind == "Any" else "")


def _type(key: str) -> str:
    """The type of an option's key; `Any` is one value or several."""
    group, _, name = key.rpartition(".")
    options = implementations(group).values() if group in groups() else ()
    types = [
        str(field.type) for option in options for field in fields(option) if field.name == name
    ]
    return types[0] if types else ""


def _missing_key(links: list[BaseException], known: Catalogue) -> str | None:
    """A key beside which others were found: the error itself knows which."""
    named = re.search(r"Could not override '([^']+)'", "\n".join(str(link) for link in links))
    link = next((link for link in links if re.match(r"Key '.*' (is )?not in", str(link))), None)
    node = getattr(link, "parent_node", None)
    if named is None or node is None:
        return None
    key, missing = named[1], str(getattr(link, "full_key", ""))
    having = [str(name) for name in node if name not in ("hydra", "name")]
    given = re.search(r"use \+\S+?=(.*)", "\n".join(str(link) for link in links))
    value = given[1] if given else ""
    prefix, last, rest = missing.rpartition(".")[0], missing.rpartition(".")[2], key[len(missing) :]
    above = f"{prefix}." if prefix else ""
    if near := get_close_matches(last, having, n=1, cutoff=0.75):
        return f"{key}: no such key; did you mean {above}{near[0]}{rest}?"
    if rest and (group := _group_inside(prefix, known)) is not None:
        return f"{key}: there is no {missing}; {_of_part(group, missing, rest, having, value)}"
    inside = _inside(prefix, last, rest, having, value, known) if prefix in known.groups else None
    if meaning := inside or of_key(key, having, value, known):
        return f"{key}: no such key; {meaning}"
    if not prefix:
        hint = _suggest(key, [other for other in known.every_key if other != key])
        return f"{key}: no such key{hint or f'; srexp {known.command} --help lists them all'}"
    owner = node.get("name") if prefix in known.groups else prefix
    listed = f"it has {', '.join(having)}" if having else "it has none"
    return f"{key}: {owner} has no such key; {listed}"


def _group_inside(place: str, known: Catalogue) -> Group | None:
    """Of what options stand in a place: `loss.terms`, `degradation.links`."""
    for outer in known.groups.values():
        for option in outer.options.values():
            for part in option.parts:
                several = part.place.rpartition(".")[0]
                if several and f"{outer.name}.{several}" == place:
                    return known.inner[part.group] if part.group else outer
    return None


def _of_part(group: Group, missing: str, rest: str, having: list[str], value: str) -> str:
    """What to type for a key of a part that is not there: `loss.terms.l1.weight`."""
    place, _, name = missing.rpartition(".")
    option = option_meant(group, name) or next(iter(group.options))
    if option in having:
        return f"type {shlex.quote(f'{place}.{option}{rest}={value}')}"
    typed = [f"+{group.name}@{missing}={option}", f"{missing}{rest}={value}"]
    return f"{place} has {', '.join(having) or 'none'}; to add one: {shlex.join(typed)}"


def _inside(
    group: str, last: str, rest: str, chosen: list[str], value: str, known: Catalogue
) -> str | None:
    """What to type for a key of one of several options: `benchmark.dir`, `benchmark.set5.dir`."""
    options = known.groups[group].options
    if last in options and rest:  # of one that is not chosen
        override = shlex.quote(f"{group}.{last}{rest}={value}")
        return f"{last} is not chosen: type {group}={last} {override}"
    for name in chosen:
        if name in options and any(k.path == f"{group}.{name}.{last}" for k in options[name].keys):
            return f"type {shlex.quote(f'{group}.{name}.{last}={value}')}"
    return None


def _unknown_key(text: str, known: Catalogue) -> str | None:
    match = re.search(r"Could not override '([^']+)'", text)
    if match is None:
        return None
    key = match[1]
    if "did you mean" in text.lower():
        return " ".join(text.split())
    if "No match in the defaults" in text:
        return None
    if re.search(r"Key '[^']*' (is not in struct|not in)|To append to your config", text):
        hint = _suggest(key, [other for other in known.every_key if other != key])
        return f"{key}: no such key{hint or f'; srexp {known.command} --help lists them all'}"
    return f"{key}: {' '.join(text.splitlines()[-1].split())}"


def _unknown_option(text: str, known: Catalogue) -> str | None:
    match = re.search(r"Could not (?:find|load) '([^']+)/([^'/]*)'", text)
    if match is None:
        return None
    group, option = match[1], match[2]
    if group.split("/")[0] in known.groups:  # data=some/folder
        group, _, option = f"{group}/{option}".partition("/")
    if (package := _PACKAGES.get((group, option))) is not None:
        return f"{group}={option}: is not installed: pip install {package} (docs/launchers.md)"
    if group in ("hydra/job_logging", "hydra/hydra_logging"):
        return f"{group}={option}: {NO_LOGGING}"
    ours = known.groups.get(group)
    if ours is not None and (named := option_meant(ours, option)) is not None:
        return f"{group}={option}: no such option; it is called {named} here: type {group}={named}"
    if group in ("data", "benchmark") and ("/" in option or Path(option).is_dir()):
        key = "data.train_dir" if group == "data" else "benchmark.folder.dir"
        override = shlex.quote(f"{key}={option}")
        return f"{group}={option}: no such option; a folder: type {group}=folder {override}"
    listed = re.search(r"Available options in '[^']*':\n((?:\t\S+\n?)+)", text)
    if listed:
        options = listed[1].split()
    else:  # one of several, as in benchmark=[set5,set144]: Hydra lists none
        options = sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
    if ours is not None:  # of another command: resamplers have nothing to train
        shipped = {path.stem for path in (conf_dir() / group).glob("*.yaml")}
        options = [name for name in options if name in ours.options or name not in shipped]
    available = f" (there are {', '.join(options)})" if options else ""
    within = [name for name in options if option.lower() in name.lower()]
    hint = f"; did you mean {' or '.join(within)}?" if within else _suggest(option, options)
    others = [other for other in groups_with(option, known) if other != f"{group}={option}"]
    elsewhere = f"; {option} is an option of another group: {' or '.join(others)}" if others else ""
    return f"{group}={option}: no such option{hint}{available}{elsewhere}"


def _unknown_group(text: str, known: Catalogue) -> str | None:
    match = re.search(
        r"Could not override '([^'@]+)(@[^']*)?'\.\s*\n?No match in the defaults", text
    )
    if match is None:
        return None
    tops = sorted({key.split(".")[0] for key in known.every_key})
    commands = commands_with(match[1])  # typed, or set by the YAML of an option that was chosen
    if commands:
        listed = " and ".join(f"srexp {name}" for name in commands)
        hint = "; to score a trained network, name its run (run=RUN)" if "train" in commands else ""
        return f"{match[1]}: is no group of this command, but of {listed}{hint}"
    return f"{match[1]}: no such group or key{_suggest(match[1], tops)}"


def _no_option(text: str, known: Catalogue) -> str | None:
    if "Config group override must be a string or a list" not in text:
        return None
    return "a group was given something that is no option of it, such as null; choose one by name"


def _nothing_to_delete(text: str, known: Catalogue) -> str | None:
    match = re.search(r"Could not delete from config\. '([^']+)' does not exist", text)
    return (
        f"~{match[1]}: no such key or group{_suggest(match[1], known.every_key)}" if match else None
    )


def _needs_choice(text: str, known: Catalogue) -> str | None:
    match = re.search(r"You must specify '([^']+)', e\.g, (\S+)", text)
    return f"{match[1]}: must be chosen" if match else None


# Launchers and sweepers of Hydra's that are packages of their own.
_PACKAGES = {
    ("hydra/launcher", "joblib"): "hydra-joblib-launcher",
    ("hydra/launcher", "submitit_slurm"): "hydra-submitit-launcher",
    ("hydra/launcher", "submitit_local"): "hydra-submitit-launcher",
    ("hydra/launcher", "ray"): "hydra-ray-launcher",
    ("hydra/launcher", "ray_aws"): "hydra-ray-launcher",
    ("hydra/launcher", "rq"): "hydra-rq-launcher",
    ("hydra/sweeper", "optuna"): "hydra-optuna-sweeper",
    ("hydra/sweeper", "ax"): "hydra-ax-sweeper",
    ("hydra/sweeper", "nevergrad"): "hydra-nevergrad-sweeper",
}

_RULES = (
    _ours, _grammar, _unknown_key, _unknown_option, _unknown_group, _no_option, _needs_choice,
    _nothing_to_delete, _twice,
)  # fmt: skip
