"""Hydra's own settings: those that cannot work here, and why."""

from __future__ import annotations

import shlex
from typing import Any

from omegaconf import DictConfig, OmegaConf

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


def _given(hydra: dict[str, Any]) -> list[str]:
    return [override.lstrip("+").split("=")[0] for override in hydra["overrides"]["hydra"]]


def _under(what: str, folder: str) -> str:
    return f"{what} paths.output_dir: type {shlex.quote(f'paths.output_dir={folder}')}"


def _refuse(key: str, value: Any, why: str) -> None:
    raise OptionError(f"hydra.{key}={value}: {why}", f"hydra.{key}")
