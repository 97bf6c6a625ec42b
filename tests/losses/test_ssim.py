"""SSIM and MS-SSIM as losses: what the metrics say, with finite gradients everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from skimage.metrics import structural_similarity

from srexp.losses.base import Loss
from srexp.losses.structural import MSSSIM, SSIM, _scales
from srexp.metrics.ms_ssim import ms_ssim


def images(side: int, count: int = 2, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(side)
    hr = random.random((count, side, side, 3), np.float32)
    return hr, (hr + noise * random.standard_normal(hr.shape)).astype(np.float32)


def value(loss: Loss, hr: np.ndarray, sr: np.ndarray) -> float:
    return float(loss.value(tf.constant(hr), tf.constant(sr)))


@pytest.mark.parametrize("side", [11, 12, 48])
def test_ssim_is_one_minus_scikit_images(side: int) -> None:
    hr, sr = images(side)
    wanted = [
        structural_similarity(
            a, b, data_range=1.0, channel_axis=-1, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, full=True,
        )[1][5:-5, 5:-5].mean()
        for a, b in zip(hr.astype(np.float64), sr.astype(np.float64), strict=True)
    ]  # fmt: skip
    assert value(SSIM(), hr, sr) == pytest.approx(1 - np.mean(wanted), abs=2e-5)


def test_ms_ssim_is_one_minus_the_metric() -> None:
    hr, sr = images(181)
    wanted = [ms_ssim(b, a, peak=1.0) for a, b in zip(hr, sr, strict=True)]
    assert value(MSSSIM(), hr, sr) == pytest.approx(1 - np.mean(wanted), abs=2e-5)


def test_ms_ssim_is_one_minus_tensorflows_on_fewer_scales() -> None:
    hr, sr = images(48)
    weights = np.array([0.0448, 0.2856, 0.3001])
    assert _scales(48) == len(weights)
    wanted = tf.image.ssim_multiscale(hr, sr, 1.0, power_factors=weights / weights.sum())
    assert value(MSSSIM(), hr, sr) == pytest.approx(1 - float(np.mean(wanted)), abs=2e-5)


@pytest.mark.parametrize(
    ("side", "scales"), [(11, 1), (20, 1), (21, 2), (24, 2), (176, 5), (999, 5)]
)
def test_as_many_scales_as_the_patch_has(side: int, scales: int) -> None:
    assert _scales(side) == scales


@pytest.mark.parametrize("loss", [SSIM(), MSSSIM()], ids=str)
@pytest.mark.parametrize("kind", ["negative", "flat", "same"])
def test_gradients_are_finite_at_negative_contrast_on_flat_and_on_equal_images(
    loss: Loss, kind: str
) -> None:
    hr, _ = images(48)
    sr = {"negative": 1 - hr, "flat": np.full_like(hr, 0.5), "same": hr}[kind]
    variable = tf.constant(sr)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        result = loss.value(tf.constant(hr), variable)
    assert np.isfinite(float(result))
    assert np.isfinite(tape.gradient(result, variable)).all()
