"""What sets the jobs of a sweep apart, and what its command line says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from srexp.config.names import short_keys, value_text
from srexp.paths import checked

CONFIG_DIR = ("--config-dir", "-cd")


def choices_of(
    jobs: Sequence[Sequence[str]], swept: Sequence[str] | None = None
) -> list[dict[str, str]]:
    """What sets each job apart: `model.depth` -> `3`.

    Args:
        jobs: Overrides of each.
        swept: The keys that do; None for those in which the jobs differ.
    """
    given = [dict(override.split("=", 1) for override in job if "=" in override) for job in jobs]
    if swept is None:
        differing = [
            {key for key, value in job.items() if any(value != other.get(key) for other in given)}
            for job in given
        ]
        swept = list(set().union(*differing)) if len(given) > 1 else list(given[0])
        # The preset and the folder, which all have.
        swept = [key for key in swept if key not in ("sweep", "paths.output_dir")]
    return [{key: value for key, value in job.items() if key in swept} for job in given]


def names_of(choices: Sequence[dict[str, str]]) -> list[str]:
    """`depth=3 act=relu`: short keys where they are unambiguous."""
    short = short_keys(list(dict.fromkeys(key for choice in choices for key in choice)))

    def named(text: Callable[[str, str], str]) -> list[str]:
        return [
            " ".join(f"{short[key]}={text(key, value)}" for key, value in choice.items())
            or "all defaults"
            for choice in choices
        ]

    whole = named(lambda key, value: value)
    brief = named(lambda key, value: value_text(key, value.strip("'\"")))
    return brief if len(set(brief)) == len(set(whole)) else whole


def given_config_dir(arguments: Sequence[str]) -> Path | None:
    """The folder of `--config-dir` on a command line."""
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in CONFIG_DIR:
            found = value if equals else next(iter(arguments[index + 1 :]), "")
            return checked("--config-dir", found)
    return None
