"""Memory: what freeing it costs, and what to turn where it does not suffice."""

from __future__ import annotations

import sys

import numpy as np

from srexp.models.tiles import TILE
from srexp.training.experiment import Experiment

# glibc's bound is 32 MiB.
_KEPT_BYTES = 31 << 20


def keep_freed_memory() -> None:
    """Have arrays of up to 31 MiB made from memory that others have left.

    glibc takes an array of more than 128 KiB from the system and gives it back when it is freed,
    so that each new image is first zeroed page by page. It raises that limit to the size of what
    is freed, hence one large array at the start (mallopt(3), M_MMAP_THRESHOLD).
    """
    np.empty(_KEPT_BYTES, np.uint8)


def out_of_memory(error: BaseException, experiment: Experiment) -> str | None:
    """One plain line where an error says that memory was too small, else None.

    Args:
        error: What building, training or scoring raised.
        experiment: Whose values are named.
    """
    tensorflow = sys.modules.get("tensorflow")  # may be what could not be imported
    kinds = (MemoryError, *([tensorflow.errors.ResourceExhaustedError] if tensorflow else []))
    if not isinstance(error, kinds):
        return None
    trainer, model = experiment.trainer, experiment.model
    size = [
        f"model.{key}={getattr(model, key)}"
        for key in ("filters", "depth")
        if isinstance(getattr(model, key, None), int)
    ]
    keys = [
        f"trainer.batch_size={trainer.batch_size} (with optimizer.accumulate="
        f"{experiment.optimizer.accumulate} times 2 for half of it, the gradient stays the same)",
        f"trainer.hr_patch_size={trainer.hr_patch_size}",
        *size,
    ]
    advice = f"out of memory. In training, less of {', '.join(keys)} needs less"
    if not trainer.mixed_precision:
        advice += "; so does trainer.mixed_precision=true on a GPU"
    return (
        f"{advice}. In scoring the network sees tiles of {TILE}x{TILE} pixels, however large an "
        "image is: only a smaller network needs less; on the CPU there may be more "
        "(CUDA_VISIBLE_DEVICES= before the command)"
    )
