"""Cores and GPUs, shared out among the jobs that run at the same time."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from srexp.cores import available_cores
from srexp.options import OptionError


@dataclass(frozen=True)
class Slot:
    """What one job at a time may use.

    Attributes:
        cores: Numbers of CPU cores; empty for all.
        gpu: Of one GPU, or several, as CUDA_VISIBLE_DEVICES takes them; None where there is none.
    """

    cores: tuple[int, ...] = ()
    gpu: str | None = None


def slots(n_jobs: int | None, gpus: Sequence[str | int] | None) -> list[Slot]:
    """One for each job that runs at the same time.

    Args:
        n_jobs: How many; None for one a GPU, or one where there is none.
        gpus: Which GPUs; None for all that are visible.

    Raises:
        OptionError: `n_jobs` is not positive.
    """
    if n_jobs is not None and (not isinstance(n_jobs, int) or n_jobs < 1):
        raise OptionError(f"hydra.launcher.n_jobs={n_jobs}: must be a whole number, at least 1")
    visible = [str(gpu) for gpu in gpus] if gpus is not None else visible_gpus()
    count = n_jobs or max(1, len(visible))
    cores = _shares(available_cores(), count)
    if not visible:
        return [Slot(cores[i]) for i in range(count)]
    if count == 1:
        return [Slot(cores[0], ",".join(visible))]
    return [Slot(cores[i], visible[i % len(visible)]) for i in range(count)]


def visible_gpus() -> list[str]:
    """What CUDA would see, without loading it."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu.strip() for gpu in named.split(",") if gpu.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, encoding="utf-8", timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU")]


def _shares(cores: list[int], count: int) -> list[tuple[int, ...]]:
    """Neighbouring cores for each; all of them for everybody where there are too few."""
    if count == 1 or count > len(cores):
        return [()] * count
    bounds = [round(i * len(cores) / count) for i in range(count + 1)]
    return [tuple(cores[a:b]) for a, b in pairwise(bounds)]
