"""What holds for every degradation, whatever it does to the image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from srexp.degradations.base import Degradation, Draw

SCALES = (2, 3, 4)


@pytest.fixture(params=SCALES)
def degradation(request: pytest.FixtureRequest, option, degradation_name: str) -> Degradation:
    return dataclasses.replace(option("degradation", degradation_name), scale=request.param)


def texture(height: int, width: int, channels: int) -> np.ndarray:
    noise = np.random.default_rng(5).random((height, width, channels), np.float32)
    return 0.25 + 0.5 * noise


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("eight_bit", [False, True])
def test_size_type_and_range(degradation, channels: int, eight_bit: bool) -> None:
    scale = degradation.scale
    hr = texture(13 * scale, 10 * scale, channels)
    before = hr.copy()
    lr = degradation(hr, draw=Draw("a", 3), eight_bit=eight_bit)
    again = degradation(hr, draw=Draw("a", 3), eight_bit=eight_bit)
    np.testing.assert_array_equal(lr, again)
    assert lr.shape == (13, 10, channels)
    assert lr.dtype == np.float32
    # Kernels with negative lobes overshoot at edges, by less than half the contrast.
    assert lr.min() >= 0
    assert lr.max() <= 1
    # Something of the texture is left, even where an eighth of its size was drawn on the way.
    assert np.ptp(lr) > 0.01
    np.testing.assert_array_equal(hr, before)


@pytest.mark.parametrize("value", [0.0, 51 / 255, 1.0])
def test_a_constant_image_stays_constant(degradation, value: float) -> None:
    if degradation.random:
        pytest.skip("noise changes it")
    scale = degradation.scale
    hr = np.full((11 * scale, 9 * scale, 3), value, np.float32)
    for eight_bit in (False, True):
        lr = degradation(hr, eight_bit=eight_bit)
        np.testing.assert_allclose(lr, np.float32(value), atol=1e-6)


def test_the_draw_decides_and_nothing_else(degradation) -> None:
    hr = texture(8 * degradation.scale, 8 * degradation.scale, 3)
    first = degradation(hr, draw=Draw("a", 7))
    degradation(texture(6 * degradation.scale, 6 * degradation.scale, 1), draw=Draw("b", 1))
    np.testing.assert_array_equal(degradation(hr, draw=Draw("a", 7)), first)
    for other in (Draw("a", 8), Draw("b", 7)):
        assert np.array_equal(degradation(hr, draw=other), first) is not degradation.random


def test_a_part_with_its_surroundings_is_degraded_as_in_the_whole(degradation) -> None:
    """`reach` is enough: what lies farther away changes nothing."""
    if degradation.reach is None:
        pytest.skip("whole images only")
    if getattr(degradation, "margin", None) is not None:
        pytest.skip("its margin is chosen, and smaller")
    scale, side = degradation.scale, 6
    margin = -(-degradation.reach // scale)
    height = (2 * margin + side + 4) * scale
    hr = texture(height, height, 3)
    far = hr.copy()
    inner = slice(2 * scale, (2 + 2 * margin + side) * scale)
    far[:] = 0.9
    far[inner, inner] = hr[inner, inner]
    middle = slice(2 + margin, 2 + margin + side)
    before, after = (degradation(image)[middle, middle] for image in (hr, far))
    np.testing.assert_allclose(before, after, atol=1e-6)


def test_channels_do_not_mix(degradation) -> None:
    if degradation.random:
        pytest.skip("noise and compression may look at all channels")
    hr = texture(8 * degradation.scale, 8 * degradation.scale, 3)
    changed = hr.copy()
    changed[..., 1] = 0.5
    before, after = degradation(hr), degradation(changed)
    np.testing.assert_array_equal(before[..., [0, 2]], after[..., [0, 2]])
    assert not np.allclose(before[..., 1], after[..., 1])


def test_the_label_names_the_scale_and_changes_with_every_field(degradation) -> None:
    assert f"x{degradation.scale}" in degradation.label
    other = dataclasses.replace(degradation, interpolation="bilinear")
    assert other.label != degradation.label
    assert dataclasses.replace(degradation, scale=8).label != degradation.label
