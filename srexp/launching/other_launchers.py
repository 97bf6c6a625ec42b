"""Jobs under a launcher that is not ours: joblib, submitit, Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from srexp.running.job import ALREADY, Job


def job_of_hydra() -> Job | None:
    """The job that runs under a launcher that is not ours; None outside a multirun."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    hydra = HydraConfig.get()
    given = [override for override in hydra.overrides.task if "=" in override]
    name = " ".join(given) or "all defaults"

    def tell(kind: str, value: Any) -> None:
        if kind == "taken":
            print(f"{name}: {ALREADY}")
        if kind in ("note", "run", "taken"):
            print(f"{name}: {value}")

    return Job(name, Path(str(hydra.sweep.dir)).name, tell=tell)
