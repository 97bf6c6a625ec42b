"""One run: build the network, train, evaluate, keep everything in the run folder."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from srexp.data.pipeline import Call, Streamed, calls, source_of
from srexp.evaluation import cost
from srexp.evaluation.grids import sample_grid
from srexp.evaluation.inference import upscaler
from srexp.evaluation.samples import Extremes, Sample
from srexp.evaluation.scoring import Case, ImageResult, Report, Task, evaluate
from srexp.evaluation.tables import to_csv
from srexp.files import file_name, flush, write_atomically
from srexp.images.io import to_png
from srexp.models.enlarge import clipped, network_from_lr
from srexp.models.layers.rewriting import untransposed
from srexp.options import OptionError
from srexp.tracking import mlflow_model
from srexp.tracking.options import MlflowTracking
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint, devices, loop
from srexp.training.activity import Activity
from srexp.training.experiment import Experiment
from srexp.training.learner import Learner
from srexp.training.materials import Materials
from srexp.training.strategy import Strategy
from srexp.training.xla import StepTimes, step_times

# Images of a task that are kept to be looked at, half of them the worst and half the best.
_EXTREMES = 4


def build_network(experiment: Experiment) -> keras.Model:
    """The network of an experiment, with the weights that its seed gives."""
    devices.configure(experiment.trainer, experiment.seed)
    return experiment.model.build(
        scale=experiment.degradation.scale, channels=experiment.channels, act=experiment.act
    )


def _stem(step: int) -> str:
    """Of the files of an evaluation."""
    return f"step-{step:07d}"


def build_learner(
    experiment: Experiment, network: keras.Model, strategy: Strategy | None = None
) -> Learner:
    """What trains a network as an experiment says."""
    experiment = settled(experiment)
    return experiment.algorithm.build(experiment, network, strategy or Strategy())


def settled(experiment: Experiment) -> Experiment:
    """With what was left to the machine (`Trainer.settled`)."""
    gpu = bool(tf.config.list_physical_devices("GPU"))
    return replace(experiment, trainer=experiment.trainer.settled(gpu=gpu))


def calls_of(
    experiment: Experiment, materials: Materials, strategy: Strategy, first: int
) -> Iterator[Call]:
    """What the steps from `first` on get; of a batch, what this process computes."""
    trainer, sampler = experiment.trainer, materials.sampler
    part = strategy.part(trainer.batch_size)
    source = Streamed(sampler, part) if strategy.description else source_of(sampler, part)
    return calls(sampler, first, trainer.steps, source, trainer.steps_per_call or 1)


def _surroundings(run: RunFolder) -> dict[str, Any]:
    """What a run was last trained on; empty for one that was not yet."""
    try:
        return json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


class Display(Protocol):
    """What a person sees while training."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: loop.Window) -> None: ...
    def evaluated(self, step: int, reports: list[Report]) -> None: ...


class View(Protocol):
    """Where else the run is shown."""

    def wake(self) -> None: ...


