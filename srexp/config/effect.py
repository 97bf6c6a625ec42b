"""Which keys of a configuration can change what a training gives."""

from __future__ import annotations

from functools import cache

# What cannot change the weights or the scores of a run (but for rounding: `trainer.strategy`,
# `trainer.steps_per_call` under XLA).
# `trainer.max_minutes` decides where a run ends, not what it is on the way: `running.job.complete`.
WITHOUT_EFFECT = (
    "paths", "tracking", "resume", "trainer.max_minutes", "trainer.dry_run", "trainer.sample_grids",
    "trainer.keep_checkpoints", "trainer.strategy", "trainer.steps_per_call",
)  # fmt: skip
# Keys of the image sets that name folders.
_FOLDERS = ("train_dir", "val_dir", "dir", "hr_dir", "lr_dir", "val_hr_dir", "val_lr_dir")


@cache
def has_effect(key: str) -> bool:
    """Whether a dotted key can change the weights or the scores.

    Not the folders that hold images: the images' content has a digest of its own, wherever they
    lie.
    """
    return not is_folder(key) and not any(
        key == other or key.startswith(f"{other}.") for other in WITHOUT_EFFECT
    )


def is_folder(key: str) -> bool:
    """Whether a dotted key holds a path."""
    return key.startswith("paths.") or key.rsplit(".", 1)[-1] in _FOLDERS
