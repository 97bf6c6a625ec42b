"""A run as one HTML page, made of what its folder holds: of a finished run all, else what there is.

Read from the folder alone, so that it can be made again at any time, without TensorFlow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from srexp.comparison.index import planned_steps
from srexp.comparison.pictures import PAGE_BYTES, fitting, slider
from srexp.comparison.results import Evaluation, ImageScores, TaskKey, read_evaluation, read_run
from srexp.comparison.summary import cost_of
from srexp.evaluation.numbers import number
from srexp.evaluation.samples import Sample, kept_samples
from srexp.evaluation.statistics import Interval, t_interval
from srexp.files import write_atomically
from srexp.pages import plots
from srexp.pages.page import render
from srexp.pages.slider import Slider
from srexp.pages.times import clock, duration
from srexp.tracking.record import RunError, RunFolder
from srexp.words import beside_bicubic, count

FILE = "report.html"
_FILES = (
    "config.yaml", "environment.json", "metrics.jsonl", "error.txt", "model.keras", "checkpoints",
    "evaluations", "grids", "samples",
)  # fmt: skip


@dataclass(frozen=True)
class AboutRun:
    """What the folder does not say.

    Attributes:
        differs: Key -> value and default, as typed, where the configuration is not the default;
            None if it cannot be read.
        commands: What to do next -> the command.
        mlflow: Where MLflow shows it; None for nowhere.
    """

    differs: Mapping[str, tuple[str, str]] | None
    commands: Mapping[str, str]
    mlflow: str | None


def write(run: RunFolder, about: AboutRun) -> Path:
    """Write `report.html` into a run folder.

    Raises:
        OSError: The disk is full; what was there before still is.
    """
    path = run.folder / FILE
    write_atomically(path, html(run, about).encode())
    return path


def html(run: RunFolder, about: AboutRun) -> str:
    """The page.

    Args:
        run: Of any status.
        about: What its folder does not say.

    Returns:
        The content of `report.html`. Links in it are relative to the run folder.
    """
    results = read_run(run)
    evaluations = _in_order(run, [*results.evaluations.values(), *_unfinished(run, results.faults)])
    samples = kept_samples(run.folder)
    sliders = _sliders(samples, evaluations)
    return render(
        Path(__file__).parent,
        "run_report.html.jinja",
        slider=bool(sliders),
        title=str(run.info.get("title") or run.info.get("name") or run.id),
        run=run.id,
        status=run.info["status"],
        headline=_headline(evaluations),
        facts=list(_facts(run, about)),
        faults=results.faults,
        results=[_result(evaluation, run.folder) for evaluation in evaluations],
        sliders=sliders,
        left_out=len(samples) - sum(map(len, sliders.values())),
        plots=curves_of(run),
        differs=about.differs,
        config=_text(run.folder / "config.yaml"),
        environment=list(_environment(run.folder)),
        error=_text(run.folder / "error.txt"),
        commands=about.commands,
        files=[name for name in _FILES if (run.folder / name).exists()],
    )


# Scores


def _unfinished(run: RunFolder, faults: list[str]) -> list[Evaluation]:
    """The newest point of the validation curve, of a run that was never scored at its end."""
    found = []
    for folder in sorted((run.folder / "evaluations").glob("*/*/")):
        if (folder / "final.csv").exists():
            continue
        for path in sorted(folder.glob("step-*.csv"), reverse=True)[:1]:
            try:
                found.append(read_evaluation(path))
            except RunError as error:
                faults.append(str(error))
    return found


def _in_order(run: RunFolder, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The task that the run is judged by first, validation images last."""
    judged = (run.info.get("result") or {}).get("task")
    return sorted(evaluations, key=lambda e: (e.task.name != judged, e.task.images == "val"))


def _gain(row: ImageScores) -> float:
    return row.psnr - row.psnr_bicubic


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _headline(evaluations: Sequence[Evaluation]) -> dict[str, str] | None:
    """The gain on the first task in one sentence; None where nothing was scored."""
    if not evaluations:
        return None
    first = evaluations[0]
    gains = [_gain(row) for row in first.rows if row.finite]
    interval = t_interval(gains)
    better = sum(gain > 0 for gain in gains)
    return {
        "gain": beside_bicubic(interval.mean),
        "task": first.task.name,
        "interval": _interval(interval),
        "better": f"better on {better} of {count(len(gains), 'image')}",
    }


def _interval(interval: Interval) -> str:
    if interval.n < 2:
        return f"n = {interval.n}: no interval"
    return (
        f"95 % interval {interval.low:+.2f} to {interval.high:+.2f}, Student's t, n = {interval.n}"
    )


