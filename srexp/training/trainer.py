"""The options of the training loop (`trainer.*`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import gcd
from typing import Any

from srexp.options import OptionError, Options, bounded, choice


@dataclass(kw_only=True)
class Trainer(Options, group="trainer", name="trainer"):
    """How long, on what, and how.

    Attributes:
        steps: Number of updates; the only clock of a run.
        max_minutes: Stop after this much training time in this command, evaluation included; the
            schedule does not know of it. None for no limit.
        batch_size: Patches a step, over all replicas.
        hr_patch_size: Side of an HR patch in pixels; the scale divides it.
        early_patch_sizes: Sides of the patches before those of `hr_patch_size`, in the order of
            the training: each of them for its share of the steps. None for one size throughout.
        early_shares: Of each of `early_patch_sizes`, above 0 and together below 1.
        flatness: A patch of HR that is flatter than this is drawn again (`data.patches.variation`,
            in [0, 1]); 0 takes any. After idealo's image-super-resolution, which measures LR.
        augment: Flip and rotate patches (all eight positions).
        eval_every: Steps between two evaluations on the validation images; each one also
            writes a checkpoint.
        ema: Momentum of a running average of the weights, which is then what is scored; None
            for none.
        mixed_precision: float16 arithmetic with loss scaling: for GPUs, slow on CPUs.
        jit_compile: Compile the step with XLA; None where there is a GPU (and one device), and on a
            CPU where a long run finds it to be faster (`training.xla`).
        deterministic: On a GPU, only operations that give the same bits each time; slower. A CPU's
            do anyway.
        steps_per_call: At most so many steps without Python in between; `eval_every` is a multiple
            of it. More than one where Python takes longer than a step; None for 10 or fewer on a
            GPU, else 1. Under XLA on a CPU it is always 1.
        strategy: Devices of a step: none (one), mirrored (all of this machine), multi_worker (all
            of several processes, from TF_CONFIG or Slurm; with resume, on a shared file system).
        threads: CPU threads for one operation; None for TensorFlow's choice (all cores).
        monitor: What chooses the best weights: the mean `psnr` (dB), `ssim` or metric of the
            validation images under the first protocol; a curve of the training, such as `loss`,
            over the last steps before an evaluation; or `last` for the newest weights.
        monitor_direction: Whether the greatest (`max`) or the smallest (`min`) of it is best; None
            for what is known of metrics and losses.
        patience: Stop after this many evaluations without a better score; None to go on.
        min_delta: By how much a score must be better to count for `patience`, in its unit.
        keep_checkpoints: How many of the newest checkpoints are kept, beside the best one.
        distinct_batches: Train on the first so many batches over and over, to see whether the
            network can learn them by heart; None for new patches at every step.
        degrade: What LR of training pairs is made from: `y` or `rgb`; None for what the first
            protocol says.
        lr_8bit: Whether LR of training pairs is rounded to 8 bits; None for what the degradation
            says, or else the first protocol.
        sample_grids: Images of each set that are drawn at an evaluation; at most so many are kept
            for the report, too.
        dry_run: Say what would be trained, and stop.
    """

    steps: int = bounded(1)
    max_minutes: float | None = bounded(above=0)
    batch_size: int = bounded(1, 65536)
    hr_patch_size: int = bounded(4, 4096)
    augment: bool
    eval_every: int = bounded(1)
    ema: float | None = bounded(above=0)
    mixed_precision: bool
    jit_compile: bool | None
    strategy: str = choice("none", "mirrored", "multi_worker", default="none")
    threads: int | None = bounded(1, 1024)
    sample_grids: int = bounded(0)
    dry_run: bool
    monitor: str = field(default="psnr")
    monitor_direction: str | None = choice(None, "min", "max", default=None)
    patience: int | None = bounded(1, default=None)
    min_delta: float = bounded(0, default=0.0)
    keep_checkpoints: int = bounded(1, 1000, default=2)
    distinct_batches: int | None = bounded(1, default=None)
    degrade: str | None = choice(None, "y", "rgb", default=None)
    lr_8bit: bool | None = None
    early_patch_sizes: list[int] | None = bounded(4, 4096, default=None)
    early_shares: list[float] | None = bounded(above=0, high=1, default=None)
    flatness: float = bounded(0, 0.5, default=0.0)
    deterministic: bool = False
    steps_per_call: int | None = bounded(1, 1000, default=None)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ema is not None and self.ema >= 1:
            raise OptionError(f"ema={self.ema}: must be below 1 (0.999 is usual)", "ema")
        if self.jit_compile and self.strategy != "none":
            raise OptionError(
                f"jit_compile=true: XLA cannot read the weights from another device, as "
                f"strategy={self.strategy} does; leave one of the two out",
                "jit_compile",
            )

        per_call = self.steps_per_call or 1
        if self.eval_every % per_call:
            raise OptionError(
                f"steps_per_call={self.steps_per_call}: must divide eval_every={self.eval_every}",
                "steps_per_call",
            )
        if per_call > 1 and self.strategy != "none":
            raise OptionError(
                f"steps_per_call={self.steps_per_call}: strategy={self.strategy} takes one at a "
                "time; leave one of the two out",
                "steps_per_call",
            )
        sizes, shares = self.early_patch_sizes or [], self.early_shares or []
        if len(sizes) != len(shares):
            raise OptionError(
                f"early_shares={shares}: must be as many as early_patch_sizes={sizes}, a share of "
                "the steps for each",
                "early_shares",
            )
        if sum(shares) >= 1:
            raise OptionError(
                f"early_shares={shares}: must be below 1 together; the rest of the steps have "
                f"patches of hr_patch_size={self.hr_patch_size}",
                "early_shares",
            )

    def patch_sizes(self) -> list[tuple[int, int]]:
        """Sides of the HR patches, each with the step before which it ends, in order."""
        ends = list(accumulate(self.early_shares or []))
        early = zip(self.early_patch_sizes or [], ends, strict=True)
        stages = [(size, round(end * self.steps)) for size, end in early]
        return [*stages, (self.hr_patch_size, self.steps)]

    def pixels(self) -> int:
        """HR pixels of all patches of the training."""
        total = before = 0
        for size, end in self.patch_sizes():
            total, before = total + (end - before) * size**2, end
        return total * self.batch_size

    def settled(self, *, gpu: bool) -> Trainer:
        """With what was left to the machine.

        Args:
            gpu: Whether there is one.
        """
        alone = gpu and self.strategy == "none"
        jit_compile = alone if self.jit_compile is None else self.jit_compile
        per_call = self.steps_per_call or (gcd(10, self.eval_every) if alone else 1)
        if jit_compile and not gpu:
            per_call = 1  # XLA computes loops on one core of a CPU, twenty times as slowly
        return replace(self, jit_compile=jit_compile, steps_per_call=per_call)

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without `min_delta` where nothing is stopped, and without a direction that is known."""
        # Where it was not chosen, it is as it ever was.
        values = {**values, "jit_compile": bool(values.get("jit_compile"))}
        if values.get("patience") is None:
            values = {**values, "min_delta": 0.0}
        if not values.get("early_patch_sizes"):
            values = {**values, "early_patch_sizes": None, "early_shares": None}
        rises = known_direction(str(values.get("monitor")))
        if rises is not None and values.get("monitor_direction") == ("max" if rises else "min"):
            values = {**values, "monitor_direction": None}
        return values


def known_direction(monitor: str) -> bool | None:
    """Whether more of what is monitored is better; None where that is not known of its name."""
    if monitor in ("psnr", "ssim", "last"):
        return True
    return False if monitor == "loss" or monitor.startswith("loss_") else None
