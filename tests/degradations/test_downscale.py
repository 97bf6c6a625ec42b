"""The downscale degradation, through the options that YAML builds."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from srexp.degradations.base import Draw
from srexp.degradations.downscale import Downscale
from srexp.options import OptionError


def _downscale(**changes):
    values = {"scale": 2, "interpolation": "bicubic", "engine": "matlab", "antialias": True}
    return Downscale(**(values | changes))


def _noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


def _stored(height, width):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_box_is_the_mean_of_each_block(scale, channels):
    hr = _noise(3 * scale, 5 * scale, channels)
    lr = _downscale(scale=scale, interpolation="box")(hr)
    blocks = hr.reshape(3, scale, 5, scale, channels).mean(axis=(1, 3))
    np.testing.assert_allclose(lr, blocks, atol=2e-7)


def test_bilinear_antialiasing_stretches_the_triangle():
    # Halving: taps 1 3 3 1 over 8, at the edge mirrored to 4 3 1.
    hr = _noise(8, 2, 1)
    hr[:, 1] = hr[:, 0]
    lr = _downscale(interpolation="bilinear")(hr)[:, 0, 0]
    x = hr[:, 0, 0].astype(np.float64)
    assert lr[1] == pytest.approx(np.dot([1, 3, 3, 1], x[1:5]) / 8, abs=1e-6)
    assert lr[0] == pytest.approx(np.dot([4, 3, 1], x[:3]) / 8, abs=1e-6)


@pytest.mark.parametrize(
    ("interpolation", "taps"), [("bilinear", [1, 1]), ("bicubic", [-0.125, 1.125, 1.125, -0.125])]
)
def test_without_antialiasing_the_kernel_samples_between_pixels(interpolation, taps):
    # k(1/2) and k(3/2): 0.5 of the triangle; 0.5625 and -0.0625 of Keys' cubic. Halving takes
    # the middle of two pixels, whatever lies further away.
    hr = _noise(16, 2, 1)
    hr[:, 1] = hr[:, 0]
    lr = _downscale(interpolation=interpolation, antialias=False)(hr)[:, 0, 0]
    reach = len(taps) // 2
    around = hr[7 - reach : 7 + reach, 0, 0].astype(np.float64)  # LR pixel 3: HR pixels 6 and 7
    assert lr[3] == pytest.approx(np.dot(taps, around) / 2, abs=1e-6)


def test_antialiasing_is_another_degradation():
    hr = _noise(16, 16)
    with_, without = _downscale(), _downscale(antialias=False)
    assert np.abs(with_(hr) - without(hr)).max() > 0.05


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_pillow_is_pillow(scale):
    stored = _stored(6 * scale, 9 * scale)
    degradation = _downscale(scale=scale, engine="pillow")
    hr = stored.astype(np.float32) / 255
    expected = np.asarray(Image.fromarray(stored).resize((9, 6), Image.Resampling.BICUBIC))
    got = degradation(hr, eight_bit=True)
    np.testing.assert_allclose(got * 255, expected, atol=1e-4)
    for channel in range(3):
        plane = Image.fromarray(np.ascontiguousarray(hr[..., channel]))
        expected = np.asarray(plane.resize((9, 6), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(degradation(hr)[..., channel], expected)


@pytest.mark.parametrize("engine", ["matlab", "pillow"])
@pytest.mark.parametrize("interpolation", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_size_range_and_flat_images(engine, interpolation, scale):
    degradation = _downscale(scale=scale, interpolation=interpolation, engine=engine)
    lr = degradation(_noise(4 * scale, 7 * scale))
    assert lr.shape == (4, 7, 3)
    assert lr.dtype == np.float32
    assert -0.3 < lr.min() < lr.max() < 1.3  # bicubic and Lanczos overshoot, and are not clipped
    flat = np.full((4 * scale, 7 * scale, 1), np.float32(0.3))
    np.testing.assert_allclose(degradation(flat), 0.3, atol=2e-7)


def test_overshoot_is_kept():
    # The paper's LR is MATLAB's imresize in floats, which does not clip. At an edge between two
    # LR pixels the taps beyond it, -0.03515625 and -0.01171875, are missing or surplus.
    hr = np.zeros((16, 2, 1), np.float32)
    hr[8:] = 1
    lr = _downscale()(hr)[:, 0, 0]
    assert lr[4] == pytest.approx(1 - 0.11328125 + 0.03515625 + 0.01171875, abs=1e-6)
    assert lr[5] == pytest.approx(1 + 0.01171875, abs=1e-6)
    assert lr[2] == pytest.approx(-0.01171875, abs=1e-6)


@pytest.mark.parametrize("engine", ["matlab", "pillow"])
def test_the_same_whatever_is_drawn(engine):
    hr = _noise(12, 12)
    before = hr.copy()
    degradation = _downscale(engine=engine)
    assert not degradation.random
    first = degradation(hr)
    np.testing.assert_array_equal(first, degradation(hr, draw=Draw("a", 1)))
    np.testing.assert_array_equal(first, _downscale(engine=engine)(hr))
    np.testing.assert_array_equal(hr, before)


def test_matlab_has_no_hamming_kernel():
    with pytest.raises(OptionError, match=r"interpolation=hamming: engine=matlab has no such") as e:
        _downscale(interpolation="hamming")
    assert e.value.key == "interpolation"
    assert _downscale(interpolation="hamming", engine="pillow").interpolation == "hamming"


def test_pillow_always_antialiases():
    with pytest.raises(OptionError, match=r"antialias=false: engine=pillow always") as e:
        _downscale(engine="pillow", antialias=False)
    assert e.value.key == "antialias"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": 1}, "scale=1: must be between 2 and 8"),
        ({"scale": 9}, "scale=9: must be between 2 and 8"),
        ({"interpolation": "cubic"}, "interpolation=cubic: must be one of .*mean bicubic"),
        ({"engine": "opencv"}, "engine=opencv: must be one of matlab, pillow"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(OptionError, match=message):
        _downscale(**changes)


def test_no_two_degradations_share_a_label():
    every = [
        _downscale(scale=scale, interpolation=interpolation, engine=engine, antialias=antialias)
        for scale in (2, 3, 4)
        for interpolation in ("box", "bilinear", "bicubic", "lanczos")
        for engine in ("matlab", "pillow")
        for antialias in (True, False)
        if antialias or engine == "matlab"
    ]
    assert len({degradation.label for degradation in every}) == len(every)
    assert _downscale(scale=3).label == "x3 matlab bicubic"
