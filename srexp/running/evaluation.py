"""Scoring a run, a resampler or another program's images on benchmarks."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srexp.comparison.results import SELF_ENSEMBLE
from srexp.config.settings import (
    EvaluateSettings,
    build_option,
    check_folder,
    evaluate_settings,
    experiment_of,
)
from srexp.data.cache import cache_of, caching
from srexp.data.sources import OwnBenchmark
from srexp.files import file_name, write_atomically
from srexp.metrics.base import prepare_all
from srexp.models.resampler import Resampler
from srexp.models.upscaler import Enlarge, SelfEnsemble, Upscaler
from srexp.options import OptionError
from srexp.paths import absolute, checked
from srexp.quiet import quiet_import
from srexp.running import rescored
from srexp.running.ends import RunFailed
from srexp.tracking.record import RunFolder, environment, find_run
from srexp.training import checkpoint

if TYPE_CHECKING:
    import numpy as np

    from srexp.evaluation.cost import Cost
    from srexp.evaluation.saved import SavedImages
    from srexp.evaluation.scoring import Case, ImageResult, Report, Task
    from srexp.running.display import EvaluationDisplay
    from srexp.training.experiment import Experiment, Paths


@dataclass
class _Method:
    """What is scored.

    Attributes:
        name: In tables and file names.
        weights: Which weights it has; empty where it has none.
        folder: Where its results go.
        upscaler: It; None where its images are files.
        saved: Its images of each task, where they are files.
        cost: Of the network.
        device: What it runs on.
    """

    name: str
    weights: str
    folder: Path
    upscaler: Enlarge | None = None
    saved: dict[str, SavedImages] = field(default_factory=dict)
    cost: Cost | None = None
    device: str = ""


@dataclass(frozen=True)
class Evaluated:
    """The scores of one method on one task.

    Attributes:
        report: Them.
        document: The same as plain data, with what they are of.
        csv: The file of them; the document is beside it, as JSON.
    """

    report: Report
    document: dict[str, Any]
    csv: Path


def evaluate_settings_of(
    values: dict[str, Any], given: Iterable[str]
) -> tuple[EvaluateSettings, RunFolder | None]:
    """What is to be scored, checked, and the run where it is one.

    Args:
        values: A composed configuration, as plain data.
        given: The groups and keys that somebody typed: each must have an effect.

    Raises:
        OptionError, RunError: Bad input.
    """
    settings = evaluate_settings(values)
    run: RunFolder | None = None
    if settings.run is not None:
        run = find_run(str(settings.run), settings.paths.output_dir)
        _take_over(settings, run, set(given))
    _check_given(settings, set(given))
    return settings, run


def score_all(
    settings: EvaluateSettings, run: RunFolder | None, display: EvaluationDisplay
) -> list[Evaluated]:
    """Score, keep CSV and JSON files, show it where the run is shown.

    Raises:
        OptionError, CheckpointError: Bad input; nothing was written.
        RunFailed: A score is not finite.
    """
    elsewhere = place_beside(run, settings.paths.output_dir) if run is not None else None
    if run is not None and elsewhere is not None:
        display.note(
            f"run {run.id} may not be written; its scores go to {elsewhere}, and neither to "
            "its page nor to MLflow",
            whole=True,
        )
    tasks = _tasks(settings, display)
    if settings.sr_dir is not None:
        method = _files(settings, tasks, display)
    elif run is None:
        method = _resampler(settings)
    else:
        method = _network(settings, run, display)
        method.folder = elsewhere or method.folder
    if settings.method is not None:
        method.name = str(settings.method)
    if settings.ensemble:
        assert method.upscaler is not None
        method.upscaler = SelfEnsemble(method.upscaler)
        method.name += "+"
        method.weights = ", ".join(filter(None, [method.weights, SELF_ENSEMBLE]))
    prepare_all(settings.metric)
    now = time.time()
    # The random end keeps those of the same second apart.
    stamp = f"{time.strftime('%Y-%m-%d_%H-%M-%S', time.localtime(now))}_{secrets.token_hex(2)}"
    facts: dict[str, Any] = {"created": now, "run": None, "environment": environment()}
    if run is not None:
        facts |= {"run": run.id, "step": run.info.get("progress", {}).get("step", 0)}
        if elsewhere is None:
            rescored.begin(run)
        for task in tasks:
            if (remark := other_set(task, run, settings)) is not None:
                display.note(remark)
    found = [
        _score(task, method, settings, stamp, _with_benchmark(facts, task, settings), display)
        for task in tasks
    ]
    if run is not None and elsewhere is None:
        rescored.end(run, display)
    return found


def place_beside(run: RunFolder, output_dir: Path) -> Path | None:
    """Where the scores of somebody else's run go, which may only be read; None for its folder."""
    try:
        check_folder(f"run={run.id}", str(run.folder.resolve() / "evaluations"))
    except OptionError:
        return output_dir / "evaluations" / run.id
    return None


