"""Where the configuration lies, and composing it without a command line."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from srexp.config.catalogue import SEVERAL as SEVERAL
from srexp.config.catalogue import conf_dir as conf_dir
from srexp.options import OptionError
from srexp.paths import OUTPUT_DIR, absolute, checked, giver
from srexp.protocol import digest

if TYPE_CHECKING:
    from hydra.core.default_element import GroupDefault

_sweeps: list[Path] = []

# Groups over which no sweep goes.
_NOT_SWEPT = ("sweep", "paths", "table")

# Overrides that do not make another sweep.
_SAME_SWEEP = ("hydra.launcher", "hydra/launcher", "hydra.sweeper.n_trials")


@cache
def sweep_dir(output_dir: str) -> Path:
    """The folder of this process's sweep, `OUTPUT_DIR/sweeps/DATE_TIME_XXXXXXXX`.

    The same command typed again has the same: the end stands for its overrides, without those
    that say how jobs are launched, and how many a search tries.
    """
    given = [a for a in sys.argv[1:] if "=" in a and not a.startswith(_SAME_SWEEP)]
    end = digest(sorted(given))
    sweeps = checked(giver("paths.output_dir", output_dir, OUTPUT_DIR), output_dir) / "sweeps"
    before = sorted(sweeps.glob(f"*_{end}"))
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    folder = before[-1] if before else sweeps / f"{stamp}_{end}"
    _sweeps.append(folder)
    return folder


def remove_unused_sweep() -> None:
    """Remove the folder that Hydra makes before a sweep's jobs are checked, if no job ran."""
    for folder in _sweeps:
        if folder.is_dir() and [path.name for path in folder.iterdir()] == ["multirun.yaml"]:
            shutil.rmtree(folder)
            for parent in (folder.parent, folder.parent.parent):
                if any(parent.iterdir()):
                    break
                parent.rmdir()


def prepare_hydra() -> None:
    """Set up Hydra for our YAML: `${srexp_sweep_dir:OUTPUT_DIR}`, and lists refused."""
    from hydra.core.default_element import GroupDefault

    OmegaConf.register_new_resolver(
        "srexp_sweep_dir", lambda output_dir: str(sweep_dir(output_dir)), replace=True
    )
    GroupDefault.get_options = _several_options  # type: ignore


def _several_options(default: GroupDefault) -> list[str]:
    """Hydra's `GroupDefault.get_options`: asked where a group was given a list, wherever it stands.

    Hydra would merge the options into one, mostly the last, under the name of all.

    Raises:
        OptionError: The group takes one option.
    """
    assert isinstance(default.value, list) and default.group is not None
    group, names = default.group.lstrip("/"), [str(name) for name in default.value]
    if group not in SEVERAL and (conf_dir() / group).is_dir():
        typed = default.get_override_key()
        raise OptionError(one_choice(typed, f"[{','.join(names)}]", names), typed)
    return names


def one_choice(group: str, given: str, names: Sequence[str]) -> str:
    """That a group takes one option; and where a sweep over several can be trained, how.

    Args:
        group: As it is typed: `loss`, `link@degradation.links.noise`.
        given: As it was typed.
        names: Of the options.
    """
    sweep = f"; one run for each: -m {group}={','.join(names)}" if len(names) > 1 else ""
    example = f", as in {group}={names[0]}" if names and names[0] else ""
    return (
        f"{group}={given}: takes one option{example}{'' if group in _NOT_SWEPT else sweep} "
        f"(lists are for {', '.join(SEVERAL)})"
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
    from hydra.core.global_hydra import GlobalHydra

    from srexp.config.settings import plain
    from srexp.config.typed import as_typed, quoted

    prepare_hydra()
    given = as_typed(overrides or [], config_dir)
    if config_dir is not None:
        place = f"file://{absolute(config_dir)}"
        given.append(f"hydra.searchpath=[{quoted(place)}]")
    # A command that Hydra itself runs may compose another configuration besides its own.
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
            return plain(hydra.compose(command, given))
    finally:
        GlobalHydra.instance().hydra = running


def compose_beside(command: str, overrides: list[str]) -> dict[str, Any]:
    """Compose another command's configuration while a command of Hydra's runs, `--config-dir` too.

    Raises:
        HydraException, OmegaConfBaseException: As on the command line.
    """
    import hydra

    from srexp.config.settings import plain
    from srexp.config.typed import as_typed

    return plain(hydra.compose(command, as_typed(overrides)))
