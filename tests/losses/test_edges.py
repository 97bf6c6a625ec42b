"""Losses of differences and of spectra against NumPy, and what cannot stand alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import laplace

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.losses.base import Loss
from srexp.losses.edges import Gradient, Laplacian, TotalVariation
from srexp.losses.pixel import MAE
from srexp.losses.spectrum import FFT
from srexp.losses.sum import Sum
from srexp.options import OptionError


def images() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.random((2, 9, 12, 3), np.float32), random.random((2, 9, 12, 3), np.float32)


def value(loss: Loss) -> float:
    hr, sr = images()
    return float(loss.value(tf.constant(hr), tf.constant(sr)))


def test_gradient() -> None:
    hr, sr = images()
    wanted = sum(np.abs(np.diff(sr, axis=a) - np.diff(hr, axis=a)).mean() for a in (1, 2))
    assert value(Gradient()) == pytest.approx(wanted, rel=1e-5)


def test_laplacian_is_scipys_inside() -> None:
    hr, sr = images()
    error = laplace(sr - hr, axes=(1, 2))[:, 1:-1, 1:-1]
    assert value(Laplacian()) == pytest.approx(np.abs(error).mean(), rel=1e-5)


def test_total_variation() -> None:
    _, sr = images()
    wanted = sum(np.abs(np.diff(sr, axis=a)).mean() for a in (1, 2))
    assert value(TotalVariation()) == pytest.approx(wanted, rel=1e-5)


def test_fft() -> None:
    hr, sr = images()
    spectrum = np.fft.fft2(sr - hr, axes=(1, 2), norm="ortho")
    wanted = np.abs(spectrum.real).mean() + np.abs(spectrum.imag).mean()
    assert value(FFT()) == pytest.approx(wanted, rel=1e-4)


def test_a_sum_is_its_terms_times_their_weights() -> None:
    hr, sr = (tf.constant(image) for image in images())
    inner = Sum(terms={"a": MAE(weight=2.0), "b": Gradient()}, weight=0.5)
    loss = Sum(terms={"mae": MAE(weight=0.8), "tv": TotalVariation(weight=0.1), "inner": inner})
    found = loss.weighted(channels=3, scale=2)(hr, sr, tf.constant(0))
    wanted = {
        "mae": 0.8 * value(MAE()), "tv": 0.1 * value(TotalVariation()),
        "inner_a": 0.5 * 2 * value(MAE()), "inner_b": 0.5 * value(Gradient()),
    }  # fmt: skip
    assert {name: float(term) for name, term in found.items()} == pytest.approx(wanted, rel=1e-5)


def test_what_does_not_look_at_hr_cannot_stand_alone() -> None:
    with pytest.raises(OptionError, match=r"loss=total_variation: .* term of loss=sum"):
        experiment_of(compose("train", ["loss=total_variation"]))
    assert not Sum(terms={"tv": TotalVariation()}).looks_at_hr
    assert Sum(terms={"tv": TotalVariation(), "mae": MAE()}).looks_at_hr


def test_a_patch_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(OptionError, match=r"hr_patch_size=8: loss=sum needs at least 11"):
        experiment_of(compose("train", ["loss=sum", "trainer.hr_patch_size=8"]))
