"""Hydra's own settings: those that cannot work here, and why."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from srexp.config.catalogue import SEVERAL
from srexp.options import OptionError

NO_LOGGING = "nothing here writes by Python's logging; to keep what a command says, add > FILE 2>&1"
# Launchers that start jobs under a name.
_NAMELESS = ("basic", "srexp")


def check_hydra(config: DictConfig) -> None:
    """Refuse a setting that would have no effect, or put something where srexp does not look.

    Args:
        config: As composed, with its node `hydra`.

    Raises:
        OptionError: Says what does what was meant.
    """
    if "hydra" not in config:
        return
    hydra: dict[str, Any] = OmegaConf.to_container(config.hydra, resolve=False)  # type: ignore[assignment]
    choices = hydra["runtime"]["choices"]
    if (folder := hydra["run"]["dir"]) != ".":
        _refuse("run.dir", folder, _under("runs are kept under", folder))
    if not (folder := str(hydra["sweep"]["dir"])).startswith("${srexp_sweep_dir:"):
        _refuse("sweep.dir", folder, _under("sweeps are kept in the folder sweeps of", folder))
    if (folder := hydra["sweep"]["subdir"]) != ".":
        _refuse(
            "sweep.subdir", folder, "each job's run has a folder of its own in paths.output_dir"
        )
    if (folder := hydra["output_subdir"]) is not None:
        _refuse("output_subdir", folder, "each run keeps its configuration in its config.yaml")
    if hydra["job"]["chdir"]:
        _refuse("job.chdir", "true", "srexp stays in the folder where it was started")
    if hydra["verbose"]:
        _refuse("verbose", str(hydra["verbose"]).lower(), "nothing here writes by Python's logging")
    name = hydra["job"]["name"]
    if "hydra.job.name" in _given(hydra) and choices.get("hydra/launcher") in _NAMELESS:
        _refuse("job.name", name, "names jobs of launchers such as submitit_slurm alone")
    for group in ("job_logging", "hydra_logging"):
        chosen = choices.get(f"hydra/{group}")
        if chosen not in ("none", None):
            raise OptionError(f"hydra/{group}={chosen}: {NO_LOGGING}")


def check_sweeper_params(arguments: Sequence[str]) -> None:
    """Refuse `hydra.sweeper.params` on the command line, where a sweep is typed with -m.

    Raises:
        OptionError: Says what to type.
    """
    for argument in arguments:
        match = re.fullmatch(r"\+{0,2}hydra\.sweeper\.params(?:\.([\w./@-]+))?=(.*)", argument)
        if match is None:
            continue
        params = {match[1]: match[2].strip("'\"")} if match[1] else _read_params(argument)
        words = [f"{key}={_alternatives(key, value)}" for key, value in params.items()]
        typed = " ".join(map(shlex.quote, words or ["KEY=A,B"]))
        raise OptionError(f"{argument}: is for files of sweep/; type -m {typed}")


def _read_params(argument: str) -> dict[str, Any]:
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except (HydraException, ValueError):
        return {}
    return {str(key): value[key] for key in value} if isinstance(value, dict) else {}


def _alternatives(key: str, value: Any) -> str:
    """`relu,prelu` also where it was written as a list."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    text = str(value)
    listed = text.startswith("[") and text.endswith("]") and key not in SEVERAL
    return text[1:-1] if listed else text


def _given(hydra: dict[str, Any]) -> list[str]:
    return [override.lstrip("+").split("=")[0] for override in hydra["overrides"]["hydra"]]


def _under(what: str, folder: str) -> str:
    return f"{what} paths.output_dir: type {shlex.quote(f'paths.output_dir={folder}')}"


def _refuse(key: str, value: Any, why: str) -> None:
    raise OptionError(f"hydra.{key}={value}: {why}", f"hydra.{key}")
