"""One run: build the network, train, evaluate, keep everything in the run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import keras

from srexp.data.pipeline import batches
from srexp.evaluation import cost
from srexp.evaluation.grids import sample_grid
from srexp.evaluation.inference import forward
from srexp.evaluation.scoring import Case, ImageResult, Report, Task, evaluate
from srexp.evaluation.tables import to_csv
from srexp.files import write_atomically
from srexp.images.io import to_picture
from srexp.models.upscaler import Upscaler
from srexp.tracking.mlflow_view import MlflowView
from srexp.tracking.record import RunFolder
from srexp.training import devices, loop
from srexp.training.experiment import Experiment
from srexp.training.learner import Learner
from srexp.training.materials import Materials
from srexp.training.strategy import Strategy


def build_network(experiment: Experiment) -> keras.Model:
    """The network of an experiment, with the weights that its seed gives."""
    trainer = experiment.trainer
    devices.configure(
        threads=trainer.threads, seed=experiment.seed, mixed_precision=trainer.mixed_precision
    )
    return experiment.model.build(
        scale=experiment.degradation.scale, channels=experiment.channels, act=experiment.act
    )


def build_learner(
    experiment: Experiment, network: keras.Model, strategy: Strategy | None = None
) -> Learner:
    """What trains a network as an experiment says."""
    trainer = experiment.trainer
    return Learner(
        network,
        experiment.optimizer.build(experiment.schedule, ema=trainer.ema),
        experiment.loss.build(),
        jit_compile=trainer.jit_compile,
        mixed_precision=trainer.mixed_precision,
        strategy=strategy,
    )


class Display(Protocol):
    """What a person sees while training."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: loop.Window) -> None: ...
    def evaluated(self, step: int, reports: list[Report]) -> None: ...


@dataclass
class Session:
    """A run in progress.

    Attributes:
        experiment: What to do.
        materials: The images.
        run: Where everything is kept.
        view: MLflow, or None.
        display: The screen.
        strategy: Where the step runs; this process is its chief.
    """

    experiment: Experiment
    materials: Materials
    run: RunFolder
    view: MlflowView | None
    display: Display
    strategy: Strategy = field(default_factory=Strategy)
    learner: Learner = field(init=False)
    cost: cost.Cost = field(init=False)

    def __post_init__(self) -> None:
        experiment = self.experiment
        network = build_network(experiment)
        self.cost = cost.measure(
            network,
            scale=experiment.degradation.scale,
            upsampling=experiment.model.upsampling,
        )
        self.learner = build_learner(experiment, network, self.strategy)
        self._upscaler = Upscaler(
            experiment.model, experiment.degradation, experiment.channels, forward(network)
        )

    def train(self, asked_to_stop: Callable[[], bool], *, resume: bool) -> loop.Outcome:
        """Train to the end, or until asked to stop.

        Raises:
            Diverged: The loss or a weight is not finite.
            CheckpointError: The checkpoint to resume from cannot be used.
        """
        last, _ = loop.checkpoint_paths(self.run.checkpoints)
        # Killed before the first checkpoint: the start is the checkpoint.
        progress = loop.load(last, self.learner) if resume and last.exists() else loop.Progress()
        self.run.forget_after(progress.step)
        trainer = self.experiment.trainer
        identity = {"run": self.run.id, "config_digest": self.run.info.get("config_digest")}
        if progress.step >= trainer.steps:
            return loop.Outcome("done", progress, 0.0, 0.0)
        return loop.train(
            self.learner,
            batches(
                self.materials.sampler,
                progress.step,
                trainer.steps,
                self.strategy.part(trainer.batch_size),
            ),
            trainer,
            progress,
            folder=self.run.checkpoints,
            identity=identity,
            watcher=self,
            asked_to_stop=asked_to_stop,
        )

    def score(self) -> list[Report]:
        """Score the best weights on the validation images and every benchmark, and keep them."""
        best = loop.checkpoint_paths(self.run.checkpoints)[1]
        progress = loop.load(best, self.learner)
        weights = f"best on val (step {progress.step}), {self._kind}"
        with self.learner.scored_weights():
            validation, benchmarks = (
                [self._evaluate(task, progress.step, weights, "final") for task in tasks]
                for tasks in (self.materials.validation, self.materials.benchmarks)
            )
            path = self.run.folder / "model.keras"
            self.learner.network.save(path)
        # Plain keys for what is scored once; the validation curve keeps its own.
        metrics = {f"best/{k}": v for report in validation for k, v in report.metrics().items()}
        metrics |= {k: v for report in benchmarks for k, v in report.metrics().items()}
        self._log(progress.step, metrics)
        if self.view is not None:
            self.view.artifact(path, "model")
        return validation + benchmarks

    # What the loop tells (`loop.Watcher`):

    def stepped(self, step: int) -> None:
        """One step done."""
        self.display.stepped(step)

    def window(self, window: loop.Window) -> None:
        """A few steps done."""
        self.display.window(window)
        self._log(
            window.step,
            {
                "train/loss": window.loss,
                "train/learning_rate": window.learning_rate,
                "train/images_per_second": window.images_per_second,
                "train/data_wait": window.data_wait,
            },
        )

    def evaluate(self, step: int) -> float:
        """Score the weights on the validation images; mean PSNR under the first protocol."""
        weights = f"of step {step}, {self._kind}"
        reports = [
            self._evaluate(task, step, weights, f"step-{step:07d}")
            for task in self.materials.validation
        ]
        for report in reports:
            self._log(step, report.metrics())
        self.display.evaluated(step, reports)
        return reports[0].mean(lambda row: row.score.psnr)

    def saved(self, path: Path, progress: loop.Progress) -> None:
        """A checkpoint was written."""
        self.run.update(progress=vars(progress))

    @property
    def _kind(self) -> str:
        return "EMA" if self.learner.uses_ema else "raw"

    def _evaluate(self, task: Task, step: int, weights: str, stem: str) -> Report:
        folder = self.run.folder
        drawn = 0

        def draw(result: ImageResult, case: Case, sr: Any) -> None:
            nonlocal drawn
            if drawn >= self.experiment.trainer.sample_grids:
                return
            drawn += 1
            key = f"{task.key}/{result.image}"
            path = folder / "grids" / key / f"{stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            grid = sample_grid(
                result,
                case,
                sr,
                scale=task.degradation.scale,
                method=self.experiment.model.name,
                title=f"{result.image}: {task.label}; weights {weights}",
            )
            to_picture(grid).save(path)
            # The validation images of this step went out when the step was evaluated.
            if self.view is not None and not (
                stem == "final" and task in self.materials.validation
            ):
                self.view.image(path, key, step)

        report = evaluate(
            task,
            self._upscaler,
            method=self.experiment.model.name,
            weights=weights,
            see=draw,
        )
        path = folder / "evaluations" / task.key / f"{stem}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_csv(report).encode())
        if self.view is not None and stem == "final":
            self.view.artifact(path, f"evaluations/{task.key}")
        return report

    def _log(self, step: int, metrics: dict[str, float]) -> None:
        point = self.run.log(step, metrics)
        if self.view is not None:
            self.view.metrics(point)