def _result(evaluation: Evaluation, folder: Path) -> dict[str, Any]:
    rows = [row for row in evaluation.rows if row.finite]
    interval = t_interval([_gain(row) for row in rows])
    further = list(dict.fromkeys(name for row in evaluation.rows for name in row.more))
    left_out = [row.image for row in evaluation.rows if not row.finite]
    return {
        "id": _identifier(evaluation.task),
        "name": evaluation.task.name,
        "label": evaluation.task.label(len(evaluation.rows)),
        "method": evaluation.method,
        "weights": evaluation.weights,
        "href": quote(evaluation.path.relative_to(folder).as_posix()),
        "images": len(evaluation.rows),
        "interval": "" if interval.n < 2 else f"{interval.low:+.2f} to {interval.high:+.2f}",
        "mean": _cells(
            [_mean([value(row) for row in rows]) for value in _COLUMNS]
            + [_mean([row.more.get(name, math.nan) for row in rows]) for name in further]
        ),
        "further": further,
        "left_out": left_out,
        "rows": [
            (
                row.image,
                _cells(
                    [value(row) for value in _COLUMNS]
                    + [row.more.get(name, math.nan) for name in further]
                ),
            )
            for row in sorted(evaluation.rows, key=_by_gain)
        ],
    }


_COLUMNS = (
    lambda row: row.psnr_bicubic, lambda row: row.psnr, _gain,
    lambda row: row.ssim_bicubic, lambda row: row.ssim,
)  # fmt: skip


def _cells(values: Sequence[float]) -> list[str]:
    digits = [2, 2, 2, *[4] * (len(values) - 3)]
    return [
        number(value, digits[i], "+" if i == 2 else "").replace("inf", "∞")
        for i, value in enumerate(values)
    ]


def _by_gain(row: ImageScores) -> float:
    gain = _gain(row)
    return gain if math.isfinite(gain) else math.inf


def _identifier(task: TaskKey) -> str:
    """Of a part of the page: no two tasks have the same."""
    return f"task-{task.images}-x{task.scale}-{task.protocol}-{task.digest}".replace(" ", "_")


# Pictures


def _sliders(
    samples: Sequence[Sample], evaluations: Sequence[Evaluation]
) -> dict[str, list[Slider]]:
    """Part of the page -> what its sliders show, the least gain first: as much as it may hold."""
    found: dict[str, list[Slider]] = {}
    room = PAGE_BYTES
    for task in (evaluation.task for evaluation in evaluations):
        ours = [s for s in samples if (s.task, s.digest) == (task.name, task.digest)]
        ours.sort(key=lambda sample: sample.gain)
        shown = [slider([s.method], [s], f"{s.image}: {s.gain:+.2f} dB") for s in ours]
        if fit := fitting(shown, room):
            found[_identifier(task)] = fit
            room -= sum(one.nbytes for one in fit)
    return found


# Curves


def curves_of(run: RunFolder) -> list[str]:
    """The training loss and the gains on the validation images over the steps, as SVG."""
    points = [point for point in run.points() if not point.get("final")]
    series: dict[str, tuple[list[float], list[float]]] = {}
    for point in points:
        for name, value in point["metrics"].items():
            xs, ys = series.setdefault(name, ([], []))
            xs.append(point["step"])
            ys.append(value)
    drawn = []
    if "train/loss" in series:
        loss = plots.PlotLine("training loss", *series["train/loss"], noisy=True)
        low, high = min(loss.y), max(loss.y)
        log = low > 0 and high / low > 10  # ticks between two powers of ten say little
        drawn.append(plots.curves([loss], xlabel="step", ylabel="training loss", log=log))
    gains = [
        plots.PlotLine(name.removesuffix("/psnr_gain"), *values)
        for name, values in series.items()
        if name.endswith("/psnr_gain")
    ]
    if gains:
        best = run.info.get("progress", {}).get("best_step", -1)
        drawn.append(
            plots.curves(
                gains,
                xlabel="step",
                ylabel="PSNR gain in dB",
                zero="bicubic",
                mark=(best, f"best (step {best})") if best >= 0 else None,
            )
        )
    return drawn


# Facts


def _facts(run: RunFolder, about: AboutRun) -> Iterator[tuple[str, str]]:
    info = run.info
    progress = info.get("progress", {})
    config = _config(run)
    steps = planned_steps(config) or "?"
    seconds = progress.get("seconds")
    trained = f", trained for {duration(seconds)}" if seconds is not None else ""
    ended = info.get("ended")
    why = f" (by trainer.{ended})" if ended not in (None, "done") else ""
    yield "state", f"{info['status']}{why}, step {progress.get('step', 0)} of {steps}{trained}"
    if info.get("failure"):
        yield "failure", info["failure"]
    if info.get("created"):
        yield "begun", clock(info["created"])
    try:
        yield "trained on", f"{config['data']['name']}, seed {config['seed']}, {config['color']}"
        model = [str(config["model"]["name"])]
    except (KeyError, TypeError):  # damaged
        model = []
    if cost := cost_of(info):
        model.append(str(cost))
    yield "model", ", ".join(model)
    for name in ("sweep", "init_from"):
        if info.get(name):
            yield name, info[name]
    if about.mlflow:
        yield "MLflow", about.mlflow


def _config(run: RunFolder) -> dict[str, Any]:
    try:
        return run.config
    except RunError:  # of a newer srexp, or damaged: the rest can be shown
        return {}


def _environment(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        content = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for name, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, dict):
            text = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list):
            text = (" " if name == "command" else ", ").join(map(str, value)) or "none"
        else:
            text = str(value)
        yield name.replace("_", " "), text


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
