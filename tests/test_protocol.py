"""The protocols that ship: published digits, and each rule by itself."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from srexp.config.compose import compose
from srexp.config.settings import build_option, evaluate_settings
from srexp.degradations.downscale import Downscale
from srexp.evaluation.scoring import Task
from srexp.images.quantize import from_uint8
from srexp.images.resize import resize_matlab, resize_pillow
from srexp.options import OptionError
from srexp.protocol import Protocol, digest, options_digest


@cache
def _protocol(name):
    config = compose("evaluate", [f"protocol={name}"])
    return build_option("protocol", config["protocol"][name], f"protocol.{name}")


def _downscale(scale, engine="matlab"):
    return Downscale(scale=scale, interpolation="bicubic", engine=engine, antialias=True)


@pytest.fixture(scope="module")
def bicubic_of(shared_data, tmp_path_factory):
    """(set, protocol, scale, engine) -> (PSNR, SSIM) of bicubic by image."""
    output = tmp_path_factory.mktemp("out")

    @cache
    def load(name):
        overrides = [f"benchmark={name}", f"paths.data_dir={shared_data}"]
        settings = evaluate_settings(
            compose("evaluate", [*overrides, f"paths.output_dir={output}"])
        )
        images = settings.benchmark[name].load(name)
        assert images.remarks == []  # the published pixels
        return images

    @cache
    def score(name, protocol, scale, engine="matlab"):
        overrides = [f"degradation.scale={scale}", f"degradation.engine={engine}"]
        settings = evaluate_settings(
            compose("evaluate", [*overrides, f"protocol={protocol}", f"paths.output_dir={output}"])
        )
        task = Task(load(name), settings.degradation, protocol, settings.protocol[protocol])
        return {case.name: case.bicubic_score for case in task.cases}

    return score


def _means(scores):
    psnrs, ssims = zip(*((s.psnr, s.ssim) for s in scores.values()), strict=True)
    return np.mean(psnrs), np.mean(ssims)


# Bicubic, PSNR-Y and SSIM-Y. Two digits (four of SSIM) are those of the SRCNN paper (Dong et al.,
# IEEE TPAMI 38(2), 2016, table 2); the further ones of PSNR are of an independent implementation
# in MATLAB's terms.
@pytest.mark.parametrize(
    ("name", "scale", "psnr", "ssim"),
    [
        ("set5", 2, 33.6614, 0.9299),
        ("set5", 3, 30.3922, 0.8682),
        ("set5", 4, 28.4207, 0.8104),
        ("set14", 2, 30.2318, 0.8687),
        ("set14", 3, 27.5405, 0.7736),
        ("set14", 4, 26.0001, 0.7019),
    ],
)
def test_y_paper_meets_the_published_digits(bicubic_of, name, scale, psnr, ssim):
    got = _means(bicubic_of(name, "y_paper", scale))
    assert got == pytest.approx((psnr, ssim), abs=1e-4)


# 8-bit RGB throughout, over all three channels; two engines that share a kernel.
@pytest.mark.parametrize(
    ("engine", "scale", "psnr"),
    [
        ("matlab", 2, 31.800),
        ("matlab", 3, 28.626),
        ("matlab", 4, 26.696),
        ("pillow", 2, 31.787),
        ("pillow", 3, 28.624),
        ("pillow", 4, 26.692),
    ],
)
def test_rgb_on_set5(bicubic_of, engine, scale, psnr):
    assert _means(bicubic_of("set5", "rgb", scale, engine))[0] == pytest.approx(psnr, abs=1e-3)


@pytest.mark.parametrize(("scale", "psnr"), [(2, 33.65), (3, 30.39), (4, 28.42)])
def test_y_of_rgb_on_set5(bicubic_of, scale, psnr):
    assert _means(bicubic_of("set5", "y_of_rgb", scale))[0] == pytest.approx(psnr, abs=0.01)


def test_y_of_rgb_on_set14_differs_because_of_its_one_grey_picture(bicubic_of):
    paper, of_rgb = (bicubic_of("set14", protocol, 2) for protocol in ("y_paper", "y_of_rgb"))
    assert _means(of_rgb)[0] - _means(paper)[0] == pytest.approx(0.09, abs=0.01)
    differences = {name: of_rgb[name].psnr - paper[name].psnr for name in paper}
    # bridge goes through 16..235, which makes its errors smaller by 219/255: 1.32 dB.
    # What rounding in RGB does to the others is an order of magnitude less.
    assert differences.pop("bridge") == pytest.approx(20 * math.log10(255 / 219), abs=0.03)
    assert max(map(abs, differences.values())) < 0.1


def _noise(height, width, channels=3, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return from_uint8(levels)


def _y(image):
    # In whole numbers, as tests/images/test_colour.py checks for every colour.
    exact = np.rint(image * 255).astype(np.int64) @ [65481, 128553, 24966]
    return (16 + (exact + 127500) // 255000)[..., None] / 255


@pytest.mark.parametrize(("scale", "height", "width"), [(2, 22, 16), (3, 21, 15), (4, 20, 16)])
@pytest.mark.parametrize("name", ["y_paper", "rgb", "y_of_rgb"])
def test_odd_sizes_lose_their_bottom_and_right(name, scale, height, width):
    image = _noise(23, 17)
    hr, lr = _protocol(name).pair(image, _downscale(scale))
    cropped = image[:height, :width]
    expected = _y(cropped) if name == "y_paper" else cropped
    np.testing.assert_allclose(hr, expected, atol=1e-6)
    assert lr.shape == (height // scale, width // scale, _protocol(name).channels)


def test_y_paper_shrinks_luma_in_floats():
    image = _noise(24, 18)
    _, lr = _protocol("y_paper").pair(image, _downscale(3))
    np.testing.assert_allclose(lr, resize_matlab(_y(image), (8, 6)), atol=1e-6)
    assert np.abs(lr * 255 - np.rint(lr * 255)).max() > 0.1


@pytest.mark.parametrize("name", ["rgb", "y_of_rgb"])
@pytest.mark.parametrize("engine", ["matlab", "pillow"])
def test_colour_protocols_shrink_to_an_eight_bit_picture(name, engine):
    image = _noise(24, 18)
    _, lr = _protocol(name).pair(image, _downscale(3, engine))
    if engine == "matlab":
        expected = np.clip(np.floor(resize_matlab(image, (8, 6)) * 255.0 + 0.5), 0, 255)
    else:
        expected = resize_pillow(image, (8, 6), eight_bit=True) * 255
    np.testing.assert_allclose(lr * 255, expected, atol=1e-4)


def test_overshoot_is_clipped_where_lr_is_a_picture_and_kept_where_it_is_not():
    image = np.zeros((16, 16, 1), np.float32)
    image[8:] = 1
    _, stored = _protocol("rgb").pair(image, _downscale(2))
    _, floats = _protocol("y_paper").pair(image, _downscale(2))
    assert (stored.min(), stored.max()) == (0, 1)
    assert floats.max() == pytest.approx(1.01171875, abs=1e-6)


def test_grey_pictures():
    grey = _noise(12, 12, 1)
    hr, _ = _protocol("y_paper").pair(grey, _downscale(2))
    np.testing.assert_array_equal(hr, grey)  # as it is, not in 16..235
    hr, lr = _protocol("rgb").pair(grey, _downscale(2))
    np.testing.assert_array_equal(hr, np.repeat(grey, 3, axis=2))
    np.testing.assert_array_equal(lr[..., 0], lr[..., 2])


def test_16bit_grey_is_rounded_where_hr_is_a_picture():
    deep = np.full((12, 12, 1), np.float32(1000.4 / 65535))  # 3.89 of 255
    hr, _ = _protocol("rgb").pair(deep, _downscale(2))
    np.testing.assert_array_equal(hr, np.full((12, 12, 3), np.float32(4) / np.float32(255)))
    hr, _ = _protocol("y_paper").pair(deep, _downscale(2))
    np.testing.assert_array_equal(hr, deep)


def test_pairs_leave_the_photograph_alone():
    image = _noise(13, 14)
    image.flags.writeable = False
    for name in ("y_paper", "rgb", "y_of_rgb"):
        _protocol(name).pair(image, _downscale(2))


@pytest.mark.parametrize("name", ["y_paper", "rgb"])
def test_results_are_rounded_and_clipped_before_they_are_compared(name):
    protocol = _protocol(name)
    hr = np.full((20, 20, protocol.channels), np.float32(100 / 255))
    assert protocol.score(hr + 0.4 / 255, hr, 2)[0] == math.inf
    assert protocol.score(hr + 0.6 / 255, hr, 2)[0] == pytest.approx(48.1308, abs=1e-4)
    white = np.ones_like(hr)
    assert protocol.score(white * 1.4, white, 2) == (math.inf, 1, {})
    assert protocol.score(-white, 0 * white, 2) == (math.inf, 1, {})


@pytest.mark.parametrize(
    ("rounding", "difference", "psnr"),
    [("nearest", 0.6, 48.1308), ("truncate", 0.6, math.inf), ("truncate", 1.6, 48.1308),
     ("none", 0.6, 48.1308 - 20 * math.log10(0.6))],
)  # fmt: skip
@pytest.mark.parametrize("name", ["y_paper", "rgb"])
def test_results_of_programs_that_do_not_round(name, rounding, difference, psnr) -> None:
    protocol = replace(_protocol(name), rounding=rounding)
    hr = np.full((20, 20, protocol.channels), np.float32(100 / 255))
    sr = hr + np.float32(difference / 255)
    assert protocol.score(sr, hr, 2)[0] == pytest.approx(psnr, abs=1e-3)
    # What is stored is scored alike: a cast takes nothing off what is a level already.
    assert protocol.score(protocol.result(sr), hr, 2)[0] == pytest.approx(psnr, abs=1e-3)


def test_what_is_not_rounded_is_not_clipped_either() -> None:
    protocol = replace(_protocol("y_paper"), rounding="none")
    white = np.ones((20, 20, 1), np.float32)
    assert protocol.score(white * 1.1, white, 2)[0] == pytest.approx(20, abs=1e-4)


def test_every_level_survives_a_cast() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    stored = replace(_protocol("y_paper"), rounding="truncate").result(from_uint8(levels))
    np.testing.assert_array_equal(stored, from_uint8(levels))


def test_full_range_luma_of_colours_by_hand() -> None:
    protocol = replace(_protocol("y_paper"), luma="full")
    image = np.zeros((12, 12, 3), np.float32)
    for colour, level in (((1, 0, 0), 76), ((0, 1, 0), 150), ((0, 0, 1), 29), ((1, 1, 1), 255)):
        hr, _ = protocol.pair(image + np.float32(colour), _downscale(2))
        np.testing.assert_allclose(hr * 255, level, atol=1e-4)
    of_rgb = replace(_protocol("y_of_rgb"), luma="full")
    red = np.zeros((20, 20, 3), np.float32) + np.float32([1, 0, 0])
    expected = 20 * math.log10(255 / 76)
    assert of_rgb.score(red, 0 * red, 2)[0] == pytest.approx(expected, abs=1e-9)


def test_options_added_later_leave_digests_as_they_were() -> None:
    """Those of runs and documents from before `luma` and `rounding`."""
    digests = [options_digest(_protocol(name)) for name in ("y_paper", "rgb", "y_of_rgb")]
    assert digests == ["b9777d3a", "94faf973", "f4467cac"]
    for changes in ({"luma": "full"}, {"rounding": "none"}, {"rounding": "truncate"}):
        assert options_digest(replace(_protocol("y_paper"), **changes)) not in digests


def test_rgb_is_compared_over_all_channels():
    hr = np.zeros((20, 20, 3), np.float32)
    red = hr + np.float32([1, 0, 0])
    assert _protocol("rgb").score(red, hr, 2)[0] == pytest.approx(10 * math.log10(3), abs=1e-9)


def test_y_of_rgb_is_compared_in_luma():
    # Y of red is 81, of black 16: a difference of 65 levels.
    hr = np.zeros((20, 20, 3), np.float32)
    red = hr + np.float32([1, 0, 0])
    expected = 20 * math.log10(255 / 65)
    assert _protocol("y_of_rgb").score(red, hr, 2)[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("corner", ["first", "last"])
@pytest.mark.parametrize(("border", "scale", "dropped"), [(None, 2, 2), (None, 3, 3), (0, 4, 0),
                                                          (5, 2, 5)])  # fmt: skip
def test_the_border_is_dropped_to_the_pixel(border, scale, dropped, corner):
    protocol = Protocol(degrade="y", lr_8bit=False, compare="y", border=border)
    hr = np.zeros((24, 30, 1), np.float32)

    def score(inset, axis):
        sr = hr.copy()
        at = [12, 15]
        at[axis] = inset if corner == "first" else hr.shape[axis] - 1 - inset
        sr[tuple(at)] = 1
        return protocol.score(sr, hr, scale)[0]

    counted = (24 - 2 * dropped) * (30 - 2 * dropped)
    for axis in (0, 1):
        # One pixel wrong by the peak: 10 log10 of the number of pixels that count.
        assert score(dropped, axis) == pytest.approx(10 * math.log10(counted), abs=1e-9)
        if dropped:
            assert score(dropped - 1, axis) == math.inf


@pytest.mark.parametrize("border", [None, 0, 3])
@pytest.mark.parametrize("scale", [2, 3, 4, 5, 8])
def test_minimum_side_is_the_least_that_can_be_scored(scale, border):
    protocol = Protocol(degrade="rgb", lr_8bit=True, compare="rgb", border=border)
    degradation = _downscale(scale)
    least = protocol.minimum_side(scale)

    def score(height, width):
        hr, _ = protocol.pair(_noise(height, width), degradation)
        return protocol.score(1 - hr, hr, scale)

    assert math.isfinite(score(least, least)[0])
    for height, width in ((least - 1, least + 20), (least + 20, least - 1)):
        with pytest.raises(ValueError, match="smaller than the window"):
            score(height, width)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degrade": "yuv"}, "degrade=yuv: must be one of y, rgb"),
        ({"compare": "cb"}, "compare=cb: must be one of y, rgb"),
        ({"border": -1}, "border=-1: must be between 0 and 64"),
    ],
)
def test_protocols_that_cannot_be_are_refused(changes, message):
    values = {"degrade": "y", "lr_8bit": False, "compare": "y", "border": None}
    with pytest.raises(ValueError, match=message):
        Protocol(**(values | changes))


def test_channels_follow_what_is_degraded():
    assert [_protocol(name).channels for name in ("y_paper", "rgb", "y_of_rgb")] == [1, 3, 3]


def test_digests_are_those_of_the_content():
    # SHA-256 of the canonical JSON text {"a":1,"b":[2,null]}, by coreutils' sha256sum.
    assert digest({"b": [2, None], "a": 1}) == digest({"a": 1, "b": [2, None]}) == "cc243773"
    assert digest({"a": 2}) != digest({"a": 1})


def test_options_digests_tell_options_apart():
    every = [
        *(_downscale(scale, engine) for scale in (2, 3) for engine in ("matlab", "pillow")),
        *(_protocol(name) for name in ("y_paper", "rgb", "y_of_rgb")),
    ]
    assert len({options_digest(option) for option in every}) == len(every)
    assert options_digest(_downscale(3)) == options_digest(_downscale(3))


def test_luma_alone_cannot_be_compared_in_rgb() -> None:
    """It would be the numbers of compare=y under a digest of their own."""
    with pytest.raises(OptionError, match=r"^compare=rgb: with degrade=y there is luma alone"):
        Protocol(degrade="y", lr_8bit=False, compare="rgb", border=None)
