"""Pictures of several runs, of the same image: those that they kept, or made again from weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from srexp.comparison.figure import Box, Shown, automatic_crop, paper_figure
from srexp.comparison.results import TaskKey
from srexp.data.cache import cache_of, caching
from srexp.data.sources import words_for
from srexp.evaluation.samples import Sample, kept_samples
from srexp.evaluation.scoring import Score, Task, enlarged_by
from srexp.images.io import to_png
from srexp.images.quantize import from_uint8, unpack
from srexp.options import OptionError
from srexp.pages.page import data_uri
from srexp.pages.slider import Slider, SliderPicture
from srexp.tracking.record import RunFolder
from srexp.training.experiment import Experiment

PAGE_BYTES = 3_000_000  # of all pictures in a page: what a mail or a phone still takes


def sliders(runs: Mapping[str, RunFolder], task: TaskKey, room: int = PAGE_BYTES) -> list[Slider]:
    """What the runs kept of the same images: at first the first two, or bicubic and the one.

    Args:
        runs: Name -> run. Two that kept none of the same images give nothing.
        task: On what.
        room: Bytes that they may add to a page, at most.

    Returns:
        As many as there is room for; the first one is of the image on which the runs differ most.
    """
    shared = sorted(_shared(list(runs.values()), task), key=_spread, reverse=True)
    return fitting([slider(list(runs), samples, samples[0].image) for samples in shared], room)


def fitting(shown: Sequence[Slider], room: int) -> list[Slider]:
    """Those that there is room for, in bytes, the first ones first."""
    found = []
    for one in shown:
        if one.nbytes <= room:
            room -= one.nbytes
            found.append(one)
    return found


def slider(names: Sequence[str], samples: Sequence[Sample], title: str) -> Slider:
    """What several methods made of one square: at first the first two, or bicubic and the one.

    Args:
        names: Of the methods.
        samples: One each, of the same square of the same image.
        title: What stands above.
    """
    first = samples[0]
    left, top, width, height = first.crop
    made = [_picture(name, s.sr, s.score) for name, s in zip(names, samples, strict=True)]
    several = len(made) > 1
    return Slider(
        title=title,
        width=width,
        height=height,
        pictures=(
            _picture("bicubic", first.bicubic, first.bicubic_score),
            *made,
            SliderPicture("HR", data_uri(to_png(first.hr))),
        ),
        left=1 if several else 0,
        right=2 if several else 1,
        note=f"{width}x{height} of {first.size[0]}x{first.size[1]} pixels, from ({left}, {top})",
    )


def _picture(name: str, image: np.ndarray, score: Score) -> SliderPicture:
    return SliderPicture(name, data_uri(to_png(image)), f"{score.psnr:.2f} dB, {score.ssim:.4f}")


def kept_figure(runs: Mapping[str, RunFolder], task: TaskKey) -> np.ndarray | None:
    """The figure of a paper (`figure.paper_figure`) from what the runs kept, without TensorFlow.

    Of the image on which they differ most; None where they kept none of the same images.
    """
    shared = _shared(list(runs.values()), task)
    if not shared:
        return None
    samples = max(shared, key=_spread)
    first = samples[0]
    hr = from_uint8(first.hr)
    bicubic, base = from_uint8(first.bicubic), first.bicubic_score
    shown = [Shown("bicubic", bicubic, base.psnr, base.ssim)]
    for name, sample in zip(runs, samples, strict=True):
        sr = from_uint8(sample.sr)
        shown.append(Shown(name, sr, sample.score.psnr, sample.score.ssim))
    crop = automatic_crop(hr, shown)
    return paper_figure(hr, shown, title=f"{first.image} (a part)", crop=crop)


@dataclass(frozen=True, eq=False)
class Scene:
    """One image, to be made by one run.

    Attributes:
        name: Of the run.
        run: Which.
        experiment: Its options, on this machine.
        task: What it was scored on, with that image alone.
    """

    name: str
    run: RunFolder
    experiment: Experiment
    task: Task


def scenes(
    runs: Mapping[str, RunFolder],
    task: TaskKey,
    image: str,
    paths: Mapping[str, Any],
    crop: Box | None = None,
) -> list[Scene]:
    """See that a figure can be made, and read its image; without TensorFlow.

    Args:
        runs: Name -> run.
        task: Which all of them were scored on.
        image: Of its images.
        paths: `output_dir` and `data_dir` of this machine.
        crop: Left, top, width and height in HR pixels; None for `figure.automatic_crop`.

    Raises:
        OptionError: The images are not there or no longer what they were, there is no such image,
            or the crop is not within it.
        CheckpointError: A run has no sound best weights.
    """
    from srexp.config.identity import with_additions
    from srexp.config.settings import experiment_of
    from srexp.training import checkpoint

    found = []
    for name, run in runs.items():
        checkpoint.load(checkpoint.best_path(run.checkpoints))
        experiment = experiment_of(_as_here(with_additions(run.config), paths))
        noted = _noted(run, task)
        found.append(Scene(name, run, experiment, _one_image(experiment, task, image, noted)))
    if crop is not None:
        _check_crop(crop, unpack(found[0].task.cases[0].hr), image)
    return found


def figure(scenes: Sequence[Scene], crop: Box | None = None) -> np.ndarray:
    """The figure of a paper from whole images, made again from the runs' best weights.

    Args:
        scenes: `scenes(...)`.
        crop: As there.

    Returns:
        `[height, width, 3]` uint8.
    """
    from srexp.training.trained import load_upscaler

    shown: list[Shown] = []
    for scene in scenes:
        upscaler = load_upscaler(scene.run, scene.experiment, "best")[0]
        ((row, case, sr),) = scene.task.results(enlarged_by(upscaler, scene.task))
        if not shown:
            base = row.bicubic
            shown.append(Shown("bicubic", unpack(case.bicubic), base.psnr, base.ssim))
        shown.append(Shown(scene.name, sr, row.score.psnr, row.score.ssim))
    hr = unpack(case.hr)
    title = f"{row.image} ({scenes[0].task.key})"
    return paper_figure(hr, shown, title=title, crop=crop or automatic_crop(hr, shown))


def _as_here(config: dict[str, Any], paths: Mapping[str, Any]) -> dict[str, Any]:
    """With this machine's folders, and with as many threads as the process has, for all runs."""
    return {**config, "paths": dict(paths), "trainer": {**config["trainer"], "threads": None}}


