"""Where the configuration lies, and composing it without a command line."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf


def conf_dir() -> Path:
    """`conf/`: inside the package where it is installed, beside it in a checkout."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


def register_resolvers() -> None:
    """What our YAML uses beyond OmegaConf's own: `${srexp_token:}`, four random digits."""
    OmegaConf.register_new_resolver(
        "srexp_token", lambda: secrets.token_hex(2), use_cache=True, replace=True
    )


def compose(
    command: str = "train", overrides: list[str] | None = None, config_dir: str | None = None
) -> dict[str, Any]:
    """Compose a command's configuration, as a notebook or a test wants it.

    Args:
        command: `train` or `evaluate`.
        overrides: As on the command line.
        config_dir: A folder with more options.

    Returns:
        Plain data, interpolations resolved.
    """
    import hydra

    from srexp.config.settings import plain

    register_resolvers()
    given = list(overrides or [])
    if config_dir is not None:
        given.append(f"hydra.searchpath=[file://{Path(config_dir).resolve()}]")
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return plain(hydra.compose(command, given))