def _with_benchmark(
    facts: dict[str, Any], task: Task, settings: EvaluateSettings
) -> dict[str, Any]:
    """With what finds the images again."""
    option = settings.benchmark[task.images.name]
    values = {
        key: str(absolute(value)) if key.endswith("dir") and value else value
        for key, value in asdict(option).items()
    }
    return {**facts, "benchmark_options": {"name": option.name, **values}}


def other_set(task: Task, run: RunFolder, settings: EvaluateSettings) -> str | None:
    """That two sets of one's own have one name: the table of runs would mix them."""
    option = settings.benchmark[task.images.name]
    if not isinstance(option, OwnBenchmark):
        return None
    for path in sorted((run.folder / "evaluations" / task.key).glob("*.json")):
        try:
            before = json.loads(path.read_text(encoding="utf-8"))["digest"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if before != task.digest:
            return (
                f"{task.key} was of another image set in this run before ([{before}]); "
                f"benchmark.{option.name}.title=NAME gives this one a name of its own"
            )
    return None


def _tasks(settings: EvaluateSettings, display: EvaluationDisplay) -> list[Task]:
    from srexp.evaluation.scoring import Task

    with caching(cache_of(settings.paths.data_dir)):
        sets = {name: option.load(name) for name, option in settings.benchmark.items()}
    for images in sets.values():
        for remark in images.remarks:
            display.note(remark)
    options: dict[str, Any] = {"keep": False, "metrics": settings.metric}
    if settings.timing:
        options["ahead"] = 0
    return [
        Task(images, settings.degradation, name, protocol, **options)
        for images in sets.values()
        for name, protocol in settings.protocol.items()
    ]


def _files(settings: EvaluateSettings, tasks: list[Task], display: EvaluationDisplay) -> _Method:
    """Images that another program made."""
    from srexp.evaluation.saved import SavedImages

    folder = Path(os.path.abspath(checked("sr_dir", str(settings.sr_dir))))
    saved = {task.key: SavedImages.find(folder, task) for task in tasks}
    for remark in dict.fromkeys(remark for one in saved.values() for remark in one.remarks):
        display.note(remark)
    return _Method(
        folder.name, f"files of {folder}", settings.paths.output_dir / "evaluations", saved=saved
    )


def _resampler(settings: EvaluateSettings) -> _Method:
    assert isinstance(settings.model, Resampler)
    return _Method(
        settings.model.interpolation,
        "",
        settings.paths.output_dir / "evaluations",
        Upscaler(settings.model, settings.degradation, channels=3),
        device=_processor(),
    )


def _network(settings: EvaluateSettings, run: RunFolder, display: EvaluationDisplay) -> _Method:
    # Damaged or missing: told before TensorFlow is imported.
    if settings.weights == "best":
        checkpoint.load(checkpoint.best_path(run.checkpoints))
    else:
        for fault in checkpoint.load_newest(run.checkpoints)[2]:
            display.note(f"{fault}; an older checkpoint is used")
    experiment = experiment_here(run, settings.paths)
    with quiet_import():
        import tensorflow  # noqa: F401
    from srexp.training.devices import environment as devices
    from srexp.training.trained import load_upscaler

    upscaler, weights, cost = load_upscaler(run, experiment, settings.weights)
    return _Method(
        run.config["model"]["name"],
        weights,
        run.folder / "evaluations",
        upscaler,
        cost=cost,
        device=", ".join(devices()["gpus"]) or _processor(),
    )


def experiment_here(run: RunFolder, paths: Paths) -> Experiment:
    """The options of a run, to use its weights in this process."""
    config = run.config
    if "tensorflow" in sys.modules:  # a process whose threads may be fixed: they change no score
        config = {**config, "trainer": {**config["trainer"], "threads": None}}
    # Its own folders may be of another machine.
    return experiment_of({**config, "paths": {k: str(v) for k, v in asdict(paths).items()}})


def _processor() -> str:
    machine = environment()
    return f"{machine['processor']}, {machine['cores']} cores"


def _score(
    task: Task,
    method: _Method,
    settings: EvaluateSettings,
    stamp: str,
    facts: dict[str, Any],
    display: EvaluationDisplay,
) -> Evaluated:
    """Score one task, write and show what came of it."""
    from srexp.evaluation import scoring
    from srexp.evaluation.document import document, to_json
    from srexp.evaluation.saved import save_sr
    from srexp.evaluation.tables import to_csv
    from srexp.evaluation.timing import Stopwatch

    stem = file_name(method.name)
    path = method.folder / task.key / f"{stem}_{stamp}.csv"
    pictures = path.with_suffix("")
    if isinstance(settings.save_sr, str):
        named = facts["run"] is None or settings.method is not None
        whose = stem if named else facts["run"] + ("+" if settings.ensemble else "")
        pictures = absolute(settings.save_sr) / whose / task.key
    stopwatch: Stopwatch | None = None
    if settings.timing:
        assert method.upscaler is not None
        stopwatch = Stopwatch(method.upscaler, task.has_8bit_lr, settings.timing_repeats)

    def see(result: ImageResult, case: Case, sr: np.ndarray) -> None:
        if stopwatch is not None:
            stopwatch.time(case)
        if settings.save_sr:
            save_sr(pictures, result.image, sr)

    what: Any = {"method": method.name, "weights": method.weights, "see": see}
    try:
        if method.upscaler is None:
            report = scoring.score(task, method.saved[task.key], **what)
        else:
            report = scoring.evaluate(task, method.upscaler, **what)
    except scoring.NotFinite as error:
        raise RunFailed(str(error)) from None
    timing = stopwatch.result(method.device) if stopwatch is not None else None
    display.found(report, method.cost, timing)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, to_csv(report).encode())
    found = document(
        report,
        cost=method.cost,
        timing=timing,
        **facts,
        ensemble=settings.ensemble,
        csv=str(path),
        sr_images=str(pictures) if settings.save_sr else settings.sr_dir,
    )
    write_atomically(path.with_suffix(".json"), to_json(found).encode())
    if settings.save_sr:
        display.say(f"SR images: {pictures}", whole=True)
    display.say(f"per image: {path}\n", whole=True)
    return Evaluated(report, found, path)


def _check_given(settings: EvaluateSettings, given: set[str]) -> None:
    """Raises OptionError: what was typed has no effect."""
    if settings.sr_dir is not None and "model" in given:
        raise OptionError("model: with sr_dir files are scored; leave model or sr_dir out")
    if settings.run is None and "weights" in given:
        raise OptionError(f"weights={settings.weights}: of which run? (run=RUN)")
    if not settings.timing and "timing_repeats" in given:
        raise OptionError("timing_repeats: has an effect with timing=true alone")


def _take_over(settings: EvaluateSettings, run: RunFolder, given: set[str]) -> None:
    """A run is scored under the degradation that it was trained for, and by its own protocols."""
    stored = run.config
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
