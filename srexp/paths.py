"""Paths as people give them: one rule for options, settings, variables and texts in YAML."""

from __future__ import annotations

import os
from pathlib import Path

from srexp.options import EMPTY, OptionError

# The environment variables that say where things lie, and what holds where they are not set.
OUTPUT_DIR = ("SREXP_OUTPUT_DIR", "outputs")
DATA_DIR = ("SREXP_DATA_DIR", "data")
# In place of a folder within the data folder.
CACHE_DIR = "SREXP_CACHE_DIR"

# What Linux, macOS and Windows take: bytes of one name, and of a whole path, less what srexp
# itself writes below an output folder.
_LONGEST_NAME = 255
_LONGEST_PATH = 4096 - 296


class PathError(OptionError):
    """Not a path: the reason alone, to stand after what was given."""


def to_path(text: str | Path) -> Path:
    """A path from a text: `~` and `~USER` become homes.

    Raises:
        PathError: It is empty, too long, or of a user that there is not.
    """
    given = str(text)
    if not given.strip():
        raise PathError(EMPTY)
    if "\0" in given:
        raise PathError("holds a NUL character")
    full = os.path.expanduser(given)
    encoded = os.fsencode(full)
    if max(map(len, encoded.split(b"/"))) > _LONGEST_NAME or len(encoded) > _LONGEST_PATH:
        raise PathError(
            f"is too long: a name may have {_LONGEST_NAME} bytes, a path {_LONGEST_PATH}"
        )
    if full.startswith("~") and not os.path.lexists(full):
        user = full.split("/")[0]
        raise PathError(f"{user} is no user's home here; a folder of that name: ./{given}")
    return Path(full)


def checked(key: str, text: str | Path) -> Path:
    """The path that a key of the configuration holds.

    Raises:
        OptionError: As `to_path`; names the key.
    """
    try:
        return to_path(text)
    except PathError as error:
        raise OptionError(f"{key}={text}: {error}", key) from None


def giver(key: str, value: object, variable: tuple[str, str]) -> str:
    """What a key has its value from, for messages: the variable where that says the same."""
    name, _ = variable
    return name if value is not None and value == os.environ.get(name) else key


def absolute(text: str | Path) -> Path:
    """The path in full: `.` and `..` resolved, links not.

    Raises:
        PathError: See `to_path`.
    """
    return Path(os.path.abspath(to_path(text)))


def state_dir() -> Path:
    """Of what is remembered for this user between commands; it may be removed.

    Raises:
        RuntimeError: The user has no home.
    """
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "srexp"


def from_environment(variable: tuple[str, str]) -> Path:
    """`OUTPUT_DIR` or `DATA_DIR`.

    Raises:
        OptionError: It is set to what is no path, such as nothing.
    """
    name, default = variable
    return checked(name, os.environ.get(name, default))
