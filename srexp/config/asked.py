"""A command's configuration for Python: what the command line would compose, and refuse alike."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from srexp.config.catalogue import catalogue
from srexp.config.compose import compose
from srexp.config.errors import broken_yaml, readable
from srexp.config.overrides import named
from srexp.config.typed import as_typed, keys_of_a_run
from srexp.config.words import advice
from srexp.options import OptionError


def ask(
    command: str, overrides: Sequence[str], config_dir: str | Path | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Compose a command's configuration.

    Args:
        command: `train` or `evaluate`.
        overrides: As on the command line: `model.depth=7`.
        config_dir: A folder with more options.

    Returns:
        Plain data, interpolations resolved; and the overrides as Hydra reads them.

    Raises:
        OptionError: In one line, as the command says it.
    """
    for one in overrides:
        if not isinstance(one, str):
            raise OptionError(f"{one!r}: an override is a text, such as 'model.depth=7'")
    if only := named(overrides) & {"hydra", "sweep"}:
        raise OptionError(f"{only.pop()}: many runs are started by srexp.sweep, or srexp train -m")
    known = catalogue(command)
    if line := advice(command, overrides, {}, known):
        raise OptionError(line)
    asked = keys_of_a_run(overrides)
    folder = str(config_dir) if config_dir is not None else None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="hydra")
            return compose(command, asked, folder), as_typed(asked, folder)
    except OptionError:
        raise
    except YAMLError as error:  # an option's file
        raise OptionError(broken_yaml(error)) from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise OptionError(readable(error, known)) from None
