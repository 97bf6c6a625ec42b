"""Each link against a closed form or another library."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import convolve, gaussian_filter

from srexp.degradations.base import Draw
from srexp.degradations.links.blur import (
    GaussianBlur,
    GeneralizedBlur,
    PlateauBlur,
    gaussian_kernel,
)
from srexp.degradations.links.compression import Jpeg, WebP
from srexp.degradations.links.filtering import filtered
from srexp.degradations.links.noise import GaussianNoise, PoissonNoise
from srexp.degradations.links.resizing import Resize
from srexp.degradations.links.sinc import Sinc, sinc_kernel
from srexp.images.resize import resize_matlab
from srexp.options import OptionError


def random(seed: int = 0) -> np.random.Generator:
    return Draw("image", seed).generator(0, "link")


def image(height: int = 40, width: int = 50, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).random((height, width, channels), np.float32)


def grey(level: float, side: int = 400) -> np.ndarray:
    return np.full((side, side, 3), level, np.float32)


def blur(**changes: object) -> GaussianBlur:
    return GaussianBlur(**{"sigma": 1.6, "ratio": 1.0, "angle": 0.0, "size": 7, **changes})


def test_a_round_blur_is_scipys() -> None:
    """SciPy cuts its kernel at `truncate` sigmas and mirrors in the same way."""
    got = blur()(image(), random(), (0, 0))
    wanted = gaussian_filter(image().astype(np.float64), 1.6, radius=3, axes=(0, 1), mode="reflect")
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, -45.0])
def test_a_kernel_has_the_stated_covariance(angle: float) -> None:
    kernel = gaussian_kernel(61, 4.0, 2.0, np.deg2rad(angle))
    offsets = np.arange(61) - 30
    x, y = np.meshgrid(offsets, -offsets)
    turn = np.deg2rad(angle)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    wanted = axes @ np.diag([16.0, 4.0]) @ axes.T
    found = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    np.testing.assert_allclose(found, wanted, atol=0.01)
    assert kernel.sum() == pytest.approx(1)


@pytest.mark.parametrize("side", [5, 21])
def test_filtering_is_scipys(side: int) -> None:
    kernel = np.random.default_rng(2).random((side, side))
    got = filtered(image(), kernel)
    wanted = convolve(
        image().astype(np.float64), (kernel / kernel.sum())[..., None], mode="reflect"
    )
    np.testing.assert_allclose(got, wanted, atol=2e-6)


def test_a_generalised_blur_of_beta_1_is_the_gaussian_one() -> None:
    shape = {"sigma": 2.0, "ratio": 0.5, "angle": 30.0, "size": 15}
    general = GeneralizedBlur(**shape, beta=1.0)(image(), random(), (0, 0))
    np.testing.assert_allclose(general, blur(**shape)(image(), random(), (0, 0)), atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        (GeneralizedBlur, lambda r: np.exp(-((r / 2) ** 6) / 2)),
        (PlateauBlur, lambda r: 1 / (1 + (r / 2) ** 6)),
    ],
)
def test_a_point_becomes_the_kernel(kind, profile) -> None:
    """Round, sigma 2, beta 3: r² = x² + y², q^beta = (r / 2)^6."""
    point = np.zeros((31, 31, 1), np.float32)
    point[15, 15] = 1
    link = kind(sigma=2.0, ratio=1.0, angle=0.0, size=13, beta=3.0)
    got = link(point, random(), (0, 0))[9:22, 9:22, 0]
    y, x = np.mgrid[-6:7, -6:7]
    wanted = profile(np.hypot(x, y))
    np.testing.assert_allclose(got, wanted / wanted.sum(), atol=1e-6)


@pytest.mark.parametrize("cutoff", [1.0, 2.0, 3.0])
def test_a_sinc_kernel_is_the_transform_of_a_disc(cutoff: float) -> None:
    """1/(4 pi²) times the integral of cos(u x) over all (u, v) of a length below the cutoff."""
    kernel = sinc_kernel(13, cutoff)
    u = (np.arange(4000) + 0.5) / 4000 * 2 * cutoff - cutoff
    strips = 2 * np.sqrt(cutoff**2 - u**2) * (2 * cutoff / 4000) / (4 * np.pi**2)
    wanted = [(strips * np.cos(u * x)).sum() for x in range(7)]
    np.testing.assert_allclose(kernel[6, 6:], wanted, atol=2e-5)
    np.testing.assert_allclose(kernel[6:, 6], wanted, atol=2e-5)


def test_a_sinc_filter_keeps_what_is_slower_and_takes_what_is_faster() -> None:
    x = np.arange(120)
    slow, fast = (
        np.broadcast_to(0.5 + 0.3 * np.cos(w * x)[None, :, None], (60, 120, 1)).astype(np.float32)
        for w in (np.pi / 8, np.pi * 0.9)
    )
    link = Sinc(cutoff=1.5, size=41)
    kept, taken = (link(one, random(), (0, 0))[30, 30:90, 0] - 0.5 for one in (slow, fast))
    assert np.ptp(kept) == pytest.approx(0.6, rel=0.05)
    assert np.ptp(taken) < 0.03


def test_a_kernel_is_drawn_from_those_named() -> None:
    link = Resize(factor=None, interpolation=["box", "bicubic"], engine="matlab", antialias=True)
    assert link.random
    given = {link(image(), random(seed), (20, 25)).tobytes() for seed in range(20)}
    assert given == {
        resize_matlab(image(), (20, 25), kernel).tobytes() for kernel in ("box", "bicubic")
    }


def test_gaussian_noise_has_the_stated_spread_and_is_its_own_in_each_channel() -> None:
    noise = GaussianNoise(sigma=25.0, grey=False)(grey(0.5), random(), (0, 0)) - 0.5
    assert noise.std() * 255 == pytest.approx(25, rel=0.01)
    assert abs(noise.mean()) * 255 < 0.2
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.01


@pytest.mark.parametrize(
    "link", [GaussianNoise(sigma=9.0, grey=True), PoissonNoise(scale=1.0, grey=True)]
)
def test_grey_noise_is_the_same_in_all_channels(link) -> None:
    noise = link(image(), random(), (0, 0)) - image()
    np.testing.assert_allclose(noise[..., 0], noise[..., 2], atol=1e-6)
    assert noise.std() > 0.01


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("level", [0.2, 0.8])
def test_poisson_noise_grows_with_the_light(scale: float, level: float) -> None:
    """Var k scale / 255, k ~ Poisson(255 x / scale), is x scale / 255."""
    noisy = PoissonNoise(scale=scale, grey=False)(grey(level), random(), (0, 0))
    assert noisy.mean() == pytest.approx(level, rel=0.002)
    assert noisy.var() == pytest.approx(level * scale / 255, rel=0.02)


def test_resize_ends_at_the_size_of_lr_or_at_its_own() -> None:
    link = Resize(factor=None, interpolation="bicubic", engine="matlab", antialias=True)
    np.testing.assert_array_equal(
        link(image(), random(), (20, 25)), resize_matlab(image(), (20, 25))
    )
    half = Resize(factor=0.5, interpolation="bicubic", engine="matlab", antialias=True)
    assert half(image(41, 50), random(), (1, 1)).shape == (21, 25, 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_is_pillows(channels: int, subsampling: str) -> None:
    levels = np.rint(image(channels=channels) * 255).astype(np.uint8)
    content = io.BytesIO()
    picture = Image.fromarray(levels if channels == 3 else levels[..., 0])
    more = {"subsampling": subsampling} if channels == 3 else {}
    picture.save(content, "JPEG", quality=40, **more)
    wanted = np.asarray(Image.open(content)).reshape(levels.shape)
    got = Jpeg(quality=40, subsampling=subsampling)(image(channels=channels), random(), (0, 0))
    np.testing.assert_allclose(got * 255, wanted, atol=1e-4)
    assert np.abs(got * 255 - levels).max() > 10


def test_webp_loses_more_at_less_quality() -> None:
    smooth = resize_matlab(image(8, 8), (64, 64)).clip(0, 1)
    errors = [
        np.square(WebP(quality=q)(smooth, random(), (0, 0)) - smooth).mean() for q in (95, 20)
    ]
    assert 0 < errors[0] < errors[1]


def test_two_numbers_are_drawn_between() -> None:
    link = GaussianNoise(sigma=[5.0, 20.0], grey=False)
    assert link.random
    spreads = [(link(grey(0.5, 60), random(seed), (0, 0)) - 0.5).std() * 255 for seed in range(40)]
    assert 4.5 < min(spreads) < 7.5
    assert 17.5 < max(spreads) < 21
    assert np.mean(spreads) == pytest.approx(12.5, abs=2.5)


@pytest.mark.parametrize("bad", [[5, 2], [1], [1, 2, 3], "x", True, None, [1, None]])
def test_what_is_neither_a_number_nor_two_rising_ones_is_refused(bad: object) -> None:
    with pytest.raises(OptionError, match=r"^sigma=.*a number, or two rising ones"):
        GaussianNoise(sigma=bad, grey=False)
    with pytest.raises(OptionError, match="between 0 and 255"):
        GaussianNoise(sigma=[1, 300], grey=False)


def test_a_draw_is_the_same_again_and_no_other() -> None:
    def numbers(draw: Draw, seed: int = 0, purpose: str = "noise") -> bytes:
        return draw.generator(seed, purpose).random(4).tobytes()

    again = numbers(Draw("a", 3))
    assert again == numbers(Draw("a", 3))
    others = [
        numbers(Draw("b", 3)), numbers(Draw("a", 4)), numbers(Draw("a", 3), 1),
        numbers(Draw("a", 3), 0, "jpeg"),
    ]  # fmt: skip
    assert len({again, *others}) == 5
