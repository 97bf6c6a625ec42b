"""Overrides taken apart by Hydra's own grammar, and values as YAML that reads back the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from srexp.options import OptionError, flatten


@dataclass(frozen=True)
class Override:
    """One override of a job, such as `model.depth=3`.

    Attributes:
        text: As it was given.
        key: A key (`model.depth`) or a group (`act`), without what stands before it.
        value: Plain data; interpolations as they stand.
        package: Where a group's option was put (`act@PACKAGE=relu`), or None.
        adds: `+key=` or `++key=`.
        deletes: `~key`.
    """

    text: str
    key: str
    value: Any
    package: str | None
    adds: bool
    deletes: bool


def parse_override(text: str) -> Override:
    """Take an override apart.

    Raises:
        OptionError: It is none.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise OptionError(f"{text}: no override ({str(error).splitlines()[0]})") from None
    return Override(
        text=text,
        key=parsed.key_or_group,
        value=None if parsed.is_delete() else parsed.value(),
        package=parsed.package,
        adds=parsed.is_add() or parsed.is_force_add(),
        deletes=parsed.is_delete(),
    )


def named(overrides: Iterable[str]) -> set[str]:
    """The groups, and the keys outside groups, that overrides set."""
    typed = (override.lstrip("+~") for override in overrides)
    return {override.split("=", 1)[0].split(".")[0].split("@")[0] for override in typed}


def preset(path: Path) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """What the file of a preset chooses, group -> option, and the keys that it sets.

    Without Hydra's own: they say how jobs are made, and are no part of one.
    """
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    chosen: dict[str, Any] = {}
    values: list[tuple[str, Any]] = []
    for entry in content.pop("defaults", []):
        if isinstance(entry, str) and entry != "_self_":  # what it is based on
            groups, keys = preset(path.with_name(f"{entry}.yaml"))
            chosen, values = chosen | groups, [*values, *keys]
        for group, option in entry.items() if isinstance(entry, dict) else ():
            chosen[str(group).removeprefix("override ").lstrip("/")] = option
    content.pop("hydra", None)
    own = {str(key): value for key, value in content.items()}
    return (
        {group: option for group, option in chosen.items() if not group.startswith("hydra")},
        [*values, *flatten(own).items()],
    )


def to_yaml(values: Iterable[tuple[str, Any]]) -> str:
    """Dotted keys and their values, set one after the other as Hydra does, as YAML.

    A text that would read back as a number, such as `1e-3`, is quoted.
    """
    config = OmegaConf.create({})
    for key, value in values:
        OmegaConf.update(config, key, value, merge=True, force_add=True)
    return OmegaConf.to_yaml(config)
