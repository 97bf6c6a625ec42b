"""A run that was cut off, however, ends as the one that was not: the same bits and figures."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests_session import begin, finish, go_on, killed_at, logged, pictures, state, stop_at, tiny

from srexp.tracking.record import RunFolder
from srexp.training import checkpoint, loop
from srexp.training.checkpoint import CheckpointError
from srexp.training.materials import gather

# The process that others are forked from serves other tests too, which expect this.
PRELOAD = ["srexp.launching.preload"]
CONFIGURATIONS = {
    "ema": ("trainer.ema=0.9", "seed=5"),  # each evaluation is better than the one before
    "accumulate": ("optimizer.accumulate=3",),
    "patience": ("trainer.patience=1", "trainer.min_delta=0.5", "trainer.steps=200", "seed=3"),
}


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    folder = pictures(tmp_path_factory.mktemp("pictures"))
    composed = {name: tiny(folder, *given) for name, given in CONFIGURATIONS.items()}
    return composed.__getitem__


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory, values: Callable[[str], dict[str, Any]]
) -> Callable[[str], dict[str, Any]]:
    """The state of a run that nothing cut off."""
    sessions = {name: begin(tmp_path_factory.mktemp(name), values(name)) for name in CONFIGURATIONS}
    reasons = {name: session.train(lambda: None).reason for name, session in sessions.items()}
    assert reasons == {"ema": "done", "accumulate": "done", "patience": "patience"}
    for session in sessions.values():
        session.run.release()
    return {name: state(session.run) for name, session in sessions.items()}.__getitem__


def test_what_is_compared_is_there(whole: Any) -> None:
    points = whole("ema")["logged"]
    for name in ("train/loss", "train/learning_rate", "val_x2/rgb/psnr", "val_x2/rgb/ssim"):
        assert [step for step, key, _ in points if key == name] == [10, 20, 30], name
    assert whole("ema")["names"] == ["step-0000030.npz", "step-0000020.npz"]
    assert whole("ema")["newest"][0].best_step > 0
    assert whole("ema")["newest"] != whole("accumulate")["newest"]


@pytest.mark.parametrize(("kind", "steps"), [("ema", [3, 13, 20]), ("accumulate", [11, 29])])
def test_stopped_by_ctrl_c_in_the_middle_of_a_window(
    tmp_path: Path, values: Any, whole: Any, kind: str, steps: list[int]
) -> None:
    """Stopped at each of the steps in turn; a sum of gradients is in the middle too."""
    session = begin(tmp_path, values(kind))
    for step in steps:
        run = stop_at(session, step)
        assert checkpoint.newest(run.checkpoints)[0].name == f"step-{step:07d}.npz"
        session, remarks = go_on(run.folder)
        assert (session.progress.step, remarks) == (step, [])
    ended = state(finish(session))
    # A checkpoint of where it was stopped may be one of the newest.
    assert ended.pop("names")[0] == whole(kind)["names"][0]
    assert ended == {key: value for key, value in whole(kind).items() if key != "names"}


@pytest.mark.parametrize(
    ("kind", "steps"), [("ema", [5]), ("ema", [13, 24]), ("ema", [10, 27]), ("patience", [15, 17])]
)
def test_ended_by_its_time(
    tmp_path: Path,
    values: Any,
    whole: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    steps: list[int],
) -> None:
    """A step a minute: each end is scored at once, and the run goes on as if there was none."""
    session = begin(tmp_path, values(kind))
    for step in steps:
        monkeypatch.setattr(
            loop, "time", SimpleNamespace(perf_counter=lambda s=session: 60.0 * s.progress.step)
        )
        minutes = step - session.progress.step - 0.5
        session.experiment.trainer.max_minutes = minutes
        outcome = session.train(lambda: None)
        assert (outcome.reason, outcome.progress.step) == ("max_minutes", step)
        (report,) = session.score()
        assert f"step {checkpoint_step(session.run)}" in report.weights
        assert report.gain.mean >= max(
            value
            for at, name, value in logged(session.run)
            if name == "val_x2/rgb/psnr_gain" and (at == step or at % 10 == 0)
        ), "scored with the best weights that there are"  # fmt: skip
        session.run.release()
        session, remarks = go_on(session.run.folder)
        assert (session.progress.step, remarks) == (step, [])
    monkeypatch.undo()
    reason = session.train(lambda: None).reason
    assert reason == ("patience" if kind == "patience" else "done")
    ended = state(session.run)
    extra = [step for step in steps if step % 10]
    ended["logged"] = [
        point
        for point in ended["logged"]
        if not (point[0] in extra and point[1].startswith(("val", "train/dead_units")))
    ]
    assert ended.pop("names")[0] == whole(kind)["names"][0]
    assert ended == {key: value for key, value in whole(kind).items() if key != "names"}


def checkpoint_step(run: RunFolder) -> int:
    return int(checkpoint.load(checkpoint.best_path(run.checkpoints))[1]["progress"]["step"])


MOMENTS = [
    ("metrics", 3, "half"),  # the losses of step 20, half a line of them
    ("step-0000020.npz", 1, "after"),  # best.npz may be of another step
    ("step-0000030.csv", 1, "after"),  # scored, and not yet saved
]
MORE_MOMENTS = [
    ("metrics", 4, "half"),
    ("metrics", 6, "half"),
    ("step-0000010.npz", 1, "before"),
    ("step-0000020.npz", 1, "before"),
    ("best.npz", 1, "before"),
    ("best.npz", 2, "after"),
    ("step-0000030.npz", 1, "after"),
]


@pytest.mark.parametrize(
    "moments", [MOMENTS, pytest.param(MORE_MOMENTS, marks=pytest.mark.slow)], ids=["three", "more"]
)
def test_killed_at_any_moment(tmp_path: Path, values: Any, whole: Any, moments: Any) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    began = []
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number)
        process = context.Process(target=killed_at, args=(str(folder), values("ema"), *moment))
        process.start()
        began.append((moment, folder, process))
    for moment, folder, process in began:
        process.join()
        assert process.exitcode == -9, (moment, process.exitcode)
        (run,) = folder.iterdir()
        assert RunFolder.open(run).info["status"] == "RUNNING"
        session, remarks = go_on(run)
        assert remarks == [], moment
        assert session.progress.step in (0, 10, 20, 30), moment
        ended = state(finish(session))
        del ended["names"][2:]  # after the last step nobody is left to remove an old one
        assert ended == whole("ema"), moment


# Damaged checkpoints.


@pytest.fixture
def stopped(tmp_path: Path, values: Any) -> RunFolder:
    """A run with the checkpoints of steps 20 and 25."""
    return stop_at(begin(tmp_path, values("ema")), 25)


def flip(path: Path, at: float = 0.5) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


@pytest.mark.parametrize("damage", [flip, cut])
def test_the_newest_is_damaged(
    stopped: RunFolder, whole: Any, damage: Callable[[Path], None]
) -> None:
    newest = stopped.checkpoints / "step-0000025.npz"
    damage(newest)
    session, (remark,) = go_on(stopped.folder)
    assert remark.startswith(f"{newest}: ") and "an older checkpoint is used" in remark
    assert session.progress.step == 20
    assert state(finish(session)) == whole("ema")


def test_the_damaged_one_is_not_kept_in_place_of_a_sound_one(stopped: RunFolder) -> None:
    flip(stopped.checkpoints / "step-0000025.npz")
    session, _ = go_on(stopped.folder, keep_checkpoints=1)
    run = stop_at(session, 22)
    assert [path.name for path in checkpoint.newest(run.checkpoints)] == ["step-0000022.npz"]
    session, remarks = go_on(run.folder)
    assert (session.progress.step, remarks) == (22, [])


def test_the_best_is_damaged_and_made_again(stopped: RunFolder, whole: Any) -> None:
    best = checkpoint.best_path(stopped.checkpoints)
    whole_best = best.read_bytes()
    same = checkpoint.load(best)[1]["progress"]["step"]
    assert (stopped.checkpoints / f"step-{same:07d}.npz").exists(), "the seed must allow the test"
    flip(best)
    session, (remark,) = go_on(stopped.folder)
    assert remark.startswith(f"{best}: ") and f"made again from step-{same:07d}.npz" in remark
    assert best.read_bytes() == whole_best
    assert state(finish(session))["best"] == whole("ema")["best"]


def test_the_best_is_lost_with_its_step(stopped: RunFolder) -> None:
    best = checkpoint.best_path(stopped.checkpoints)
    step = checkpoint.load(best)[1]["progress"]["step"]
    flip(best)
    (stopped.checkpoints / f"step-{step:07d}.npz").unlink()
    session, (remark,) = go_on(stopped.folder)
    assert f"the best weights, of step {step}, are lost" in remark
    assert session.progress.best_step == -1 and not best.exists()
    ended = finish(session)
    assert checkpoint.load(best)[1]["progress"]["step"] == 30
    assert ended.info["progress"]["best_step"] == 30


def test_the_best_is_newer_than_the_newest_sound_one(
    tmp_path: Path, values: Any, whole: Any
) -> None:
    """Killed at step 20 with step-20 damaged: its copy is the best, and is gone on with."""
    run = stop_at(begin(tmp_path, values("ema")), 20)
    assert checkpoint.load(checkpoint.best_path(run.checkpoints))[1]["progress"]["step"] == 20, (
        "the seed must allow the test"
    )
    flip(run.checkpoints / "step-0000020.npz")
    session, (remark,) = go_on(run.folder)
    assert "step-0000020.npz" in remark
    assert session.progress.step == 20
    assert state(finish(session))["newest"] == whole("ema")["newest"]


def test_all_are_damaged(stopped: RunFolder) -> None:
    files = sorted(stopped.checkpoints.iterdir())
    for path in files:
        flip(path)
    before = {path: path.read_bytes() for path in stopped.folder.rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError) as caught:
        go_on(stopped.folder)
    assert "\n" not in str(caught.value)
    assert all(path.name in str(caught.value) for path in files if path.name != "best.npz")
    assert before == {
        path: path.read_bytes() for path in stopped.folder.rglob("*") if path.is_file()
    }


# Options of the loop, with a real learner.


def test_what_stands_in_run_json_is_what_was_saved(tmp_path: Path, values: Any) -> None:
    """Not what has been done since: the thread that writes to MLflow notes things meanwhile."""
    session = begin(tmp_path, values("ema"))

    def look() -> None:
        if session.progress.step == 17:
            session.run.update(noted=True)
            assert RunFolder.open(session.run.folder).info["progress"]["step"] == 10

    session.train(lambda: look())  # type: ignore[func-returns-value]


def test_distinct_batches_repeat(values: Any) -> None:
    from srexp.config.settings import experiment_of

    given = values("ema")
    trainer = {**given["trainer"], "distinct_batches": 2}
    few = gather(experiment_of({**given, "trainer": trainer})).sampler
    new = gather(experiment_of(given)).sampler
    for step in range(5):
        for ours, theirs in zip(few.batch(step), new.batch(step % 2), strict=True):
            assert ours.tobytes() == theirs.tobytes()
    assert few.batch(2)[0].tobytes() != new.batch(2)[0].tobytes()


def test_monitor_ssim_chooses_by_ssim(tmp_path: Path, values: Any) -> None:
    given = values("accumulate")
    session = begin(
        tmp_path, {**given, "trainer": {**given["trainer"], "monitor": "ssim", "eval_every": 5}}
    )
    run = finish(session)
    scores = {step: value for step, key, value in logged(run) if key == "val_x2/rgb/ssim"}
    best = max(scores, key=lambda step: scores[step])
    assert run.info["progress"]["best_score"] == scores[best]
    assert run.info["progress"]["best_step"] == best
    assert checkpoint.load(checkpoint.best_path(run.checkpoints))[1]["progress"]["step"] == best


def test_another_runs_average_is_what_a_run_starts_from(tmp_path: Path, values: Any) -> None:
    """The scored weights of the source are its running average, not the raw ones."""
    import numpy as np

    from srexp.config.settings import experiment_of
    from srexp.training.trained import scored_weights

    source = begin(tmp_path / "source", values("ema"))
    run = finish(source)
    loop.load(checkpoint.best_path(run.checkpoints), source.learner)
    raw = source.learner.arrays()
    with source.learner.scored_weights():
        averages = [np.asarray(v) for v in source.learner.network.trainable_variables]
    weights = scored_weights(run, experiment_of(values("ema")))
    for kind in ("ema", "accumulate"):
        new = begin(tmp_path / kind, values(kind))
        new.start_from(weights)
        began = [np.asarray(v) for v in new.learner.network.trainable_variables]
        for ours, theirs in zip(began, averages, strict=True):
            assert ours.tobytes() == theirs.tobytes()
        assert any(
            array.tobytes() != raw[name].tobytes()
            for name, array in new.learner.arrays().items()
            if name.startswith("model/")
        )
        assert int(new.learner.optimizer.iterations) == 0
        assert new.progress.step == 0
