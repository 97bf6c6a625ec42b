"""A whole run on tiny images: stopped, continued, scored, and loaded again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from tests_session import begin, tiny

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint, loop
from srexp.training.checkpoint import CheckpointError
from srexp.training.experiment import Experiment
from srexp.training.materials import Materials, gather
from srexp.training.session import Session
from srexp.training.trained import load_upscaler

STEPS = 6


class Silent:
    """A display that draws nothing."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: Any) -> None: ...
    def evaluated(self, step: int, reports: Any) -> None: ...


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[0:26, 0:28]
    for number in range(3):
        wave = np.sin(rows * (0.3 + 0.1 * number)) * np.cos(columns * 0.4)
        picture = np.stack([wave, -wave, wave * 0.5], axis=2) * 100 + 128
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"p{number}.png")
        if number == 0:
            (folder / "val").mkdir()
            (folder / "p0.png").rename(folder / "val" / "p0.png")
    return compose(
        overrides=[
            "data=folder", f"data.train_dir={folder}", f"data.val_dir={folder / 'val'}",
            "benchmark=[]", "tracking=none", "protocol=rgb", "degradation.scale=2", "model=deconv",
            "schedule=cosine", "schedule.final_fraction=0.01", "model.depth=2", "model.filters=3",
            f"trainer.steps={STEPS}", "trainer.eval_every=2", "trainer.hr_patch_size=12",
            "trainer.batch_size=2", "trainer.jit_compile=false", "trainer.sample_grids=1",
            "trainer.ema=0.5", "optimizer.learning_rate=0.02",
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def experiment(values: dict[str, Any]) -> Experiment:
    return experiment_of(values)


@pytest.fixture(scope="module")
def materials(experiment: Experiment) -> Materials:
    return gather(experiment)


def session(
    folder: Path, values: dict[str, Any], experiment: Experiment, materials: Materials
) -> Session:
    run = RunFolder.create(folder, "deconv-x2", values, "")
    return Session(experiment, materials, run, Silent())


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
    values: dict[str, Any],
    experiment: Experiment,
    materials: Materials,
) -> Session:
    """A run without interruption, trained and not yet scored."""
    done = session(tmp_path_factory.mktemp("whole"), values, experiment, materials)
    assert done.train(lambda: None).reason == "done"
    return done


def file_of(run: RunFolder, which: str) -> Path:
    if which == "best":
        return checkpoint.best_path(run.checkpoints)
    return checkpoint.newest(run.checkpoints)[0]


def logged(run: RunFolder) -> dict[tuple[int, str], float]:
    """(step, metric) -> value, without those that the clock decides."""
    found: dict[tuple[int, str], float] = {}
    for point in run.points():
        for name, value in point["metrics"].items():
            if name not in ("train/images_per_second", "train/data_wait"):
                assert (point["step"], name) not in found, "logged twice"
                found[point["step"], name] = value
    return found


def test_a_run_stopped_and_continued_is_the_run_without_interruption(
    tmp_path: Path,
    values: dict[str, Any],
    experiment: Experiment,
    materials: Materials,
    whole: Session,
) -> None:
    first = session(tmp_path, values, experiment, materials)
    stop_at = 3
    calls = iter(range(1, 100))
    outcome = first.train(lambda: "stopped" if next(calls) == stop_at else None)
    assert (outcome.reason, outcome.progress.step) == ("stopped", stop_at)
    first.run.log(stop_at + 1, {"train/loss": 9.0})  # written before a crash, to be done again
    run = RunFolder.open(first.run.folder)
    assert run.info["progress"]["step"] == stop_at
    second = Session(experiment, materials, run, Silent())
    assert second.go_on() == []
    outcome = second.train(lambda: None)
    assert (outcome.reason, outcome.progress.step) == ("done", STEPS)
    for which in ("last", "best"):
        ours, theirs = (
            checkpoint.load(file_of(folder, which)) for folder in (second.run, whole.run)
        )
        for name, array in theirs[0].items():
            assert ours[0][name].tobytes() == array.tobytes(), name
        assert ours[1]["progress"]["best_score"] == theirs[1]["progress"]["best_score"]
    # The same losses and scores at the same steps.
    ours, theirs = logged(second.run), logged(whole.run)
    assert {step for step, _ in theirs} == {2, 4, 6}
    assert ours == theirs


def test_the_learning_rate_that_is_logged_is_the_schedules(whole: Session) -> None:
    """A cosine from 0.02 to a hundredth of it."""
    rates = {s: value for (s, name), value in logged(whole.run).items() if name.endswith("_rate")}
    assert sorted(rates) == [2, 4, 6]
    for step, value in rates.items():
        half = (1 + np.cos(np.pi * step / STEPS)) / 2
        assert value == pytest.approx(0.02 * (0.01 + 0.99 * half), rel=1e-4)


def test_scores_are_of_the_best_running_average_and_can_be_had_again(
    whole: Session, experiment: Experiment, materials: Materials
) -> None:
    (report,) = whole.score()
    _, meta = checkpoint.load(whole.run.checkpoints / "best.npz")
    assert report.mean(lambda row: row.score.psnr) == pytest.approx(
        meta["progress"]["best_score"], abs=1e-9
    )
    # model.keras holds the scored weights, not the raw ones.
    network = keras.models.load_model(whole.run.folder / "model.keras")
    upscaler, words, measured = load_upscaler(whole.run, experiment, "best")
    x = np.random.default_rng(0).random((1, 9, 11, 3), np.float32)
    assert upscaler.forward is not None
    np.testing.assert_allclose(upscaler.forward(x), np.asarray(network(x)), atol=1e-6)
    step = meta["progress"]["best_step"]
    assert words == f"best on val (step {step}), EMA"
    assert measured == whole.cost
    raw = whole.learner
    loop.load(whole.run.checkpoints / "best.npz", raw)
    assert np.abs(np.asarray(raw.network(x)) - upscaler.forward(x)).max() > 1e-5
    # The per-image file says the same as the report.
    task = materials.validation[0]
    path = whole.run.folder / "evaluations" / task.key / "final.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = {row["image"]: row for row in csv.DictReader(lines)}
    assert float(rows["p0"]["psnr"]) == pytest.approx(report.rows[0].score.psnr, abs=1e-4)


def test_the_last_weights_can_be_had_too(whole: Session, experiment: Experiment) -> None:
    upscaler, words, _ = load_upscaler(whole.run, experiment, "last")
    assert words == f"last (step {STEPS}), EMA"
    x = np.random.default_rng(1).random((1, 9, 11, 3), np.float32)
    outputs = {}
    for which in ("last", "best"):
        loop.load(file_of(whole.run, which), whole.learner)
        with whole.learner.scored_weights():
            outputs[which] = np.asarray(whole.learner.network(x))
    assert upscaler.forward is not None
    np.testing.assert_allclose(upscaler.forward(x), outputs["last"], atol=1e-6)
    assert (whole.run.info["progress"]["best_step"] == STEPS) is np.allclose(
        outputs["last"], outputs["best"], atol=1e-6
    )


def test_a_run_of_another_network_cannot_be_loaded(whole: Session, values: dict[str, Any]) -> None:
    deeper = experiment_of({**values, "model": {**values["model"], "depth": 3}})
    with pytest.raises(CheckpointError, match="of another network"):
        load_upscaler(whole.run, deeper, "best")


def test_the_run_folder_holds_what_it_should(whole: Session) -> None:
    folder = whole.run.folder
    assert json.loads((folder / "run.json").read_text())["progress"]["step"] == STEPS
    grids = list((folder / "grids").rglob("step-*.png"))
    assert sorted(path.stem for path in grids) == ["step-0000002", "step-0000004", "step-0000006"]


def test_images_of_one_name_are_each_drawn_at_the_same_depth(tmp_path):
    """MLflow gets what lies in an image's folder: with folders in its name it would lie deeper."""
    levels = np.random.default_rng(0).integers(0, 256, (4, 26, 28, 3), np.uint8)
    folders = [tmp_path / "A" / "HR", tmp_path / "B" / "HR"]
    for number, picture in enumerate(levels):
        folders[number % 2].mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folders[number % 2] / f"{number // 2}.png")
    session = begin(
        tmp_path / "out",
        tiny(
            tmp_path, f"data.train_dir=[{folders[0]},{folders[1]}]", "data.val_dir=null",
            "data.val_fraction=0.5", "trainer.steps=1", "trainer.eval_every=1",
            "trainer.sample_grids=4",
        ),
    )  # fmt: skip
    session.train(lambda: None)
    session.score()
    run = session.run
    run.release()
    names = list(session.materials.validation[0].images.images)
    assert {name[1:4] for name in names} == {"/HR"}
    assert len(list(run.folder.glob("grids/val_x2/rgb/*/final.png"))) == len(names) == 2
