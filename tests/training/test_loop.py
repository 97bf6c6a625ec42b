"""The loop with a learner made of counters: when it evaluates, saves, stops and gives up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from srexp.data.pipeline import Call
from srexp.options import OptionError
from srexp.training import checkpoint, loop
from srexp.training.loop import Diverged, Outcome, Progress, Window
from srexp.training.strategy import Strategy
from srexp.training.trainer import Trainer


def options(**changes: Any) -> Trainer:
    given = {
        "steps": 30, "max_minutes": None, "batch_size": 16, "hr_patch_size": 48, "augment": True,
        "eval_every": 10, "ema": None, "mixed_precision": False, "jit_compile": False,
        "threads": None, "sample_grids": 0, "dry_run": False,
    }  # fmt: skip
    return Trainer(**{**given, **changes})


class Clock:
    """Stands for the `time` module in the loop."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Counting:
    """A learner whose only weight is the number of steps done."""

    uses_ema = True
    strategy = Strategy()  # one device

    def __init__(self, done: int = 0, loss: Callable[[int], float] = lambda step: 1 / step) -> None:
        self.done, self.loss, self.scoring = done, loss, False
        self.batches: list[int] = []
        self.is_finite: Callable[[int], bool] = lambda step: True
        self.clock: Clock | None = None

    def steps(self, call: Call, first: int) -> dict[str, list[float]]:
        assert call.elements == (first,)
        losses = []
        for step in range(first, first + call.steps):
            self.batches.append(step)
            self.done += 1
            if self.clock:
                self.clock.now += 0.75
            losses.append(self.loss(self.done))
        done = [*range(first + 1, self.done + 1)]
        return {"loss": [*losses, math.nan], "done": [*done, -1]}  # more than what counts

    def arrays(self) -> dict[str, np.ndarray]:
        assert not self.scoring, "the average must not be saved in the place of the weights"
        return {"done": np.array(self.done)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        self.done = int(arrays["done"])

    def synchronise(self, step: int) -> None: ...

    def finite(self) -> bool:
        return self.is_finite(self.done)

    def learning_rate(self) -> float:
        return 0.1 / (1 + self.done)

    @contextmanager
    def scored_weights(self) -> Iterator[None]:
        self.scoring = True
        yield
        self.scoring = False


class Watching:
    """Keeps what it is told."""

    def __init__(
        self, learner: Counting, scores: Callable[[int], float], folder: Path, eval_every: int
    ) -> None:
        self.learner, self.scores, self.folder = learner, scores, folder
        self.eval_every = eval_every
        self.steps: list[int] = []
        self.windows: list[Window] = []
        self.evaluated: list[int] = []
        self.saves: list[int] = []

    def stepped(self, step: int) -> None:
        self.steps.append(step)

    def window(self, window: Window) -> None:
        self.windows.append(window)

    def evaluate(self, step: int) -> float:
        assert self.learner.scoring, "the running average is what is scored"
        assert self.learner.done == step
        self.evaluated.append(step)
        return self.scores(step)

    def saving(self) -> None:
        self.saves.append(-1)

    def saved(self, progress: Progress) -> None:
        path = checkpoint.step_path(self.folder, progress.step)
        kept = checkpoint.load(path)[1]["progress"]
        assert kept["step"] == progress.step
        if self.evaluated[-1:] != [progress.step] or progress.step % self.eval_every == 0:
            assert kept == vars(progress)
        else:  # of an evaluation that was not due what is gone on from knows nothing
            assert kept["best_step"] < progress.step
        assert self.saves.pop() == -1, "first flushed, then saved"
        self.saves.append(progress.step)


def numbered(first: int, trainer: Trainer, clock: Clock | None = None) -> Iterator[Call]:
    size = trainer.steps_per_call or 1
    while True:
        if clock:
            clock.now += 0.25
        end = min(first + size - first % size, trainer.steps)
        yield Call(end - first, (first,), lambda _: None)  # type: ignore[arg-type]
        first = end


def go(
    folder: Path,
    trainer: Trainer,
    *,
    progress: Progress | None = None,
    learner: Counting | None = None,
    scores: Callable[[int], float] = lambda step: 30 + step / 100,
    stop_at: int | None = None,
    clock: Clock | None = None,
) -> tuple[Outcome, Watching]:
    progress = progress or Progress()
    learner = learner or Counting(progress.step)
    learner.clock = clock
    watcher = Watching(learner, scores, folder, trainer.eval_every)
    outcome = loop.train(
        learner,  # type: ignore[arg-type]
        numbered(progress.step, trainer, clock),
        trainer,
        progress,
        folder=folder,
        identity={"run": "r1"},
        watcher=watcher,
        asked_to_stop=lambda: "stopped" if learner.done == stop_at else None,
    )
    return outcome, watcher


def last(folder: Path) -> Path:
    return checkpoint.newest(folder)[0]


def weights(folder: Path, which: str) -> int:
    path = last(folder) if which == "last" else folder / "best.npz"
    return int(checkpoint.load(path)[0]["done"])


@pytest.mark.parametrize(
    ("size", "windows"),
    [(1, [10, 20, 30, 36]), (3, [12, 24, 36]), (4, [12, 24, 36]), (12, [12, 24, 36]),
     (18, [18, 36])],
)  # fmt: skip
def test_several_steps_in_a_call_are_the_same_training(
    tmp_path: Path, size: int, windows: list[int]
) -> None:
    outcome, watcher = go(
        tmp_path, options(steps=40, eval_every=36, steps_per_call=size), stop_at=36
    )
    assert outcome.progress.step == 36 and watcher.learner.batches == list(range(36))
    assert [window.step for window in watcher.windows] == windows
    begun = 0
    for window in watcher.windows:  # the mean of its steps, and of nothing else
        steps = range(begun + 1, window.step + 1)
        assert window.scalars["done"] == np.mean(steps)
        assert window.loss == pytest.approx(np.mean([1 / step for step in steps]))
        begun = window.step


@pytest.mark.parametrize(
    ("steps", "every", "begun", "evaluated"),
    [
        (30, 10, 0, [10, 20, 30]),
        (25, 10, 0, [10, 20, 25]),
        (23, 7, 0, [7, 14, 21, 23]),
        (5, 100, 0, [5]),
        (4, 1, 0, [1, 2, 3, 4]),
        (30, 7, 12, [14, 21, 28, 30]),  # a resumed run keeps to the same boundaries
        (30, 7, 14, [21, 28, 30]),
    ],
)
def test_evaluates_at_multiples_and_at_the_end(
    tmp_path: Path, steps: int, every: int, begun: int, evaluated: list[int]
) -> None:
    outcome, watcher = go(
        tmp_path, options(steps=steps, eval_every=every), progress=Progress(step=begun)
    )
    assert watcher.evaluated == evaluated
    assert watcher.saves == evaluated
    assert watcher.steps == list(range(begun + 1, steps + 1))
    assert watcher.learner.batches == list(range(begun, steps))  # each batch once, in order
    assert outcome.reason == "done"
    assert outcome.progress.step == steps


def test_windows_tell_the_mean_loss_at_round_steps(tmp_path: Path) -> None:
    _, watcher = go(tmp_path, options(steps=23, eval_every=7), progress=Progress(step=2))
    ends = [7, 10, 14, 20, 21, 23]
    assert [window.step for window in watcher.windows] == ends
    for first, window in zip([2, *ends], watcher.windows, strict=False):
        losses = [1 / step for step in range(first + 1, window.step + 1)]
        assert window.loss == pytest.approx(np.mean(losses))
        assert window.scalars["done"] == pytest.approx((first + 1 + window.step) / 2)
        assert window.learning_rate == pytest.approx(0.1 / (1 + window.step))


def test_windows_tell_speed_and_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of 0.75 s after 0.25 s of waiting for its batch."""
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    outcome, watcher = go(tmp_path, options(steps=20, batch_size=16), clock=clock)
    for window in watcher.windows:
        assert window.images_per_second == pytest.approx(16.0)
        assert window.data_wait == pytest.approx(0.25)
    assert outcome.train_seconds == pytest.approx(20)
    assert outcome.data_wait_seconds == pytest.approx(5)


def test_seconds_add_up_over_continuations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    outcome, _ = go(
        tmp_path, options(steps=30), progress=Progress(step=20, seconds=500.0), clock=clock
    )
    assert outcome.progress.seconds == pytest.approx(510)
    assert checkpoint.load(last(tmp_path))[1]["progress"]["seconds"] == pytest.approx(510)


def test_the_best_weights_stay_when_later_ones_are_worse(tmp_path: Path) -> None:
    scores = {10: 31.0, 20: 32.5, 30: 32.5, 40: 30.0}
    outcome, _ = go(tmp_path, options(steps=40), scores=scores.__getitem__)
    assert weights(tmp_path, "best") == 20  # not 30: an equal score is no improvement
    assert weights(tmp_path, "last") == 40
    assert (outcome.progress.best_step, outcome.progress.best_score) == (20, 32.5)
    for which, step in (("best", 20), ("last", 40)):
        path = last(tmp_path) if which == "last" else tmp_path / "best.npz"
        meta = checkpoint.load(path)[1]
        assert meta["progress"]["step"] == step
        assert meta["progress"]["best_step"] == 20
        assert meta["run"] == "r1"
        assert meta["ema"] is True


def test_the_best_of_before_stands_after_a_continuation(tmp_path: Path) -> None:
    go(tmp_path, options(steps=20), scores={10: 33.0, 20: 31.0}.__getitem__)
    learner = Counting()
    progress = loop.load(last(tmp_path), learner)  # type: ignore[arg-type]
    assert (progress.step, progress.best_step, progress.best_score, learner.done) == (
        20,
        10,
        33,
        20,
    )
    go(tmp_path, options(steps=30), progress=progress, learner=learner, scores=lambda step: 32.0)
    assert weights(tmp_path, "best") == 10


@pytest.mark.parametrize(
    ("min_delta", "patience", "ends", "best"),
    [
        (0.0, 1, 30, 20),  # 30.2 at step 30 is the first that is not better
        (0.0, 2, 60, 40),
        (0.0, 3, None, 70),
        (0.25, 2, 40, 40),  # +0.1 at step 40 is the best and does not count
        (0.25, 1, 30, 20),
        (0.45, 2, 30, 20),  # steps 20 and 30 are no more than 0.4 better than step 10
        (0.45, 3, None, 70),  # step 40 is, in two small gains
        (0.0, None, None, 70),
    ],
)
def test_patience_and_min_delta_against_a_sequence_of_scores(
    tmp_path: Path, min_delta: float, patience: int | None, ends: int | None, best: int
) -> None:
    scores = {10: 30.0, 20: 30.4, 30: 30.2, 40: 30.5, 50: 30.5, 60: 30.4, 70: 32.0, 80: 31.0}
    given = options(steps=80, patience=patience, min_delta=min_delta)
    outcome, watcher = go(tmp_path, given, scores=scores.__getitem__)
    assert outcome.reason == ("patience" if ends else "done")
    assert outcome.progress.step == (ends or 80)
    assert watcher.evaluated == list(range(10, (ends or 80) + 1, 10))
    assert outcome.progress.best_step == weights(tmp_path, "best") == best
    assert outcome.progress.best_score == scores[best]


def test_patience_counts_over_a_continuation_and_can_be_taken_back(tmp_path: Path) -> None:
    scores = {10: 31.0, 20: 30.0, 30: 30.5, 40: 32.0}
    go(tmp_path, options(steps=40, patience=2), scores=scores.__getitem__, stop_at=23)
    learner = Counting()
    progress = loop.load(last(tmp_path), learner)  # type: ignore[arg-type]
    assert progress.stale == 1
    outcome, _ = go(
        tmp_path, options(steps=40, patience=2), progress=progress, learner=learner,
        scores=scores.__getitem__,
    )  # fmt: skip
    assert (outcome.reason, outcome.progress.step) == ("patience", 30)
    learner = Counting()
    progress = loop.load(last(tmp_path), learner)  # type: ignore[arg-type]
    outcome, _ = go(
        tmp_path, options(steps=40), progress=progress, learner=learner, scores=scores.__getitem__
    )
    assert (outcome.reason, outcome.progress.step, outcome.progress.best_step) == ("done", 40, 40)


@pytest.mark.parametrize("keep", [1, 2, 3, 5])
def test_so_many_of_the_newest_checkpoints_are_kept_beside_the_best(
    tmp_path: Path, keep: int
) -> None:
    scores = {10: 31.0, 20: 32.0, 30: 31.5, 40: 31.0}
    go(tmp_path, options(steps=40, keep_checkpoints=keep), scores=scores.__getitem__)
    steps = [40, 30, 20, 10][:keep]
    assert [path.name for path in checkpoint.newest(tmp_path)] == [
        f"step-{step:07d}.npz" for step in steps
    ]
    assert weights(tmp_path, "best") == 20


@pytest.mark.parametrize("worst", [math.nan, -math.inf])
def test_a_first_score_that_is_no_number_still_leaves_best_weights(
    tmp_path: Path, worst: float
) -> None:
    go(tmp_path, options(steps=10), scores=lambda step: worst)
    assert weights(tmp_path, "best") == 10
    outcome, _ = go(tmp_path, options(steps=30), scores=lambda step: worst if step < 20 else 20.0)
    assert outcome.progress.best_step == 20
    assert outcome.progress.best_score == 20.0


@pytest.mark.parametrize("stop_at", [1, 9, 13, 20])
def test_asked_to_stop_saves_exactly_there(tmp_path: Path, stop_at: int) -> None:
    outcome, watcher = go(tmp_path, options(), stop_at=stop_at)
    assert outcome.reason == "stopped"
    assert outcome.progress.step == stop_at
    assert watcher.learner.batches == list(range(stop_at))
    assert watcher.evaluated == [step for step in (10, 20) if step <= stop_at]
    assert watcher.saves[-1] == stop_at
    assert weights(tmp_path, "last") == stop_at
    # The window goes on in the next continuation.
    assert [window.step for window in watcher.windows] == [s for s in (10, 20) if s <= stop_at]
    kept = [1 / s for s in range(stop_at // 10 * 10 + 1, stop_at + 1)]
    assert outcome.progress.scalars.get("loss", []) == kept


def test_a_run_stopped_in_its_last_step_can_be_finished(tmp_path: Path) -> None:
    """Both times together it must have been evaluated at its end, or its end is never scored."""
    _, first = go(tmp_path, options(eval_every=100), stop_at=30)
    learner = Counting()
    progress = loop.load(last(tmp_path), learner)  # type: ignore[arg-type]
    outcome, second = go(tmp_path, options(eval_every=100), progress=progress, learner=learner)
    assert outcome.progress.step == 30
    assert first.evaluated + second.evaluated == [30]
    assert weights(tmp_path, "best") == 30


@pytest.mark.parametrize(("minutes", "last"), [(0.1, 7), (0.2, 13), (10.0, 30)])
def test_max_minutes_stops_after_that_time_and_evaluates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, last: int
) -> None:
    """Steps of one second: the first one beyond the limit is the last."""
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    outcome, watcher = go(
        tmp_path, options(max_minutes=minutes), progress=Progress(seconds=1e6), clock=clock
    )
    assert outcome.progress.step == last
    assert outcome.reason == ("done" if last == 30 else "max_minutes")
    assert watcher.evaluated[-1] == last
    assert weights(tmp_path, "last") == weights(tmp_path, "best") == last


@pytest.mark.parametrize(("extra", "best"), [(29.0, 10), (35.0, 13)])
def test_an_evaluation_that_is_not_due_is_no_part_of_what_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: float, best: int
) -> None:
    """It counts for what the run that its time ended is scored with, and for nothing later."""
    scores = {10: 31.0, 13: extra, 20: 30.0, 30: 30.5}.__getitem__
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    go(tmp_path, options(max_minutes=0.2), scores=scores, clock=clock)
    assert weights(tmp_path, "best") == best
    learner = Counting()
    progress, remarks = loop.load_newest(tmp_path, learner)  # type: ignore[arg-type]
    assert (progress.best_step, progress.best_score, progress.stale, remarks) == (10, 31.0, 0, [])
    assert weights(tmp_path, "best") == 10
    outcome, _ = go(
        tmp_path,
        options(patience=3),
        progress=progress,
        learner=learner,
        scores=scores,
        clock=clock,
    )
    assert (outcome.reason, outcome.progress.stale) == ("done", 2)
    assert weights(tmp_path, "best") == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.npz", "step-0000020.npz", "step-0000030.npz",
    ]  # fmt: skip


def test_what_was_stopped_where_its_patience_ended_has_ended(tmp_path: Path) -> None:
    scores = {10: 31.0, 20: 30.0}.__getitem__
    outcome, _ = go(tmp_path, options(patience=1), scores=scores, stop_at=20)
    assert (outcome.reason, outcome.progress.step) == ("stopped", 20)
    outcome, watcher = go(tmp_path, options(patience=1), progress=outcome.progress)
    assert (outcome.reason, outcome.progress.step, watcher.steps) == ("patience", 20, [])


def test_nothing_is_left_to_do(tmp_path: Path) -> None:
    outcome, watcher = go(tmp_path, options(), progress=Progress(step=30))
    assert outcome.reason == "done"
    assert watcher.steps == watcher.evaluated == watcher.saves == []


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("step", [1, 10, 11, 14, 20, 23])
def test_a_loss_that_is_no_number_ends_the_run_with_its_step(
    tmp_path: Path, bad: float, step: int
) -> None:
    learner = Counting(loss=lambda done: bad if done >= step else 1.0)
    learner.is_finite = lambda done: done < step
    with pytest.raises(Diverged, match=f"^the loss of step {step} is {bad}$"):
        go(tmp_path, options(steps=23), learner=learner)
    saved = (step - 1) // 10 * 10
    assert bool(checkpoint.newest(tmp_path)) is (saved > 0)
    if saved:
        assert weights(tmp_path, "last") == weights(tmp_path, "best") == saved


@pytest.mark.parametrize("stop_at", [None, 20])
def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path, stop_at: int | None) -> None:
    """The loss of a step is that of before it, so only the weights show the last step's ruin."""
    learner = Counting()
    learner.is_finite = lambda done: done < 20
    with pytest.raises(Diverged, match=r"a weight became NaN or infinite before step 20"):
        go(tmp_path, options(), learner=learner, stop_at=stop_at)
    assert weights(tmp_path, "last") == weights(tmp_path, "best") == 10


def test_a_real_learner_diverges_at_the_batch_with_a_hole(tmp_path: Path) -> None:
    """NaN in the data of step 5, with checkpoints after every second step."""
    import keras

    from srexp.losses.pixel import MSE
    from srexp.training.algorithms.supervised import supervised
    from srexp.training.optimizers import SGD
    from srexp.training.schedules import Constant

    inputs = keras.Input((None, None, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same")(inputs))
    optimizer = SGD(
        learning_rate=0.1, clip_norm=None, accumulate=1, momentum=0.9, nesterov=False
    ).build(Constant(), ema=0.9)
    learner = supervised(network, optimizer, MSE().build(channels=1, scale=2))

    def with_a_hole() -> Iterator[Call]:
        for step in range(1, 9):
            image = np.random.default_rng(step).random((1, 5, 5, 1), np.float32)
            image[0, 2, 2] = np.nan if step == 5 else 0.5
            pair = (tf.constant(image[None]),) * 2
            yield Call(1, pair, decode)

    def decode(elements: tuple[tf.Tensor, ...]) -> tuple[Any, tf.Tensor]:
        return elements[0], elements[1]

    watcher = SimpleNamespace(
        stepped=lambda step: None, window=lambda window: None, evaluate=lambda step: 30.0 + step,
        saving=lambda: None, saved=lambda progress: None,
    )  # fmt: skip
    with pytest.raises(Diverged, match=r"^the loss of step 5 is nan$"):
        loop.train(
            learner, with_a_hole(), options(steps=8, eval_every=2), Progress(), folder=tmp_path,
            identity={}, watcher=watcher, asked_to_stop=lambda: None,
        )  # fmt: skip
    assert not learner.finite()
    for path in (last(tmp_path), tmp_path / "best.npz"):
        arrays, meta = checkpoint.load(path)
        assert meta["progress"]["step"] == 4
        assert all(np.isfinite(array).all() for array in arrays.values())


def test_a_failed_save_reaches_the_caller_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    real, calls = os.replace, []

    def full_disk(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) > 2:  # best and last of step 10 went well
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        go(tmp_path, options())
    monkeypatch.undo()
    assert weights(tmp_path, "last") == weights(tmp_path, "best") == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.npz", "step-0000010.npz"]


@pytest.mark.parametrize(
    ("given", "gpu", "wanted"),
    [
        ({}, False, (False, 1)),
        ({}, True, (True, 10)),
        ({"eval_every": 4}, True, (True, 2)),
        ({"eval_every": 7}, True, (True, 1)),
        ({"strategy": "mirrored"}, True, (False, 1)),
        ({"jit_compile": False}, True, (False, 10)),
        ({"jit_compile": True}, False, (True, 1)),
        ({"steps_per_call": 5}, False, (False, 5)),
        ({"steps_per_call": 5, "jit_compile": True}, False, (True, 1)),
        ({"steps_per_call": 1}, True, (True, 1)),
    ],
)
def test_what_is_left_to_the_machine(
    given: dict[str, Any], gpu: bool, wanted: tuple[bool, int]
) -> None:
    settled = options(**{"jit_compile": None, **given}).settled(gpu=gpu)
    assert (settled.jit_compile, settled.steps_per_call) == wanted


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"steps_per_call": 3}, "steps_per_call=3: must divide eval_every=10"),
        ({"steps_per_call": 5, "strategy": "mirrored"}, "takes one at a time"),
    ],
)
def test_steps_that_cannot_be_called_together(given: dict[str, Any], line: str) -> None:
    with pytest.raises(OptionError, match=line):
        options(**given)
