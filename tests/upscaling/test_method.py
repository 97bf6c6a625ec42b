"""Enlarging arrays and frames, by networks that are formulas."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.images.resize import resize
from srexp.pictures.picture import Frame
from srexp.upscaling.method import Method
from srexp.upscaling.network import FINISH, Network, to_uint16
from srexp.upscaling.transparency import fill_clear, within_neighbours


def _image(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def _box(scale, reach, seen=None):
    """Mean over a square around each pixel, zeros beyond the edge, repeated: a convolution."""

    def forward(lr):
        if seen is not None:
            seen.append(lr.shape)
        height, width = lr.shape[1:3]
        padded = np.pad(lr, [(0, 0), (reach, reach), (reach, reach), (0, 0)]).astype(np.float64)
        size = 2 * reach + 1
        total = sum(
            padded[:, y : y + height, x : x + width] for y in range(size) for x in range(size)
        )
        return (total / size**2).repeat(scale, 1).repeat(scale, 2).astype(np.float32)

    return forward


@pytest.mark.parametrize("size", [(1, 1), (1, 20), (3, 2), (5, 601), (700, 333)])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_tiles_are_the_whole_bit_for_bit(size, kind):
    image, seen = _image(*size), []
    forward = _box(2, 3, seen)
    tiled = Network(2, 3, 3, 1, forward)(image, FINISH[kind])
    count = len(seen)
    whole = Network(2, 3, None, 1, forward)(image, FINISH[kind])
    assert tiled.dtype == kind and tiled.shape == (size[0] * 2, size[1] * 2, 3)
    assert (tiled == whole).all()
    assert count > (1 if max(size) > 600 else 0)


def test_an_overlap_that_is_too_small_would_show():
    image = _image(700, 20)
    assert (
        Network(2, 3, 2, 1, _box(2, 3))(image) != Network(2, 3, None, 1, _box(2, 3))(image)
    ).any()


@pytest.mark.parametrize("multiple", [2, 4])
def test_sides_are_filled_to_what_the_network_wants(multiple):
    seen = []
    made = Network(2, 3, 3, multiple, _box(2, 0, seen))(_image(301, 277), FINISH["uint8"])
    assert all(side % multiple == 0 for shape in seen for side in shape[1:3])
    assert (made == _image(301, 277).repeat(2, 0).repeat(2, 1)).all()


def test_grey_goes_through_an_rgb_network_and_comes_back_grey():
    grey = _image(9, 9, 1)
    made = Network(3, 3, 0, 1, _box(3, 0))(grey, FINISH["uint8"])
    assert (made == grey.repeat(3, 0).repeat(3, 1)).all()


def test_a_luma_network_leaves_the_colours_to_bicubic():
    image = np.full((8, 8, 3), (200, 30, 90), np.uint8)
    made = Network(2, 1, 0, 1, _box(2, 0))(image, FINISH["uint8"])
    assert np.abs(made.astype(int) - image[0, 0]).max() <= 1


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_any_size_by_the_next_larger_networks_and_an_exact_resize(kind):
    image = _image(10, 12)
    seen = []
    method = Method("x", "d", (2, 3), lambda scale: Network(scale, 3, 0, 1, _box(scale, 0, seen)))
    made = method.enlarged(image, (29, 25), kind)
    expected = resize(image.repeat(3, 0).repeat(3, 1) / np.float32(255), (25, 29), "bicubic")
    assert made.dtype == kind and (made == FINISH[kind](expected)).all()
    assert method.steps(10, 10, (70, 70)) == [2, 2, 2]
    twice = method.enlarged(image, (48, 40), kind)
    assert (twice == FINISH[kind](image.repeat(4, 0).repeat(4, 1) / np.float32(255))).all()


def test_a_smaller_picture_is_only_resized():
    method = Method("x", "d", (2,), lambda scale: pytest.fail("no network is wanted"))
    assert method.enlarged(_image(10, 10), (5, 5), "uint8").shape == (5, 5, 3)


def test_a_resampler_makes_any_size():
    image = _image(10, 12)
    made = Method("lanczos", "", interpolation="lanczos").enlarged(image, (31, 17), "uint8")
    expected = resize(image / np.float32(255), (17, 31), "lanczos")
    assert (made == FINISH["uint8"](expected)).all()


def test_self_ensemble_is_the_mean_over_flips_and_turns():
    """Of a network that shifts by a pixel, which no flip commutes with."""

    def shifted(lr):
        return np.roll(lr, 1, 2).repeat(2, 1).repeat(2, 2)

    image = _image(6, 6) / np.float32(255)
    method = Method("x", "", (2,), lambda _: Network(2, 3, None, 1, shifted), ensemble=True)
    made = method.enlarged(image, (12, 12), "float32")
    around = [np.roll(image, step, axis) for axis in (0, 1) for step in (1, -1)]
    expected = np.mean(around, axis=0).repeat(2, 0).repeat(2, 1)
    assert np.abs(made - expected).max() < 1e-6


def test_pixels_are_told_as_they_are_made():
    told = []
    method = Method("x", "", (2,), lambda _: Network(2, 3, 0, 1, _box(2, 0)))
    method.enlarged(_image(600, 300), (600, 1200), "uint8", told.append)
    assert sum(told) == 600 * 1200 and len(told) > 4


def test_16_bits_round_as_they_should():
    values = np.array([[[0, 1, 0.5, -1, 2, 12345 / 65535]]])
    assert to_uint16(values).tolist() == [[[0, 65535, 32768, 0, 65535, 12345]]]


# Transparency


def _disc(size=40, colour=(255, 0, 0), under=(0, 0, 0)):
    y, x = np.mgrid[:size, :size] - size / 2
    alpha = np.clip((size / 3 - np.hypot(y, x)) * 255, 0, 255).astype(np.uint8)[..., None]
    return Frame(np.where(alpha > 0, np.uint8(colour), np.uint8(under)), alpha)


@pytest.mark.parametrize("under", [(0, 0, 0), (255, 255, 255), (0, 255, 0)])
def test_the_edge_of_a_disc_has_the_discs_colour_whatever_lies_under_it(under):
    method = Method("lanczos", "", interpolation="lanczos")
    made = method.enlarged_frame(_disc(under=under), (80, 80))
    seen = made.colour[made.alpha[..., 0] > 0]
    assert np.abs(seen.astype(int) - [255, 0, 0]).max() <= 1


def test_clear_pixels_take_the_mean_of_those_around_and_others_stay():
    colour = _image(16, 16)
    alpha = np.zeros((16, 16, 1), np.uint8)
    alpha[:2, :2] = 255
    alpha[0, 0] = 100
    filled = fill_clear(colour, alpha)
    assert (filled[:2, :2] == colour[:2, :2]).all()
    weights = alpha[:2, :2].astype(float)
    mean = (colour[:2, :2] * weights).sum((0, 1)) / weights.sum()
    assert np.abs(filled[3, 3] - mean).max() <= 0.5 and np.abs(filled[15, 15] - mean).max() <= 0.5
    assert fill_clear(colour, np.zeros_like(alpha)) is colour


def test_alpha_stays_between_its_neighbours():
    alpha = np.zeros((6, 6, 1), np.uint8)
    alpha[:, 3:] = 255
    made = _image(12, 12, 1)  # whatever a network makes of it
    bounded = within_neighbours(made.copy(), alpha)
    assert (bounded[:, :4] == 0).all() and (bounded[:, 8:] == 255).all()
    assert (bounded[:, 4:8] == made[:, 4:8]).all()
    deep = within_neighbours(np.full((12, 12, 1), 40000, np.uint16), alpha / np.float32(255))
    assert set(np.unique(deep)) == {0, 40000, 65535}
