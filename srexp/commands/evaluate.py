"""`srexp evaluate`: score a trained run or a resampler on benchmarks."""

from __future__ import annotations

import os
import time

from omegaconf import DictConfig

from srexp.commands.exit import CommandFailed
from srexp.commands.front import run_hydra
from srexp.commands.quiet import quiet_import
from srexp.config.settings import (
    EvaluateSettings,
    build_option,
    evaluate_settings,
    experiment_of,
    plain,
)
from srexp.files import write_atomically
from srexp.metrics.base import Metric
from srexp.models.resampler import Resampler
from srexp.models.upscaler import Upscaler
from srexp.options import OptionError
from srexp.tracking.record import RunFolder, find_run
from srexp.training import checkpoint


def main() -> None:
    """The command."""
    run_hydra("evaluate", evaluate)


def evaluate(config: DictConfig) -> None:
    """Score, print tables, write CSV files.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was written.
    """
    from srexp.commands.console import make_console
    from srexp.evaluation import scoring
    from srexp.evaluation.tables import caption, table, to_csv

    console = make_console()
    values = plain(config)
    settings = evaluate_settings(values)
    run: RunFolder | None = None
    if settings.run is not None:
        run = find_run(str(settings.run), settings.paths.output_dir)
        _take_over(settings, run)
    sets = {name: option.load(name) for name, option in settings.benchmark.items()}
    for images in sets.values():
        for remark in images.remarks:
            console.print(f"note: {remark}")
    tasks = [
        scoring.Task(
            images,
            settings.degradation,
            name,
            protocol,
            settings.seed,
            metrics=settings.metric,
        )
        for images in sets.values()
        for name, protocol in settings.protocol.items()
    ]
    if run is None:
        assert isinstance(settings.model, Resampler)
        method, weights, cost = settings.model.interpolation, "", None
        upscaler = Upscaler(settings.model, settings.degradation, channels=3)
        folder = settings.paths.output_dir / "evaluations"
    else:
        # Damaged or missing: told before TensorFlow is imported.
        if settings.weights == "best":
            checkpoint.load(checkpoint.best_path(run.checkpoints))
        else:
            for fault in checkpoint.load_newest(run.checkpoints)[2]:
                console.print(f"note: {fault}; an older checkpoint is used")
        with quiet_import():
            import tensorflow  # noqa: F401
        from srexp.training.trained import load_upscaler

        # Its own folders may be of another machine.
        experiment = experiment_of({**run.config, "paths": values["paths"]})
        upscaler, weights, cost = load_upscaler(run, experiment, settings.weights)
        method = run.config["model"]["name"]
        folder = run.folder / "evaluations"
    _prepare(settings.metric)
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    for task in tasks:
        try:
            report = scoring.evaluate(task, upscaler, method=method, weights=weights)
        except scoring.NotFinite as error:
            raise CommandFailed(str(error), 1) from None
        console.print(table(report))
        console.print(caption(report, cost))
        path = folder / task.key / f"{method}_{stamp}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_csv(report).encode())
        console.print(f"per image: {path}\n", soft_wrap=True)


def _prepare(metrics: dict[str, Metric]) -> None:
    """Raises OptionError: A metric lacks what it needs."""
    # Otherwise LPIPS without a run takes all memory of a GPU that others may be using.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    for name, metric in metrics.items():
        fault: OptionError | None = None
        with quiet_import():
            try:
                metric.prepare()
            except OptionError as error:
                fault = error
        if fault is not None:
            raise OptionError(f"metric.{name}.{fault}", f"metric.{name}.{fault.key}") from fault


def _take_over(settings: EvaluateSettings, run: RunFolder) -> None:
    """A run is scored under the degradation that it was trained for, and by its own protocols."""
    from hydra.core.hydra_config import HydraConfig

    stored = run.config
    given = {o.split("=", 1)[0].split(".")[0] for o in HydraConfig.get().overrides.task}
    settings.model = build_option("model", stored["model"], "model")
    trained_for = build_option("degradation", stored["degradation"], "degradation")
    if "model" in given or ("degradation" in given and settings.degradation != trained_for):
        raise OptionError(
            f"run={run.id}: is {settings.model.name}, trained for {trained_for.label}; leave "
            "model and degradation out"
        )
    settings.degradation = trained_for
    if "protocol" not in given:
        settings.protocol = {
            name: build_option("protocol", node, f"protocol.{name}")
            for name, node in stored["protocol"].items()
        }