@dataclass
class Session:
    """A run in progress.

    Attributes:
        experiment: What to do.
        materials: The images.
        run: Where everything is kept.
        display: The screen.
        strategy: Where the step runs; this process is its chief.
        view: MLflow or TensorBoard, or None.
        progress: Where the run is.
        no_mlflow_model: Why it has none, where it should have one.
    """

    experiment: Experiment
    materials: Materials
    run: RunFolder
    display: Display
    strategy: Strategy = field(default_factory=Strategy)
    view: View | None = None
    learner: Learner = field(init=False)
    cost: cost.Cost = field(init=False)
    progress: loop.Progress = field(init=False, default_factory=loop.Progress)
    no_mlflow_model: str | None = field(init=False, default=None)
    _left_to_us: bool = field(init=False)
    _scalars: dict[str, float] = field(init=False, default_factory=dict)
    _latest: tuple[int, list[Report]] = field(init=False, default_factory=lambda: (-1, []))
    _samples: dict[str, list[Sample]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._left_to_us = self.experiment.trainer.jit_compile is None
        self.experiment = experiment = settled(self.experiment)
        network = build_network(experiment)
        self.cost = cost.measure(network, experiment.model, experiment.degradation.scale)
        self.learner = build_learner(experiment, network, self.strategy)
        self._upscaler = upscaler(
            network, experiment.model, experiment.degradation, experiment.channels
        )

    def start_from(self, arrays: dict[str, np.ndarray], scale: int | None = None) -> list[str]:
        """Begin with the weights of a run (`trained.scored_weights`); None: one of this scale.

        Returns:
            The layers that do not start from them: those that another scale has otherwise.

        Raises:
            CheckpointError: They are of another network.
        """
        other = scale not in (None, self.experiment.degradation.scale)
        return self.learner.set_weights(arrays, other_scale=other)

    def go_on(self) -> list[str]:
        """Restore the newest sound checkpoint, and drop the points after it.

        A run that was killed before its first checkpoint begins anew.

        Returns:
            What a person should know of damaged files.

        Raises:
            CheckpointError: No checkpoint can be used.
        """
        remarks: list[str] = []
        if checkpoint.exist(self.run.checkpoints):
            self.progress, remarks = loop.load_newest(self.run.checkpoints, self.learner)
        self.run.forget_after(self.progress.step)
        return remarks

    def choose_xla(self, say: Callable[[str], None]) -> StepTimes | None:
        """Where nobody chose, compile the step by XLA if that is faster on this CPU.

        A run goes on with what it was trained with before, on a CPU.

        Args:
            say: Is told when measuring begins.

        Returns:
            What was measured for it, or None.
        """
        trainer, step = self.experiment.trainer, self.progress.step
        if not self._left_to_us or trainer.deterministic or self.strategy.description:
            return None
        if tf.config.list_physical_devices("GPU") or step >= trainer.steps:
            return None
        before = _surroundings(self.run)
        if step and before.get("gpus") == []:
            times, chosen = None, bool(before.get("jit_compile"))
        else:
            call = next(calls_of(self.experiment, self.materials, self.strategy, step))
            times = step_times(self.experiment, self.learner, self._by_xla, call, step, say)
            chosen = times is not None and times.faster
        if chosen:
            arrays, self.learner = self.learner.arrays(), self._by_xla()
            self.learner.restore(arrays)
            self.experiment = self._with_xla
        return times

    @property
    def _with_xla(self) -> Experiment:
        return replace(self.experiment, trainer=replace(self.experiment.trainer, jit_compile=True))

    def _by_xla(self) -> Learner:
        return build_learner(self._with_xla, self.learner.network, self.strategy)

    def train(self, asked_to_stop: Callable[[], str | None]) -> loop.Outcome:
        """Train to the end, or until asked to stop.

        Raises:
            Diverged: The loss or a weight is not finite.
            OSError: Something could not be written.
        """
        progress, trainer = self.progress, self.experiment.trainer
        identity = {"run": self.run.id, "config_digest": self.run.info.get("config_digest")}
        if progress.step >= trainer.steps:
            return loop.Outcome("done", progress, 0.0, 0.0)
        return loop.train(
            self.learner,
            calls_of(self.experiment, self.materials, self.strategy, progress.step),
            trainer,
            progress,
            folder=self.run.checkpoints,
            identity=identity,
            watcher=self,
            asked_to_stop=asked_to_stop,
        )

    def score(self) -> list[Report]:
        """Score the best weights on the validation images and every benchmark, and keep them."""
        best = checkpoint.best_path(self.run.checkpoints)
        if not best.exists():  # damaged, and no evaluation since
            best = checkpoint.newest(self.run.checkpoints)[0]
        progress = loop.load(best, self.learner)
        weights = f"best on val (step {progress.step}), {self._kind}"
        with self.learner.scored_weights():
            validation, benchmarks = (
                [self._final(task, progress.step, weights) for task in tasks]
                for tasks in (self.materials.validation, self.materials.benchmarks)
            )
            self._save_network()
        # Plain keys for what is scored once; the validation curve keeps its own.
        metrics = {f"best/{k}": v for report in validation for k, v in report.metrics().items()}
        metrics |= {k: v for report in benchmarks for k, v in report.metrics().items()}
        self._log(progress.step, metrics, final=True)
        return validation + benchmarks

    @property
    def samples(self) -> list[Sample]:
        """The worst and the best images of each task, as they were last scored."""
        return [sample for samples in self._samples.values() for sample in samples]

    # What the loop tells (`loop.Watcher`):

    def stepped(self, step: int) -> None:
        """One step done."""
        self.display.stepped(step)

    def window(self, window: loop.Window) -> None:
        """A few steps done."""
        self.display.window(window)
        self._scalars = window.scalars
        self._log(
            window.step,
            {
                **{f"train/{name}": value for name, value in window.scalars.items()},
                "train/learning_rate": window.learning_rate,
                "train/images_per_second": window.images_per_second,
                "train/data_wait": window.data_wait,
            },
        )

    def evaluate(self, step: int) -> float:
        """Score the weights on the validation images; what is monitored, first protocol."""
        weights = f"of step {step}, {self._kind}"
        reports = [
            self._evaluate(task, step, weights, _stem(step)) for task in self.materials.validation
        ]
        self._latest = (step, reports)
        dead = None if self._activity is None else self._activity.dead()
        beside = {} if dead is None else {"train/dead_units": dead}
        for report in reports:
            self._log(step, {**report.metrics(), **beside})
            beside = {}
        self.display.evaluated(step, reports)
        value = self._monitored(step, reports[0])
        return value if self.experiment.monitor_rises else -value

    @cached_property
    def _activity(self) -> Activity | None:
        """On the patches of the first step; None for an activation that silences nothing."""
        if not self.experiment.act.rectifies:
            return None
        *inputs, _ = self.materials.sampler.batch(0)
        given = tuple(inputs) if len(inputs) > 1 else inputs[0]
        return Activity(self.learner.network, self.experiment.act, given)

    def _monitored(self, step: int, report: Report) -> float:
        name = self.experiment.trainer.monitor
        if name == "last":
            return float(step)
        if name in ("psnr", "ssim") or name in report.task.metrics:
            return report.monitored(name)
        if not self._scalars:  # stopped before the first window ended
            return math.nan
        if name not in self._scalars:
            known = ", ".join(self._scalars)
            raise OptionError(f"trainer.monitor={name}: this training's curves are {known}")
        return self._scalars[name]

    def saving(self) -> None:
        """A checkpoint is about to be written."""
        self.run.flush()

    def saved(self, progress: loop.Progress) -> None:
        """A checkpoint was written."""
        self.run.update(progress=asdict(progress))  # a copy: it goes on

    @property
    def _kind(self) -> str:
        return "EMA" if self.learner.uses_ema else "raw"

    def _evaluate(self, task: Task, step: int, weights: str, stem: str) -> Report:
        folder = self.run.folder
        drawn, grids = 0, self.experiment.trainer.sample_grids
        extremes = Extremes(task, self.experiment.model.name, min(_EXTREMES, grids))
        self._samples[task.key] = extremes.samples

        def draw(result: ImageResult, case: Case, sr: Any) -> None:
            nonlocal drawn
            extremes.see(result, case, sr)
            if drawn >= grids:
                return
            drawn += 1
            key = f"{task.key}/{file_name(result.image)}"
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
            write_atomically(path, to_png(grid))

        report = evaluate(
            task,
            self._upscaler,
            method=self.experiment.model.name,
            weights=weights,
            see=draw,
        )
        self._keep(report, stem)
        return report

    def _keep(self, report: Report, stem: str) -> None:
        path = self.run.folder / "evaluations" / report.task.key / f"{stem}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_csv(report).encode())

    def _final(self, task: Task, step: int, weights: str) -> Report:
        """Score a task at the end; validation images may have been, with these very weights."""
        latest, reports = self._latest
        for report in reports if latest == step else ():
            if report.task is task:
                for path in (self.run.folder / "grids" / task.key).glob(f"*/{_stem(step)}.png"):
                    write_atomically(path.with_stem("final"), path.read_bytes())
                report = replace(report, weights=weights)
                self._keep(report, "final")
                return report
        return self._evaluate(task, step, weights, "final")

    def _save_network(self) -> None:
        network = self.experiment.model.collapse(self.learner.network)
        # Keras insists on the suffix.
        beside = self.run.folder / f".{os.getpid()}.part.keras"
        try:
            network.save(beside)
            flush(beside)
            os.replace(beside, self.run.folder / "model.keras")
            flush(self.run.folder)
        except OSError as error:
            error.filename = str(self.run.folder / "model.keras")
            raise
        finally:
            beside.unlink(missing_ok=True)
        if isinstance(self.experiment.tracking, MlflowTracking):
            self._save_mlflow_model(network)

    def _save_mlflow_model(self, network: keras.Model) -> None:
        """For whoever loads it from MLflow; the run does without, whatever is wrong with it."""
        model = self.experiment.model
        try:
            made = upscaler(network, model, self.experiment.degradation, self.experiment.channels)
            whole = clipped(network_from_lr(untransposed(network), made))
            mlflow_model.save(whole, self.run.folder, model.size_multiple)
        except OSError:
            raise
        except Exception as error:
            self.no_mlflow_model = f"{type(error).__name__}: {error}".splitlines()[0]

    def _log(self, step: int, metrics: dict[str, float], *, final: bool = False) -> None:
        self.run.log(step, metrics, final=final)
        if self.view is not None:
            self.view.wake()
