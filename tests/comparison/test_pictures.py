"""Pictures of several runs of the same image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests_samples import noise, sample
from tests_scored import make_report
from tests_session import begin, pictures, tiny

from srexp.comparison.figure import Shown, automatic_crop, paper_figure
from srexp.comparison.pictures import figure, kept_figure, scenes, sliders
from srexp.comparison.results import TaskKey, read_run
from srexp.config.settings import experiment_of
from srexp.evaluation.samples import keep
from srexp.evaluation.scoring import enlarged_by
from srexp.images.io import to_png
from srexp.images.quantize import from_uint8, unpack
from srexp.options import OptionError
from srexp.pages.page import data_uri
from srexp.tracking.record import RunFolder
from srexp.training.checkpoint import CheckpointError
from srexp.training.trained import load_upscaler

Make = Callable[..., RunFolder]


@pytest.fixture
def two(make: Make) -> tuple[dict[str, RunFolder], TaskKey]:
    """The one kept images 0, 1, 2; the other 2, 1, 3. They differ more on 2."""
    report = make_report([0.1, 0.2, 0.3, 0.4])
    runs = {"a": make([report], "seed=0"), "b": make([report], "seed=1")}
    keep(runs["a"].folder, [sample(report, i, 0.1, seed=i) for i in (0, 1, 2)])
    keep(
        runs["b"].folder,
        [sample(report, 2, 0.9, 12), sample(report, 1, 0.2, 11), sample(report, 3, 0.9, 13)],
    )
    (task,) = read_run(runs["a"]).evaluations
    return runs, task


def test_a_slider_for_each_image_that_all_runs_kept(two: Any) -> None:
    runs, task = two
    shown = sliders(runs, task)
    assert [one.title for one in shown] == ["image2", "image1"]
    assert [picture.name for picture in shown[0].pictures] == ["bicubic", "a", "b", "HR"]
    assert (shown[0].left, shown[0].right) == (1, 2)
    wanted = [noise(202), noise(2), noise(12), noise(102)]
    assert [p.src for p in shown[0].pictures] == [data_uri(to_png(image)) for image in wanted]
    assert [p.caption for p in shown[0].pictures] == [
        "30.00 dB, 0.8000", "30.10 dB, 0.9000", "30.90 dB, 0.9000", "",
    ]  # fmt: skip
    assert shown[0].note == "70x70 of 100x90 pixels, from (3, 4)"


def test_no_more_than_there_is_room_for(two: Any) -> None:
    runs, task = two
    one = sliders(runs, task)[0].nbytes
    assert len(sliders(runs, task, room=2 * one + 1000)) == 2
    assert len(sliders(runs, task, room=one + 10)) == 1
    assert sliders(runs, task, room=one // 2) == []


def test_one_run_is_shown_against_bicubic(two: Any) -> None:
    runs, task = two
    shown = sliders({"a": runs["a"]}, task)
    assert len(shown) == 3
    assert (shown[0].left, shown[0].right) == (0, 1)


def test_nothing_of_another_task_or_another_square(two: Any) -> None:
    runs, task = two
    assert sliders(runs, replace(task, digest="other")) == []
    assert kept_figure(runs, replace(task, digest="other")) is None
    report = make_report([0.1, 0.2, 0.3, 0.4])
    keep(runs["b"].folder, [replace(sample(report, 2, 0.9, 12), crop=(0, 0, 70, 70))])
    assert sliders(runs, task) == []


def test_the_figure_of_what_was_kept(two: Any) -> None:
    runs, task = two
    hr = from_uint8(noise(102))
    shown = [
        Shown("bicubic", from_uint8(noise(202)), 30.0, 0.8),
        Shown("a", from_uint8(noise(2)), 30.1, 0.9),
        Shown("b", from_uint8(noise(12)), 30.9, 0.9),
    ]
    wanted = paper_figure(hr, shown, title="image2 (a part)", crop=automatic_crop(hr, shown))
    drawn = kept_figure(runs, task)
    assert drawn is not None
    np.testing.assert_array_equal(drawn, wanted)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """Two networks that were trained for a few steps and scored."""
    folder = tmp_path_factory.mktemp("trained")
    images = pictures(folder / "images")
    found = {}
    for seed in (0, 1):
        session = begin(folder / "outputs", tiny(images, f"seed={seed}", "trainer.steps=10"))
        assert session.train(lambda: None).reason == "done"
        session.score()
        session.run.release()
        found[f"seed {seed}"] = session.run
    return found


def paths(runs: dict[str, RunFolder]) -> dict[str, Any]:
    return dict(next(iter(runs.values())).config["paths"])


def val(runs: dict[str, RunFolder]) -> TaskKey:
    (task,) = read_run(next(iter(runs.values()))).evaluations
    return task


def test_whole_images_are_made_again_from_the_weights(trained: dict[str, RunFolder]) -> None:
    task = val(trained)
    drawn = figure(scenes(trained, task, "p0", paths(trained), (2, 3, 12, 10)), (2, 3, 12, 10))
    shown = []
    for name, run in trained.items():
        experiment = experiment_of(run.config)
        (one,) = scenes({name: run}, task, "p0", paths(trained))
        upscaler, _, _ = load_upscaler(run, experiment, "best")
        ((row, case, sr),) = one.task.results(enlarged_by(upscaler, one.task))
        # The captions are the scores that the run noted.
        (noted,) = read_run(run).evaluations[task].rows
        assert row.score.psnr == pytest.approx(noted.psnr, abs=1e-4)
        shown.append(Shown(name, sr, noted.psnr, noted.ssim))
    base = Shown("bicubic", unpack(case.bicubic), noted.psnr_bicubic, noted.ssim_bicubic)
    wanted = paper_figure(
        unpack(case.hr), [base, *shown], title="p0 (val_x2/rgb)", crop=(2, 3, 12, 10)
    )
    np.testing.assert_array_equal(drawn, wanted)
    assert (shown[0].image != shown[1].image).any()


def test_what_cannot_be_drawn_is_said(
    trained: dict[str, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, where = val(trained), paths(trained)
    with pytest.raises(OptionError, match="image P0: not in val; did you mean p0"):
        scenes(trained, task, "P0", where)
    for crop in ((-1, 0, 5, 5), (20, 0, 9, 5), (0, 22, 5, 5), (0, 0, 0, 5)):
        with pytest.raises(OptionError, match=r"must lie within p0, 28x26 pixels"):
            scenes(trained, task, "p0", where, crop)
    with pytest.raises(OptionError, match="not what they were"):
        scenes(trained, replace(task, digest="other"), "p0", where)
    with pytest.raises(OptionError, match="nothing says where its images lie"):
        scenes(trained, replace(task, images="set5"), "p0", where)
    run = RunFolder.open(next(iter(trained.values())).folder)
    monkeypatch.setattr(RunFolder, "checkpoints", tmp_path)
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        scenes({"a": run}, task, "p0", where)
