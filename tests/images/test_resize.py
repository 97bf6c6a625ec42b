"""Resizing, against the definition written out, closed forms and Pillow."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from srexp.images.resize import enlarge, resize, resize_matlab, resize_pillow


def _keys(x):
    # R. G. Keys, Cubic convolution interpolation, IEEE Trans. ASSP 29(6), 1981, with a = -1/2.
    x = abs(x)
    if x < 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    if x < 2:
        return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2
    return Fraction(0)


def _lanczos(x):
    if x == 0:
        return 1.0
    if abs(x) >= 3:
        return 0.0
    p = math.pi * float(x)
    return 3 * math.sin(p) * math.sin(p / 3) / p**2


NAIVE = {  # kernel and half its width
    "nearest": (lambda x: int(Fraction(-1, 2) <= x < Fraction(1, 2)), Fraction(1, 2)),
    "box": (lambda x: int(Fraction(-1, 2) <= x < Fraction(1, 2)), Fraction(1, 2)),
    "bilinear": (lambda x: max(0, 1 - abs(x)), 1),
    "bicubic": (_keys, 2),
    "lanczos": (_lanczos, 3),
}


def _naive_matrix(n_in, n_out, interpolation, antialias, factor=None):
    # MATLAB's imresize of one axis in the words of the field: output pixel i (from 1) looks at
    # input coordinate i/s + 0.5 (1 - 1/s); when shrinking, the kernel is stretched by 1/s; the
    # weights of each output pixel sum to 1; indices past the edge are mirrored, the edge repeated.
    kernel, half = NAIVE[interpolation]
    s = Fraction(n_out, n_in) if factor is None else factor
    stretch = s if s < 1 and antialias and interpolation != "nearest" else Fraction(1)
    matrix = np.zeros((n_out, n_in))
    for i in range(1, n_out + 1):
        at = i / s + Fraction(1, 2) * (1 - 1 / s)
        for j in range(math.floor(at - half / stretch) - 1, math.ceil(at + half / stretch) + 2):
            source = j
            while not 1 <= source <= n_in:
                source = 1 - source if source < 1 else 2 * n_in + 1 - source
            matrix[i - 1, source - 1] += float(kernel(stretch * (at - j)))
        matrix[i - 1] /= matrix[i - 1].sum()
    return matrix


def _naive(image, size, interpolation, antialias=True):
    rows = _naive_matrix(image.shape[0], size[0], interpolation, antialias)
    columns = _naive_matrix(image.shape[1], size[1], interpolation, antialias)
    return np.einsum("ij,jkc,lk->ilc", rows, image.astype(np.float64), columns)


def _noise(height, width, channels=1, seed=0):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


SHRINK = [(scale, scale * a, scale * b) for scale in (2, 3, 4) for a, b in ((7, 5), (3, 11))]


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("interpolation", list(NAIVE))
@pytest.mark.parametrize(("scale", "height", "width"), SHRINK)
def test_matlab_shrinks_as_the_definition_says(scale, height, width, interpolation, antialias):
    image = _noise(height, width, 3)
    size = (height // scale, width // scale)
    got = resize_matlab(image, size, interpolation, antialias=antialias)
    np.testing.assert_allclose(got, _naive(image, size, interpolation, antialias), atol=2e-7)


@pytest.mark.parametrize("interpolation", list(NAIVE))
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(7, 5), (4, 9)])
def test_matlab_enlarges_as_the_definition_says(height, width, scale, interpolation):
    image = _noise(height, width)
    size = (height * scale, width * scale)
    got = resize_matlab(image, size, interpolation)
    np.testing.assert_allclose(got, _naive(image, size, interpolation), atol=2e-7)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((11, 7), (5, 9)),  # one axis smaller, the other larger
        ((9, 13), (9, 5)),  # one axis as it is
        ((1, 6), (3, 3)),  # one row: mirrored onto itself
        ((2, 3), (1, 1)),  # a kernel wider than the mirrored image
        ((10, 2), (2, 1)),
    ],
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_matlab_at_uneven_and_tiny_sizes(shape, size, interpolation):
    image = _noise(*shape)
    got = resize_matlab(image, size, interpolation)
    np.testing.assert_allclose(got, _naive(image, size, interpolation), atol=2e-7)


@pytest.mark.parametrize("size", [(24, 20), (120, 100)])
def test_matlab_is_rounded_to_single_precision_only_at_the_end(size):
    # Half a unit in the last place of numbers from 1 to 2: 2^-24.
    image = _noise(48, 40)
    got = resize_matlab(image, size, "lanczos")
    np.testing.assert_allclose(got, _naive(image, size, "lanczos"), rtol=0, atol=2**-24 + 1e-12)


def test_matlab_by_a_factor_that_does_not_divide():
    # imresize(x, 0.5) of 7 pixels gives ceil(3.5) = 4 pixels at twice the step, not at 7/4.
    image = _noise(7, 1)
    got = resize_matlab(image, (4, 1), "bicubic", factor=0.5)
    matrix = _naive_matrix(7, 4, "bicubic", True, Fraction(1, 2))
    np.testing.assert_allclose(got[:, 0, 0], matrix @ image[:, 0, 0], atol=2e-7)
    assert np.abs(got - resize_matlab(image, (4, 1), "bicubic")).max() > 0.01


def test_bicubic_halving_has_the_known_eight_taps():
    # 0.5 k(0.5 x) at x = 0.5, 1.5, 2.5, 3.5: 0.43359375, 0.11328125, -0.03515625, -0.01171875.
    taps = [-0.01171875, -0.03515625, 0.11328125, 0.43359375]
    image = np.eye(16, dtype=np.float32)[..., None]  # column k is an impulse at pixel k
    halved = resize_matlab(image, (8, 16))[..., 0]
    np.testing.assert_allclose(halved[3, 3:11], taps + taps[::-1], atol=1e-8)
    assert np.count_nonzero(halved[3]) == 8
    # The first output pixel: three taps fall off the edge and come back mirrored.
    first = [0.43359375 + 0.11328125, 0.43359375 - 0.03515625, 0.11328125 - 0.01171875]
    np.testing.assert_allclose(halved[0, :5], [*first, -0.03515625, -0.01171875], atol=1e-8)


@pytest.mark.parametrize("interpolation", list(NAIVE))
@pytest.mark.parametrize("size", [(5, 4), (20, 33), (10, 2)])
def test_a_constant_image_stays_constant(interpolation, size):
    image = np.full((10, 11, 3), np.float32(0.7))
    for engine in ("matlab", "pillow"):
        np.testing.assert_allclose(resize(image, size, interpolation, engine), 0.7, atol=2e-7)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_reproduces_a_parabola_between_pixels(scale):
    # Keys' kernel with a = -1/2 is exact for polynomials up to the second degree.
    x = np.arange(12, dtype=np.float64)
    image = np.stack([x, x**2], axis=1)[:, None].astype(np.float32) / 100
    got = resize_matlab(image, (12 * scale, 1))[:, 0]
    at = (np.arange(12 * scale) + 0.5) / scale - 0.5  # pixel centres, counted from 0
    inside = (at > 1) & (at < 10)
    np.testing.assert_allclose(got[inside, 0], at[inside] / 100, atol=1e-7)
    np.testing.assert_allclose(got[inside, 1], at[inside] ** 2 / 100, atol=1e-7)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shrinking_keeps_a_ramp(scale):
    image = np.arange(12 * scale, dtype=np.float32)[:, None, None] / 64
    got = resize_matlab(image, (12, 1))[:, 0, 0]
    at = (np.arange(12) + 0.5) * scale - 0.5
    np.testing.assert_allclose(got[2:-2], at[2:-2] / 64, atol=1e-7)


def test_matlab_mirrors_what_lies_beyond_the_edge():
    # An image laid out with its mirror images around it gives the same pixels in its middle.
    image = _noise(8, 12)
    padded = np.pad(image, ((8, 8), (12, 12), (0, 0)), "symmetric")
    for scale in (2, 4):
        whole = resize_matlab(padded, (24 // scale, 36 // scale))
        middle = whole[8 // scale : 16 // scale, 12 // scale : 24 // scale]
        got = resize_matlab(image, (8 // scale, 12 // scale))
        np.testing.assert_allclose(got, middle, atol=2e-7)


def test_nearest_repeats_pixels_and_picks_the_upper_of_two():
    image = np.arange(6, dtype=np.float32).reshape(2, 3, 1)
    enlarged = resize_matlab(image, (4, 6), "nearest")
    np.testing.assert_array_equal(enlarged, np.repeat(np.repeat(image, 2, 0), 2, 1))
    # Halving looks midway between two pixels; [-0.5, 0.5) takes the later one.
    picked = resize_matlab(np.arange(8, dtype=np.float32)[:, None, None], (4, 1), "nearest")
    np.testing.assert_array_equal(picked[:, 0, 0], [1, 3, 5, 7])


def test_box_shrinks_to_block_means():
    image = _noise(12, 15, 3)
    blocks = image.reshape(4, 3, 5, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize_matlab(image, (4, 5), "box"), blocks, atol=2e-7)


def test_bicubic_overshoots_and_is_not_clipped():
    edge = np.zeros((8, 1, 1), np.float32)
    edge[4:] = 1
    # Just before and after the edge at 1/4 pixel: k(1.25) + k(2.25) = -0.0703125 short of 0 and 1.
    got = resize_matlab(edge, (16, 1))[:, 0, 0]
    assert got.min() == pytest.approx(-0.0703125, abs=1e-7)
    assert got.max() == pytest.approx(1.0703125, abs=1e-7)


# Two implementations that know nothing of each other: Pillow's float mode has the same kernels
# and the same antialiasing and differs only at the edges.
@pytest.mark.parametrize("interpolation", ["box", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(20, 30), (15, 20), (120, 180)])
def test_matlab_and_pillow_agree_away_from_the_edges(interpolation, size):
    image = _noise(60, 90)
    plane = Image.fromarray(image[..., 0])
    method = Image.Resampling[interpolation.upper()]
    reference = np.asarray(plane.resize((size[1], size[0]), method))
    got = resize_matlab(image, size, interpolation)[..., 0]
    edge = max(3, math.ceil(3 * size[0] / 60))
    inside = (slice(edge, -edge), slice(edge, -edge))
    np.testing.assert_allclose(got[inside], reference[inside], atol=1e-5)
    if interpolation in ("bicubic", "lanczos"):
        assert np.abs(got - reference).max() > 1e-3  # mirrored, not renormalised


@pytest.mark.parametrize("interpolation", ["nearest", "box", "bilinear", "hamming", "bicubic"])
@pytest.mark.parametrize("size", [(9, 16), (40, 50)])
def test_pillow_in_floats_is_pillows_mode_f(interpolation, size):
    image = _noise(17, 23, 3) * 3 - 1
    got = resize_pillow(image, size, interpolation)
    method = Image.Resampling[interpolation.upper()]
    for channel in range(3):
        plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
        assert plane.mode == "F"
        expected = np.asarray(plane.resize((size[1], size[0]), method))
        np.testing.assert_array_equal(got[..., channel], expected)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("size", [(9, 16), (40, 50)])
def test_pillow_in_eight_bits_is_pillow_on_a_picture(channels, mode, size):
    stored = np.random.default_rng(1).integers(0, 256, (17, 23, channels), np.uint8)
    picture = Image.fromarray(stored[..., 0] if channels == 1 else stored)
    assert picture.mode == mode
    expected = np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BICUBIC))
    got = resize_pillow(stored.astype(np.float32) / 255, size, eight_bit=True) * 255
    np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=1e-4)


def test_eight_bits_in_pillow_are_not_its_floats_rounded():
    # Away from black and white: no clipping between the two axes, only rounding.
    image = np.random.default_rng(2).integers(80, 176, (24, 24, 1)).astype(np.float32) / 255
    coarse = resize_pillow(image, (48, 48), eight_bit=True)
    fine = np.floor(np.clip(resize_pillow(image, (48, 48)), 0, 1) * 255 + 0.5) / 255
    assert 0 < np.abs(coarse - fine).max() < 3 / 255


def test_resize_goes_to_the_named_engine():
    image = _noise(12, 18, 3)
    size = (6, 9)
    np.testing.assert_allclose(
        resize(image, size, "bilinear", "matlab", antialias=False),
        _naive(image, size, "bilinear", antialias=False),
        atol=2e-7,
    )
    floats = resize(image, size, "lanczos", "pillow")
    np.testing.assert_array_equal(floats, resize_pillow(image, size, "lanczos"))
    bits = resize(image, size, "lanczos", "pillow", eight_bit=True)
    np.testing.assert_array_equal(bits, resize_pillow(image, size, "lanczos", eight_bit=True))
    assert np.abs(bits - floats).max() > 1e-4


def test_pillow_without_antialiasing_is_refused():
    with pytest.raises(ValueError, match="engine=pillow always antialiases"):
        resize(_noise(4, 4), (2, 2), "bicubic", "pillow", antialias=False)


@pytest.mark.parametrize("engine", ["matlab", "pillow"])
@pytest.mark.parametrize("scale", [2, 3, 8])
def test_enlarge_multiplies_both_sides(engine, scale):
    image = _noise(5, 7, 3)
    got = enlarge(image, scale, "bicubic", engine)
    assert got.shape == (5 * scale, 7 * scale, 3)
    np.testing.assert_array_equal(got, resize(image, (5 * scale, 7 * scale), "bicubic", engine))


def test_enlarge_in_eight_bits_is_pillow_on_a_picture():
    stored = np.random.default_rng(3).integers(0, 256, (6, 5, 3), np.uint8)
    expected = np.asarray(Image.fromarray(stored).resize((15, 18), Image.Resampling.BICUBIC))
    got = enlarge(stored.astype(np.float32) / 255, 3, "bicubic", "pillow", eight_bit=True)
    np.testing.assert_allclose(got * 255, expected, atol=1e-4)


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("engine", ["matlab", "pillow"])
def test_resizing_leaves_its_input_alone(engine, eight_bit):
    image = _noise(12, 12, 3)
    before = image.copy()
    resize(image, (6, 4), "bicubic", engine, eight_bit=eight_bit)
    enlarge(image, 2, "bicubic", engine, eight_bit=eight_bit)
    np.testing.assert_array_equal(image, before)
    image.flags.writeable = False
    assert resize(image, (6, 4), "bicubic", engine, eight_bit=eight_bit).dtype == np.float32
