"""A whole experiment as options: what is trained on what, and how it is scored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srexp.activations.base import Activation
from srexp.data.sources import Benchmark, Data, words_for
from srexp.degradations.base import Degradation
from srexp.losses.base import Loss, LossFunction
from srexp.metrics.base import Metric, prepare_all
from srexp.models.base import Model
from srexp.models.resampler import Resampler
from srexp.models.upscaler import check_kernel
from srexp.options import OptionError
from srexp.protocol import Protocol
from srexp.tracking.options import Tracking
from srexp.training.algorithms.base import Algorithm
from srexp.training.algorithms.supervised import Supervised
from srexp.training.optimizers import Optimizer
from srexp.training.schedules import Schedule
from srexp.training.trainer import Trainer, known_direction

if TYPE_CHECKING:
    import keras


@dataclass
class Paths:
    """Absolute folders: where runs go, and where image sets lie."""

    output_dir: Path
    data_dir: Path


def check_seed(seed: Any) -> None:
    """Raises OptionError: not a whole number that every generator takes."""
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise OptionError(f"seed={seed}: must be a whole number from 0 to {2**32 - 1}")


@dataclass
class Experiment:
    """Everything that training needs to know. The first protocol makes the training pairs.

    Raises:
        OptionError: A combination that cannot work.
    """

    data: Data
    degradation: Degradation
    model: Model
    act: Activation
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    trainer: Trainer
    tracking: Tracking
    protocol: dict[str, Protocol]
    benchmark: dict[str, Benchmark]
    paths: Paths
    color: str
    seed: int
    resume: str | None
    init_from: str | None = None
    algorithm: Algorithm = field(default_factory=Supervised)
    metric: dict[str, Metric] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.color not in ("rgb", "y"):
            raise OptionError(f"color={self.color}: must be rgb or y")
        if not self.protocol:
            raise OptionError("protocol=[]: must name at least one, such as protocol=rgb")
        if not self.model.trainable:
            raise OptionError(self._nothing_to_train())
        check_kernel(self.model, self.degradation)
        if self.degradation.stored and self.trainer.lr_8bit is False:
            made = f"{self.degradation.stored} makes LR an 8-bit file"
            raise OptionError(f"trainer.lr_8bit=false: {made}; use null", "trainer.lr_8bit")
        _ = self.monitor_rises  # or it is told now
        if not self.loss.looks_at_hr:
            raise OptionError(
                f"loss={self.loss.name}: does not look at HR, so nothing can be learned from it "
                "alone; make it a term of loss=sum"
            )
        self.model.check(scale=self.degradation.scale, channels=self.channels)
        for size in {size: None for size, _ in reversed(self.trainer.patch_sizes())}:
            self._check_patches(size)
        self.algorithm.check(self)

    def _check_patches(self, size: int) -> None:
        """Raises OptionError: patches of this side cannot be cut, or are too small for the loss."""
        scale, trainer = self.degradation.scale, self.trainer
        key = "hr_patch_size" if size == trainer.hr_patch_size else "early_patch_sizes"
        typed = f"trainer.{key}={getattr(trainer, key)}"
        seen = self.model.compared_side(size, scale)
        if seen < self.loss.minimum_side:
            name = self.model.name
            told = "" if seen == size else f", and model={name} leaves it {max(seen, 0)} of them"
            raise OptionError(
                f"{typed}: loss={self.loss.name} needs at least {self.loss.minimum_side}{told}",
                f"trainer.{key}",
            )
        if size % scale:
            below, above = size - size % scale, size - size % scale + scale
            near = f"{below} or {above}" if below >= 4 else str(above)
            whose = "it" if size == trainer.hr_patch_size else size
            raise OptionError(
                f"{typed}: degradation.scale={scale} does not divide {whose}; {near} would do"
            )

    @property
    def pairs(self) -> tuple[Protocol, Degradation]:
        """What makes the training pairs: as the first protocol, if `trainer` says nothing else."""
        first, stored = next(iter(self.protocol.values())), self.trainer.lr_8bit
        degradation = self.degradation
        if stored is not None:
            degradation = replace(degradation, lr_8bit=stored)
        degrade = self.trainer.degrade
        protocol = first if degrade in (None, first.degrade) else first.degrading(degrade)
        return protocol, degradation

    def _nothing_to_train(self) -> str:
        name = self.model.interpolation if isinstance(self.model, Resampler) else self.model.name
        known = [name for name in self.benchmark if words_for(name) == f"benchmark={name}"]
        sets = ",".join(known) or "photos"
        return (
            f"model={name}: has no weights, so there is nothing to train. To score it: "
            f"python -m srexp evaluate model={name} degradation.scale={self.degradation.scale} "
            f"benchmark={f'[{sets}]' if ',' in sets else sets}"
        )

    @property
    def monitor_rises(self) -> bool:
        """Whether more of what is monitored is better.

        Raises:
            OptionError: That is not known of it.
        """
        name, direction = self.trainer.monitor, self.trainer.monitor_direction
        curves = self.algorithm.curves(self.loss)
        plain = name.lower().replace("-", "_")
        if name != plain and plain in (*curves, *self.metric, "psnr", "ssim", "last", "loss"):
            raise OptionError(
                f"trainer.monitor={name}: is called {plain} here: type trainer.monitor={plain}",
                "trainer.monitor",
            )
        if curves and name not in (*curves, *self.metric, "psnr", "ssim", "last"):
            raise OptionError(
                f"trainer.monitor={name}: must be psnr, ssim, last, a metric that is measured "
                f"(metric=[ms_ssim]), or a curve of this training: {', '.join(curves)}",
                "trainer.monitor",
            )
        if direction is not None:
            return direction == "max"
        if name in self.metric:
            return self.metric[name].higher_is_better
        if (rises := known_direction(name)) is not None:
            return rises
        raise OptionError(
            f"trainer.monitor={name}: must be psnr, ssim, last, a metric that is measured "
            "(metric=[ms_ssim]), loss, or with trainer.monitor_direction=min or max another curve "
            "of the training",
            "trainer.monitor",
        )

    @property
    def channels(self) -> int:
        """Of the network."""
        return 1 if self.color == "y" else 3

    def prepare(self) -> None:
        """Raises OptionError: the loss or a metric lacks what it needs."""
        try:
            self.loss.prepare()
        except OptionError as error:
            raise OptionError(f"loss.{error}", f"loss.{error.key}") from error
        prepare_all(self.metric)

    def build_optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimizer, with the schedule of the learning rate and the running average."""
        return self.optimizer.build(self.schedule, ema=self.trainer.ema)

    def build_loss(self) -> LossFunction:
        """The loss of this experiment's images."""
        return self.loss.weighted(channels=self.channels, scale=self.degradation.scale)
