"""Steps of each optimizer on a quadratic against the papers' algorithms in NumPy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from srexp.options import OptionError
from srexp.training.optimizers import SGD, Adam, AdamW, Lamb, Lion, Optimizer, RMSprop
from srexp.training.schedules import Constant, Cosine, Schedule

# The loss is sum(a (w - t)^2) / 2, so that the gradient is a (w - t).
START = np.array([1.0, -2.0, 0.5, 3.0])
CURVATURE = np.array([1.0, 0.5, 2.0, 0.1])
TARGET = np.array([0.0, 1.0, 0.5001, -1.0])
EPSILON = 1e-8


def gradient(w: np.ndarray) -> np.ndarray:
    return CURVATURE * (w - TARGET)


def common(**changes: Any) -> dict[str, Any]:
    return {"learning_rate": 0.1, "clip_norm": None, "accumulate": 1, **changes}


def sgd(**changes: Any) -> SGD:
    return SGD(**{**common(), "momentum": 0.0, "nesterov": False, **changes})


def adam(**changes: Any) -> Adam:
    return Adam(**{**common(), "beta_1": 0.9, "beta_2": 0.99, "epsilon": EPSILON, **changes})


def adamw(**changes: Any) -> AdamW:
    options = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": EPSILON, "weight_decay": 0.04}
    return AdamW(**{**common(), **options, **changes})


def run(options: Optimizer, steps: int, schedule: Schedule | None = None) -> list[np.ndarray]:
    """The weights after each step."""
    optimizer = options.build(schedule or Constant(), ema=None)
    variable = keras.Variable(START, dtype="float32")
    optimizer.build([variable])
    path = []
    for _ in range(steps):
        slope = gradient(np.asarray(variable, np.float64))
        optimizer.apply([keras.ops.convert_to_tensor(slope, "float32")], [variable])
        path.append(np.array(variable, np.float64))
    return path


def check(path: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    np.testing.assert_allclose(path, wanted, rtol=2e-5, atol=2e-6)


def test_sgd() -> None:
    first = START - 0.1 * gradient(START)
    check(run(sgd(), 2), [first, first - 0.1 * gradient(first)])


def test_sgd_with_momentum() -> None:
    """Polyak, 1964: v = momentum v - rate g; w = w + v."""
    velocity = -0.1 * gradient(START)
    first = START + velocity
    velocity = 0.9 * velocity - 0.1 * gradient(first)
    check(run(sgd(momentum=0.9), 2), [first, first + velocity])


def test_sgd_with_nesterov_momentum() -> None:
    """Sutskever et al., 2013, in the form that uses the gradient at the weights themselves."""
    w, velocity, wanted = START, np.zeros(4), []
    for _ in range(3):
        slope = gradient(w)
        velocity = 0.9 * velocity - 0.1 * slope
        w = w + 0.9 * velocity - 0.1 * slope
        wanted.append(w)
    check(run(sgd(momentum=0.9, nesterov=True), 3), wanted)


def adam_by_the_paper(
    steps: int, *, rate: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.99, decay: float = 0.0
) -> list[np.ndarray]:
    """Kingma and Ba, 2015, section 2, last formula: epsilon is added before v is corrected.

    With decay Loshchilov and Hutter, 2019, algorithm 2.
    """
    w, m, v, path = START, np.zeros(4), np.zeros(4), []
    for t in range(1, steps + 1):
        slope = gradient(w)
        m = beta_1 * m + (1 - beta_1) * slope
        v = beta_2 * v + (1 - beta_2) * slope**2
        rate_t = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        w = w - rate_t * m / (np.sqrt(v) + EPSILON) - rate * decay * w
        path.append(w)
    return path


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient() -> None:
    (first,) = run(adam(), 1)
    np.testing.assert_allclose(START - first, 0.1 * np.sign(gradient(START)), rtol=1e-3)


@pytest.mark.parametrize("betas", [(0.9, 0.99), (0.5, 0.999), (0.0, 0.9)])
def test_adam(betas: tuple[float, float]) -> None:
    beta_1, beta_2 = betas
    options = adam(beta_1=beta_1, beta_2=beta_2)
    check(run(options, 5), adam_by_the_paper(5, beta_1=beta_1, beta_2=beta_2))


def test_a_large_epsilon_damps_adam() -> None:
    """The first step is rate g / (|g| + e) with e = epsilon / sqrt(1 - beta_2)."""
    slope = gradient(START)
    damped = slope / (np.abs(slope) + 0.3 / np.sqrt(1 - 0.99))
    check(run(adam(epsilon=0.3), 1), [START - 0.1 * damped])


def test_adamw_decays_the_weights_apart_from_the_gradient() -> None:
    check(run(adamw(), 5), adam_by_the_paper(5, decay=0.04))
    check(run(adamw(weight_decay=0.0), 5), adam_by_the_paper(5))


def test_adamw_without_a_gradient_shrinks_by_rate_times_decay() -> None:
    optimizer = adamw().build(Constant(), ema=None)
    variable = keras.Variable(START, dtype="float32")
    optimizer.build([variable])
    optimizer.apply([keras.ops.zeros(4)], [variable])
    np.testing.assert_allclose(np.asarray(variable), START * (1 - 0.1 * 0.04), rtol=1e-6)


@pytest.mark.parametrize("clip_norm", [None, 0.5, 13.0, 100.0])
def test_clipping_is_by_the_norm_of_all_gradients_together(clip_norm: float | None) -> None:
    """Pascanu et al., 2013: g min(1, clip / |g|), |g| over every variable."""
    slopes = [np.array([3.0, 0.0]), np.array([[4.0], [12.0]])]  # together 13 long
    optimizer = sgd(clip_norm=clip_norm).build(Constant(), ema=None)
    variables = [keras.Variable(np.zeros_like(slope), dtype="float32") for slope in slopes]
    optimizer.build(variables)
    optimizer.apply([keras.ops.convert_to_tensor(s, "float32") for s in slopes], variables)
    shrink = min(1.0, (clip_norm or 13.0) / 13.0)
    for variable, slope in zip(variables, slopes, strict=True):
        np.testing.assert_allclose(np.asarray(variable), -0.1 * shrink * slope, rtol=1e-5)


def lion(**changes: Any) -> Lion:
    return Lion(**{**common(), "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.04, **changes})


def lamb(**changes: Any) -> Lamb:
    return Lamb(**{**common(), "beta_1": 0.9, "beta_2": 0.99, "epsilon": EPSILON, **changes})


def rmsprop(**changes: Any) -> RMSprop:
    return RMSprop(**{**common(), "rho": 0.9, "momentum": 0.8, "epsilon": EPSILON, **changes})


def test_lion() -> None:
    """Chen et al., 2023, algorithm 2: the sign of a mean, and another momentum for that mean."""
    w, m, wanted = START, np.zeros(4), []
    for _ in range(5):
        slope = gradient(w)
        w = w - 0.1 * (np.sign(0.9 * m + 0.1 * slope) + 0.04 * w)
        m = 0.99 * m + 0.01 * slope
        wanted.append(w)
    check(run(lion(), 5), wanted)


def test_lamb() -> None:
    """You et al., 2020, algorithm 2, without decay: each step is as long as rate times |w|."""
    w, m, v, wanted = START, np.zeros(4), np.zeros(4), []
    for t in range(1, 6):
        slope = gradient(w)
        m, v = 0.9 * m + 0.1 * slope, 0.99 * v + 0.01 * slope**2
        ratio = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + EPSILON)
        w = w - 0.1 * np.linalg.norm(w) / np.linalg.norm(ratio) * ratio
        wanted.append(w)
    check(run(lamb(), 5), wanted)


def test_rmsprop() -> None:
    w, v, velocity, wanted = START, np.zeros(4), np.zeros(4), []
    for _ in range(5):
        slope = gradient(w)
        v = 0.9 * v + 0.1 * slope**2
        velocity = 0.8 * velocity + 0.1 * slope / np.sqrt(v + EPSILON)
        w = w - velocity
        wanted.append(w)
    check(run(rmsprop(), 5), wanted)


def test_a_value_is_clipped_by_itself() -> None:
    clipped = np.clip(gradient(START), -0.3, 0.3)
    check(run(sgd(clip_value=0.3), 1), [START - 0.1 * clipped])
    assert (np.abs(gradient(START)) > 0.3).any()
    with pytest.raises(OptionError, match=r"^clip_value=0\.3: must be null where clip_norm is not"):
        sgd(clip_value=0.3, clip_norm=0.1)


def test_a_value_is_clipped_over_the_rate() -> None:
    """VDSR, section 3.2: to ±θ/γ, so that a step of SGD is at most θ, whatever the rate γ is."""
    w, wanted = START, []
    schedule = Cosine(steps=4, warmup_steps=0, final_fraction=0.0)
    rates = [0.1 * 0.5 * (1 + np.cos(np.pi * step / 4)) for step in range(3)]
    for rate in rates:
        w = w - rate * np.clip(gradient(w), -0.03 / rate, 0.03 / rate)
        wanted.append(w)
    path = run(sgd(clip_value_over_rate=0.03), 3, schedule)
    check(path, wanted)
    assert (np.abs(np.diff([START, *path], axis=0)) < 0.03 + 1e-6).all()
    assert (np.abs(gradient(START)) > 0.3).any()
    with pytest.raises(OptionError, match=r"^clip_value_over_rate=1\.0: must be null"):
        sgd(clip_value_over_rate=1.0, clip_value=0.3)


@pytest.mark.parametrize("make", [sgd, adam, adamw, lion, lamb, rmsprop])
def test_accumulating_is_a_step_with_the_mean_gradient(make: Any) -> None:
    slopes = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)

    def weights(accumulate: int, given: np.ndarray) -> list[np.ndarray]:
        options = make(accumulate=accumulate, clip_norm=0.7)
        optimizer = options.build(Constant(), ema=None)
        variable = keras.Variable(START, dtype="float32")
        optimizer.build([variable])
        path = []
        for slope in given:
            optimizer.apply([keras.ops.convert_to_tensor(slope)], [variable])
            path.append(np.array(variable))
        return path

    three = weights(3, slopes)
    means = weights(1, slopes.reshape(2, 3, 4).mean(axis=1))
    np.testing.assert_array_equal(three[:2], [START.astype(np.float32)] * 2)  # nothing moves yet
    np.testing.assert_allclose(three[2], means[0], rtol=1e-5)
    np.testing.assert_array_equal(three[3:5], [three[2]] * 2)
    np.testing.assert_allclose(three[5], means[1], rtol=1e-5)


def test_the_schedule_drives_the_steps() -> None:
    schedule = Cosine(steps=4, warmup_steps=0, final_fraction=0.0)
    w, wanted = START, []
    for step in range(5):
        w = w - 0.1 * (1 + np.cos(np.pi * min(1, step / 4))) / 2 * gradient(w)
        wanted.append(w)
    check(run(sgd(), 5, schedule), wanted)
    np.testing.assert_array_equal(run(sgd(), 5, schedule)[4], run(sgd(), 5, schedule)[3])


def test_the_running_average_of_the_weights() -> None:
    """Of the weights after each step: it begins at the first, then m average + (1 - m) w."""
    optimizer = sgd().build(Constant(), ema=0.6)
    variable = keras.Variable(START, dtype="float32")
    optimizer.build([variable])
    average = None
    for _ in range(4):
        slope = gradient(np.asarray(variable, np.float64))
        optimizer.apply([keras.ops.convert_to_tensor(slope, "float32")], [variable])
        w = np.array(variable, np.float64)
        average = w if average is None else 0.6 * average + 0.4 * w
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(np.asarray(variable), average, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (sgd, {"learning_rate": 0.0}), (sgd, {"learning_rate": -1.0}), (sgd, {"momentum": 1.5}),
        (sgd, {"learning_rate": float("nan")}), (sgd, {"clip_norm": 0.0}), (sgd, {"accumulate": 0}),
        (adam, {"beta_1": 1.0}), (adam, {"beta_2": 1.0}), (adam, {"beta_2": -0.1}),
        (adam, {"epsilon": 0.0}), (adamw, {"weight_decay": -0.1}), (adamw, {"beta_1": 1.0}),
        (lion, {"beta_1": 0.0}), (lion, {"beta_2": 1.0}), (lamb, {"beta_1": 1.0}),
        (rmsprop, {"rho": 1.0}), (sgd, {"clip_value": 0.0}),
    ],
)  # fmt: skip
def test_refuses(make: Any, changes: dict[str, float]) -> None:
    (key,) = changes
    with pytest.raises(OptionError, match=f"^{key}=.*must be") as caught:
        make(**changes)
    assert caught.value.key == key
