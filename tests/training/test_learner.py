"""The compiled step, the state of a run, and going on from it bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from srexp.data.patches import PatchSampler, TrainingPair
from srexp.data.pipeline import Resident, Streamed, calls
from srexp.losses.base import LossFunction
from srexp.losses.pixel import MSE
from srexp.training import loop
from srexp.training.algorithms.supervised import supervised
from srexp.training.checkpoint import CheckpointError
from srexp.training.learner import Learner
from srexp.training.optimizers import SGD, Adam
from srexp.training.schedules import Constant, Cosine, Schedule


def mse(weight: float = 1.0) -> LossFunction:
    return MSE(weight=weight).weighted(channels=1, scale=2)


def sgd(**changes: object) -> SGD:
    options = {
        "learning_rate": 0.1, "clip_norm": None, "accumulate": 1, "momentum": 0.0,
        "nesterov": False,
    }  # fmt: skip
    return SGD(**{**options, **changes})


def adam(**changes: object) -> Adam:
    options = {
        "learning_rate": 0.01, "clip_norm": None, "accumulate": 1, "beta_1": 0.9, "beta_2": 0.999,
        "epsilon": 1e-7,
    }  # fmt: skip
    return Adam(**{**options, **changes})


def pixelwise(weight: float = 0.5, bias: float = 0.25, **options: object) -> keras.Model:
    """sr = weight * input + bias, so that everything can be done by hand."""
    inputs = keras.Input((None, None, 1))
    layer = keras.layers.Conv2D(1, 1, **options)
    network = keras.Model(inputs, layer(inputs))
    network.set_weights([np.full((1, 1, 1, 1), weight), np.array([bias])])
    return network


def noisy_network(rate: float = 0.3) -> keras.Model:
    """With a Dropout layer, whose seed state is part of a run."""
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu")(inputs)
    x = keras.layers.Dropout(rate, seed=9)(x)
    x = keras.layers.Conv2D(1, 1, dtype="float32")(x)
    return keras.Model(inputs, x)


def learner(
    network: keras.Model,
    options: SGD | Adam,
    *,
    schedule: Schedule | None = None,
    ema: float | None = None,
    jit_compile: bool = False,
    mixed_precision: bool = False,
) -> Learner:
    return supervised(
        network,
        options.build(schedule or Constant(), ema=ema),
        mse(),
        jit_compile=jit_compile,
        mixed_precision=mixed_precision,
    )


@pytest.fixture(scope="module")
def sampler() -> PatchSampler:
    hr = np.random.default_rng(0).random((20, 20, 1), np.float32)
    pair = TrainingPair("a", ((hr + np.roll(hr, 1, 0)) / 2,), hr)
    return PatchSampler([pair], scale=2, hr_patch_size=8, batch_size=2, augment=True, seed=1)


@pytest.fixture
def mixed_float16() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def loss_of(run: Learner, inputs: np.ndarray, hr: np.ndarray) -> float:
    return float(run.step(inputs, hr, 0)["loss"])


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((2, 4, 4, 1), np.float32)


def by_hand(
    weight: float, bias: float, x: np.ndarray, hr: np.ndarray
) -> tuple[float, float, float]:
    """MSE, and its derivatives by weight and bias."""
    error = weight * x.astype(np.float64) + bias - hr
    return float((error**2).mean()), float((2 * error * x).mean()), float((2 * error).mean())


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_step_gives_the_loss_before_it_and_moves_the_weights(jit_compile: bool) -> None:
    run = learner(pixelwise(), sgd(), jit_compile=jit_compile)
    x, hr = image(0), image(1)
    weight, bias = 0.5, 0.25
    for _ in range(3):
        loss, by_weight, by_bias = by_hand(weight, bias, x, hr)
        assert loss_of(run, x, hr) == pytest.approx(loss, rel=1e-5)
        weight, bias = weight - 0.1 * by_weight, bias - 0.1 * by_bias
        got = [float(np.ravel(w)[0]) for w in run.network.get_weights()]
        assert got == pytest.approx([weight, bias], rel=1e-5)


def test_a_weight_regulariser_of_the_network_counts() -> None:
    network = pixelwise(kernel_regularizer=keras.regularizers.L2(0.3))
    run = learner(network, sgd())
    x, hr = image(0), image(1)
    loss, by_weight, _ = by_hand(0.5, 0.25, x, hr)
    assert loss_of(run, x, hr) == pytest.approx(loss + 0.3 * 0.5**2, rel=1e-5)
    # d/dw of 0.3 w^2 is 0.6 w.
    wanted = 0.5 - 0.1 * (by_weight + 0.6 * 0.5)
    assert float(np.ravel(network.get_weights()[0])[0]) == pytest.approx(wanted, rel=1e-5)


def test_the_network_is_run_as_in_training() -> None:
    """Dropout of nearly everything: a training step sees zeros, scoring does not."""
    inputs = keras.Input((None, None, 1))
    network = keras.Model(inputs, keras.layers.Dropout(0.999, seed=1)(inputs))
    network = keras.Model(inputs, keras.layers.Conv2D(1, 1)(network(inputs)))
    network.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    x = np.full((2, 4, 4, 1), 0.5, np.float32)
    loss = loss_of(learner(network, sgd(learning_rate=1e-6)), x, x)
    assert loss == pytest.approx(0.25, rel=1e-3)  # 0.5 squared, not 0


def test_the_learning_rate_is_that_of_the_next_step() -> None:
    run = learner(pixelwise(), sgd(), schedule=Cosine(steps=4, warmup_steps=0, final_fraction=0.0))
    x, hr = image(0), image(1)
    rates = []
    for _ in range(5):
        rates.append(run.learning_rate())
        run.step(x, hr, 0)
    wanted = [0.1 * (1 + np.cos(np.pi * min(1, step / 4))) / 2 for step in range(5)]
    assert rates == pytest.approx(wanted, rel=1e-5, abs=1e-9)


def test_scored_weights_are_the_running_average_and_raw_ones_come_back() -> None:
    run = learner(pixelwise(), sgd(learning_rate=0.7), ema=0.8)
    x, hr = image(0), image(1)
    average = None
    for _ in range(5):
        run.step(x, hr, 0)
        raw = np.array([np.ravel(w)[0] for w in run.network.get_weights()], np.float64)
        average = raw if average is None else 0.8 * average + 0.2 * raw
    before = run.arrays()
    with run.scored_weights():
        scored = np.array([np.ravel(w)[0] for w in run.network.get_weights()])
        np.testing.assert_allclose(scored, average, rtol=1e-5)
        assert not np.allclose(scored, raw, rtol=1e-3)
    after = run.arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    # An evaluation that fails must not leave the average in their place.
    with pytest.raises(KeyError), run.scored_weights():
        raise KeyError
    assert all(np.array_equal(before[n], run.arrays()[n]) for n in before)
    # And training goes on as if nothing had been scored.
    other = learner(pixelwise(), sgd(learning_rate=0.7), ema=0.8)
    for _ in range(6):
        other.step(x, hr, 0)
    run.step(x, hr, 0)
    assert all(np.array_equal(value, run.arrays()[n]) for n, value in other.arrays().items())


def normalised() -> keras.Model:
    """With statistics of the batches: their moving means, of momentum 0.5."""
    inputs = keras.Input((None, None, 1))
    x = keras.layers.BatchNormalization(momentum=0.5, name="norm")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(1, 1)(x))


def test_statistics_of_batches_are_averaged_with_the_weights() -> None:
    """The average of the moving mean, by hand; else averaged weights meet others than their own."""
    run = learner(normalised(), sgd(learning_rate=0.1), ema=0.8)
    moving, average = 0.0, None
    for step in range(5):
        x = image(step) + step
        run.step(x, image(9), 0)
        moving = 0.5 * moving + 0.5 * float(x.mean(dtype=np.float64))
        average = moving if average is None else 0.8 * average + 0.2 * moving
    mean = run.network.get_layer("norm").moving_mean
    before = run.arrays()
    assert "model.averages/norm/moving_variance" in before
    assert float(np.asarray(mean)[0]) == pytest.approx(moving, rel=1e-5)
    with run.scored_weights():
        assert float(np.asarray(mean)[0]) == pytest.approx(average, rel=1e-5)
    assert all(np.array_equal(before[name], value) for name, value in run.arrays().items())
    # An older checkpoint, without them, goes on from the statistics themselves.
    older = {name: value for name, value in before.items() if ".averages/" not in name}
    other = learner(normalised(), sgd(learning_rate=0.1), ema=0.8)
    other.restore(older)
    with other.scored_weights():
        found = np.asarray(other.network.get_layer("norm").moving_mean)[0]
    assert float(found) == pytest.approx(moving, rel=1e-5)
    assert not learner(normalised(), sgd()).parts["model"].averages


def test_without_an_average_the_raw_weights_are_scored() -> None:
    run = learner(pixelwise(), sgd())
    run.step(image(0), image(1), 0)
    before = run.network.get_weights()
    with run.scored_weights():
        assert all(
            np.array_equal(a, b) for a, b in zip(before, run.network.get_weights(), strict=True)
        )
    assert not run.uses_ema


def test_arrays_are_a_copy() -> None:
    run = learner(pixelwise(), adam(), ema=0.9)
    run.step(image(0), image(1), 0)
    kept = run.arrays()
    copies = {name: array.copy() for name, array in kept.items()}
    for _ in range(3):
        run.step(image(2), image(3), 0)
    assert all(np.array_equal(kept[name], copies[name]) for name in kept)
    assert any(not np.array_equal(kept[name], run.arrays()[name]) for name in kept)


def resumed_equals_uninterrupted(
    tmp_path: Path,
    sampler: PatchSampler,
    total: int,
    at: int,
    per_call: int = 1,
    **options: object,
) -> dict[str, np.ndarray]:
    def new(seed: int) -> Learner:
        keras.utils.set_random_seed(seed)
        schedule = Cosine(steps=total, warmup_steps=2, final_fraction=0.1)
        return learner(noisy_network(), adam(), schedule=schedule, **options)  # type: ignore[arg-type]

    def go(run: Learner, first: int, last: int) -> list[float]:
        losses: list[float] = []
        for call in calls(sampler, first, last, Streamed(sampler), per_call):
            found = run.steps(call, first)["loss"].numpy()
            losses += map(float, found[: call.steps])
            first += call.steps
        return losses

    whole = new(seed=2)
    go(whole, 0, at)
    loop.save(tmp_path / "step-0000001.npz", whole, loop.Progress(step=at), {"run": "r"})
    losses = go(whole, at, total)
    continued = new(seed=3)  # other weights, and a step done: the checkpoint decides alone
    go(continued, 0, 1)
    progress = loop.load(tmp_path / "step-0000001.npz", continued)
    assert progress.step == at
    assert go(continued, progress.step, total) == losses
    one, other = whole.arrays(), continued.arrays()
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name
    return one


def test_resume_with_average_dropout_and_xla_is_bit_for_bit(
    tmp_path: Path, sampler: PatchSampler
) -> None:
    arrays = resumed_equals_uninterrupted(tmp_path, sampler, 7, 3, ema=0.9, jit_compile=True)
    # Four weights and the seed's state; iterations, learning rate, and m, v, average for each.
    assert sum(name.startswith("model/") for name in arrays) == 5
    assert sum(name.startswith("model.optimizer/") for name in arrays) >= 1 + 3 * 4


@pytest.mark.parametrize("jit_compile", [False, True])
def test_resume_with_several_steps_a_call_is_bit_for_bit(
    tmp_path: Path, sampler: PatchSampler, jit_compile: bool
) -> None:
    resumed_equals_uninterrupted(
        tmp_path, sampler, 11, 5, per_call=4, ema=0.9, jit_compile=jit_compile
    )


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_several_steps_a_call_are_the_same_steps(
    sampler: PatchSampler, request: pytest.FixtureRequest, mixed_precision: bool
) -> None:
    if mixed_precision:
        request.getfixturevalue("mixed_float16")
    found = []
    for per_call in (1, 4):
        keras.utils.set_random_seed(1)
        run = learner(noisy_network(), adam(), ema=0.9, mixed_precision=mixed_precision)
        first = 0
        losses: list[float] = []
        for call in calls(sampler, 0, 10, Resident(sampler), per_call):
            losses += run.steps(call, first)["loss"].numpy()[: call.steps].tolist()
            first += call.steps
        found.append((losses, {name: a.tobytes() for name, a in run.arrays().items()}))
    assert found[0] == found[1]
    assert len(found[0][0]) == 10


def test_resume_in_mixed_precision_is_bit_for_bit(
    tmp_path: Path, sampler: PatchSampler, mixed_float16: None
) -> None:
    resumed_equals_uninterrupted(tmp_path, sampler, 5, 2, ema=0.9, mixed_precision=True)


def test_gradients_too_small_for_float16_survive_by_scaling(mixed_float16: None) -> None:
    """float16 ends at 6e-8; these gradients are 1.25e-9 a pixel before they are scaled."""
    network = pixelwise(weight=1.0, bias=0.0)
    run = supervised(
        network,
        sgd(learning_rate=1000.0).build(Constant(), ema=None),
        mse(weight=1e-5),
        mixed_precision=True,
    )
    x = np.full((2, 4, 4, 1), 0.5, np.float32)
    run.step(x, x + np.float32(2e-3), 0)
    # d/db 1e-5 (sr - hr)^2 = -4e-8, times the learning rate.
    assert float(network.get_weights()[1][0]) == pytest.approx(4e-5, rel=0.02)
    assert run.learning_rate() == pytest.approx(1000)


def test_mixed_precision_scores_the_average_too(mixed_float16: None) -> None:
    run = learner(pixelwise(), sgd(learning_rate=0.7), ema=0.5, mixed_precision=True)
    average = None
    for seed in range(4):
        run.step(image(seed), image(seed + 9), 0)
        raw = np.array([np.ravel(w)[0] for w in run.network.get_weights()], np.float64)
        average = raw if average is None else 0.5 * average + 0.5 * raw
    with run.scored_weights():
        scored = np.array([np.ravel(w)[0] for w in run.network.get_weights()])
    np.testing.assert_allclose(scored, average, rtol=1e-4)
    np.testing.assert_array_equal([np.ravel(w)[0] for w in run.network.get_weights()], raw)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: learner(pixelwise(), sgd()), "of another network or optimizer"),
        (lambda: learner(pixelwise(), adam(), ema=0.9), "of another network or optimizer"),
        (lambda: learner(noisy_network(), adam()), "of another network or optimizer"),
    ],
)
def test_a_checkpoint_of_another_network_or_optimizer_is_refused(other, message: str) -> None:
    arrays = learner(pixelwise(), adam()).arrays()
    with pytest.raises(CheckpointError, match=message):
        other().restore(arrays)


def test_a_checkpoint_of_another_width_is_refused_with_both_shapes() -> None:
    def of(filters: int) -> Learner:
        inputs = keras.Input((None, None, 1))
        x = keras.layers.Conv2D(filters, 3, padding="same")(inputs)
        return learner(keras.Model(inputs, keras.layers.Conv2D(1, 1)(x)), adam())

    with pytest.raises(CheckpointError, match=r"\(3, 3, 1, 4\) in the checkpoint .*\(3, 3, 1, 5\)"):
        of(5).restore(of(4).arrays())


@pytest.mark.parametrize("mixed_precision", [False, True])
def test_a_layer_has_a_learning_rate_of_its_own(mixed_precision: bool) -> None:
    """Two 1x1 layers: sr = v (w x), so that each one's step can be done by hand."""
    inputs = keras.Input((None, None, 1))
    first = keras.layers.Conv2D(1, 1, use_bias=False, name="first")
    last = keras.layers.Conv2D(1, 1, use_bias=False, name="last")
    network = keras.Model(inputs, last(first(inputs)))
    network.set_weights([np.full((1, 1, 1, 1), 0.5), np.full((1, 1, 1, 1), 0.8)])
    run = supervised(
        network,
        sgd(learning_rate=0.1).build(Constant(), ema=None),
        mse(),
        rates={"last": 0.01},
        mixed_precision=mixed_precision,
    )
    x, hr = image(0), image(1)
    error = 0.4 * x.astype(np.float64) - hr
    run.step(x, hr, 0)
    w, v = (float(np.ravel(weight)[0]) for weight in network.get_weights())
    assert w == pytest.approx(0.5 - 0.1 * float((2 * error * 0.8 * x).mean()), rel=1e-5)
    assert v == pytest.approx(0.8 - 0.001 * float((2 * error * 0.5 * x).mean()), rel=1e-6)


def test_a_rate_of_a_layer_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no layer conv_9"):
        supervised(pixelwise(), sgd().build(Constant(), ema=None), mse(), rates={"conv_9": 0.1})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_finite_looks_at_every_weight(bad: float) -> None:
    run = learner(pixelwise(), sgd())
    assert run.finite()
    run.network.set_weights([np.full((1, 1, 1, 1), 0.5), np.array([bad])])
    assert not run.finite()
