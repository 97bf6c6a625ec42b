"""NIQE against another program, its distribution against closed forms, and pictures made worse."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from srexp.images.resize import resize_matlab
from srexp.metrics import niqe as module
from srexp.metrics.niqe import NIQE, Natural, features, niqe


def picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 6, (height, width))
    smooth = 128 + 60 * np.sin(x * y / 900) + 25 * np.cos((x + 2 * y) / 17)
    return np.rint(smooth + noise).clip(0, 255)


@pytest.mark.parametrize(
    ("size", "wanted"), [((192, 288), 4.435699555056652), ((300, 200), 4.551837638720858)]
)
def test_it_is_what_basicsr_gives(size: tuple[int, int], wanted: float) -> None:
    """`niqe` of BasicSR 1.4.2 on this picture, with means 0 and covariance 1; halved by srexp."""
    got = niqe(picture(*size), Natural(np.zeros(36), np.eye(36)))
    assert got == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("widths", [(1.0, 1.0), (0.5, 1.5)])
def test_the_distribution_is_found_again(shape: float, widths: tuple[float, float]) -> None:
    """|x| / width is Gamma(1 / shape) to the power of 1 / shape; a side is as likely as wide."""
    random = np.random.default_rng(1)
    count = 400_000
    size = random.gamma(1 / shape, size=count) ** (1 / shape)
    left = random.random(count) < widths[0] / sum(widths)
    values = np.where(left, -widths[0], widths[1]) * size
    found = [float(value[0]) for value in module._fit(values.reshape(1, 400, 1000))]
    assert found == pytest.approx([shape, *widths], rel=0.02)


def test_a_window_of_means_is_gaussian() -> None:
    impulse = np.zeros((15, 15))
    impulse[7, 7] = 1
    smooth = module._smooth(impulse)
    assert smooth.sum() == pytest.approx(1)
    assert smooth[7, 8] / smooth[7, 7] == pytest.approx(math.exp(-1 / (2 * (7 / 6) ** 2)))
    assert (smooth[3] == 0).all() and (smooth[4, 4:11] > 0).all()
    assert module._smooth(np.full((5, 9), 3.0)) == pytest.approx(3.0)


def test_flat_parts_do_not_hang_on_rounding() -> None:
    image = picture(192, 192)
    image[:60] = 200
    deep = features(image)[0]
    assert np.isfinite(deep).all() and np.isfinite(features(np.full((96, 96), 77.0))[0]).all()
    assert module._normalised(np.full((9, 9), 200.1))[0].any() == np.False_


def test_only_sharp_blocks_are_in_the_model() -> None:
    """A soft block beside sharp ones does not count."""
    sharp, soft = picture(192, 288), picture(192, 288)
    soft[:, 192:] = 128 + (soft[:, 192:] - 128) * 0.02
    two = module.natural_of([sharp[:, :192]])
    three = module.natural_of([soft])
    np.testing.assert_allclose(three.mean[:18], two.mean[:18], rtol=0.05, atol=0.05)


def _jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=15)
    return np.asarray(Image.open(file))


def test_worse_pictures_are_less_natural() -> None:
    image = load_sample_image("china.jpg")[:384, :576]
    half = resize_matlab(image / np.float32(255), (192, 288))
    metric = NIQE()
    metric.prepare()
    noise = np.random.default_rng(0).normal(0, 20, image.shape)
    worse = {
        "bicubic": np.rint(resize_matlab(half, image.shape[:2]).clip(0, 1) * 255).astype(np.uint8),
        "noise": (image + noise).clip(0, 255).astype(np.uint8),
        "jpeg": _jpeg(image),
    }
    best = metric(image, image)
    assert 3 < best < 6
    for name, other in worse.items():
        assert metric(other, image) > best + (0 if name == "jpeg" else 1), name
        assert metric(other, other) == metric(other, image)
    assert metric.minimum_side == 192 and metric.weights.startswith("bsds200 [")