def _noted(run: RunFolder, task: TaskKey) -> dict[str, Any]:
    """What `srexp evaluate` wrote of the task; empty where the training alone scored it."""
    # The folder may have the set's name of before: the digest decides.
    found = (run.folder / "evaluations").glob(f"*_x{task.scale}/{task.protocol}/*.json")
    for path in sorted(found, key=lambda path: path.name, reverse=True):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["digest"] == task.digest:
                return dict(content)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}


def _one_image(experiment: Experiment, task: TaskKey, image: str, noted: Mapping[str, Any]) -> Task:
    """The task with that image alone, as it was noted, else as the run's configuration has it."""
    from srexp.config.settings import build_option

    sets = experiment.benchmark
    # Before sets of one's own had names, they were called `folder` or `pairs`.
    older = (option for option in sets.values() if option.name == task.images)
    benchmark = sets.get(task.images) or next(older, None)
    protocol = experiment.protocol.get(task.protocol)
    if "benchmark_options" in noted:
        benchmark = build_option("benchmark", noted["benchmark_options"], task.images)
        name = f"protocol.{task.protocol}"
        options = {"name": "protocol", **noted["protocol_options"]}
        protocol = build_option("protocol", options, name)
    with caching(cache_of(experiment.paths.data_dir)):
        if task.images == "val":
            images = experiment.data.load()[1]
        elif benchmark is not None:
            images = benchmark.load(task.images)
    if protocol is None or (task.images != "val" and benchmark is None):
        raise OptionError(
            f"{task.name}: nothing says where its images lie, or how they were scored; to note "
            f"it: srexp evaluate run=RUN {words_for(task.images)} protocol={task.protocol}"
        )
    whole = Task(images, experiment.degradation, task.protocol, protocol)
    if whole.digest != task.digest:
        raise OptionError(
            f"{task.name}: its images or settings are not what they were when it was scored"
        )
    if image not in images.images:
        from difflib import get_close_matches

        near = get_close_matches(image, list(images.images), n=1, cutoff=0)
        raise OptionError(f"image {image}: not in {task.images}; did you mean {near[0]}?")
    return replace(whole, images=images.only(image))


def _check_crop(crop: Box, hr: np.ndarray, image: str) -> None:
    left, top, width, height = crop
    fits = left >= 0 and top >= 0 and left + width <= hr.shape[1] and top + height <= hr.shape[0]
    if not fits or min(width, height) < 1:
        raise OptionError(
            f"crop={','.join(map(str, crop))}: must lie within {image}, {hr.shape[1]}x"
            f"{hr.shape[0]} pixels (left,top,width,height)"
        )


# What was kept


def _shared(runs: Sequence[RunFolder], task: TaskKey) -> list[list[Sample]]:
    """For each image of which all runs kept the same square, their samples."""
    kept = [
        {(s.image, s.crop): s for s in kept_samples(run.folder) if s.digest == task.digest}
        for run in runs
    ]
    common = [key for key in kept[0] if all(key in samples for samples in kept)] if kept else []
    return [[samples[key] for samples in kept] for key in common]


def _spread(samples: Sequence[Sample]) -> float:
    gains = [sample.gain for sample in samples]
    return max(gains) - min(gains) if len(gains) > 1 else gains[0]
