"""Tasks, reports and their digests."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.stats

from srexp.data.sets import DataError, ImageSet
from srexp.degradations.base import NO_DRAW, Degradation
from srexp.degradations.downscale import Downscale
from srexp.evaluation.scoring import ImageResult, NotFinite, Report, Score, Task, evaluate
from srexp.images.quantize import from_uint8, unpack
from srexp.images.resize import resize_matlab
from srexp.metrics.base import Metric
from srexp.metrics.mae import MAE
from srexp.models.resampler import Resampler
from srexp.models.upscaler import Upscaler
from srexp.protocol import Protocol

X2 = Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True)
PAPER = Protocol(degrade="y", lr_8bit=False, compare="y", border=None)
RGB = Protocol(degrade="rgb", lr_8bit=True, compare="rgb", border=None)


def _noise(height, width, seed, channels=1):
    levels = np.random.default_rng(seed).integers(40, 200, (height, width, channels), np.uint8)
    return from_uint8(levels)


def _set(name="mine", **images):
    return ImageSet(name, images or {"a": _noise(20, 20, 0), "b": _noise(22, 24, 1)})


def _task(images=None, degradation=X2, protocol=PAPER):
    return Task(images or _set(), degradation, "y_paper", protocol)


def _truth_plus(task, differences):
    """An upscaler that knows each HR image by the size of its LR, and misses it by so much."""
    by_shape = {case.lr.shape: (unpack(case.hr), differences[case.name]) for case in task.cases}

    def upscale(lr, *, eight_bit):
        hr, difference = by_shape[lr.shape]
        return hr + np.float32(difference / 255)

    return upscale


def test_known_errors_give_known_scores():
    task = _task()
    report = evaluate(task, _truth_plus(task, {"a": 1, "b": 5}), method="oracle")
    assert [row.image for row in report.rows] == ["a", "b"]
    for row, difference in zip(report.rows, (1, 5), strict=True):
        assert row.score.psnr == pytest.approx(20 * math.log10(255 / difference), abs=1e-9)
    mean = 20 * math.log10(255) - 10 * math.log10(5)  # (0 + 20 log10 5) / 2
    assert report.mean(lambda r: r.score.psnr) == pytest.approx(mean, abs=1e-9)


def test_the_baseline_is_bicubic_there_and_back():
    task = _task()
    case = task.cases[1]
    image = task.images.images["b"]
    lr = resize_matlab(image, (11, 12))
    back = np.clip(np.floor(resize_matlab(lr, (22, 24)) * 255.0 + 0.5), 0, 255)
    np.testing.assert_array_equal(unpack(case.hr), image)
    np.testing.assert_allclose(unpack(case.lr), lr, atol=1e-6)
    np.testing.assert_allclose(unpack(case.bicubic) * 255, back, atol=1e-4)
    error = (back - image * 255.0)[2:-2, 2:-2]
    expected = 10 * math.log10(255**2 / np.mean(error**2))
    assert case.bicubic_score.psnr == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("protocol", [PAPER, RGB])
@pytest.mark.parametrize("engine", ["matlab", "pillow"])
def test_bicubic_gains_nothing_over_bicubic(engine, protocol):
    degradation = replace(X2, engine=engine)
    task = _task(_set(a=_noise(21, 23, 0, 3), b=_noise(18, 18, 1, 3)), degradation, protocol)
    upscaler = Upscaler(Resampler(interpolation="bicubic"), degradation, channels=3)
    report = evaluate(task, upscaler, method="bicubic")
    assert [row.gain for row in report.rows] == [0, 0]
    assert (report.gain.mean, report.gain.n) == (0, 2)


def test_results_are_shown_as_they_come():
    task = _task()
    seen = []
    report = evaluate(
        task,
        _truth_plus(task, {"a": 0.6, "b": -300}),
        method="oracle",
        see=lambda row, case, sr: seen.append((row, case, sr)),
    )
    assert [row for row, _, _ in seen] == report.rows
    assert [case for _, case, _ in seen] == task.cases
    # What is shown was rounded and clipped, like what was scored.
    np.testing.assert_allclose(seen[0][2] * 255, unpack(task.cases[0].hr) * 255 + 1, atol=1e-3)
    np.testing.assert_array_equal(seen[1][2], 0)


def test_an_image_with_an_infinite_psnr_is_left_out_for_every_method():
    # bicubic restores a flat image; the oracle restores b: both go, from every mean.
    images = _set(a=_noise(20, 20, 0), flat=np.full((26, 26, 1), np.float32(0.6)),
                  b=_noise(22, 24, 1), c=_noise(30, 16, 2))  # fmt: skip
    task = _task(images)
    oracle = _truth_plus(task, {"a": 1, "flat": 2, "b": 0, "c": 4})
    report = evaluate(task, oracle, method="oracle")
    rows = {row.image: row for row in report.rows}
    assert rows["flat"].bicubic == Score(math.inf, 1.0)
    assert rows["b"].score == Score(math.inf, 1.0)
    assert report.infinite == ["flat", "b"]
    assert [row.image for row in report.counted] == ["a", "c"]
    counted = [rows["a"], rows["c"]]
    metrics = report.metrics()
    for key, quantity in {
        "psnr": lambda r: r.score.psnr,
        "ssim": lambda r: r.score.ssim,
        "psnr_bicubic": lambda r: r.bicubic.psnr,
        "ssim_bicubic": lambda r: r.bicubic.ssim,
        "psnr_gain": lambda r: r.score.psnr - r.bicubic.psnr,
        "ssim_gain": lambda r: r.score.ssim - r.bicubic.ssim,
    }.items():
        expected = sum(quantity(row) for row in counted) / 2
        assert metrics[f"mine_x2/y_paper/{key}"] == pytest.approx(expected, abs=1e-12)
    gains = [row.gain for row in counted]
    low, high = scipy.stats.t.interval(0.95, 1, np.mean(gains), scipy.stats.sem(gains))
    assert metrics["mine_x2/y_paper/psnr_gain_low"] == pytest.approx(low, abs=1e-9)
    assert metrics["mine_x2/y_paper/psnr_gain_high"] == pytest.approx(high, abs=1e-9)
    assert len(metrics) == 8


def _report(*rows):
    results = [ImageResult(n, Score(p, 0.9), Score(b, 0.8)) for n, p, b in rows]
    return Report(_task(), results, "method", "")


def test_with_no_finite_image_there_is_no_mean():
    report = _report(("a", math.inf, 30.0), ("b", math.inf, math.inf))
    assert math.isnan(report.mean(lambda r: r.score.psnr))
    assert math.isnan(report.mean(lambda r: r.score.ssim))
    assert report.gain.n == 0
    assert report.metrics() == {}
    assert report.infinite == ["a", "b"]


@pytest.mark.parametrize("bicubic", [30.0, math.inf])
def test_what_is_monitored_is_of_all_images_so_that_a_perfect_one_is_the_best(bicubic):
    """Left out, as it is of means that are published, it would make a better network the worse."""
    worse = _report(("a", 30.0, 28.0), ("b", 60.0, bicubic))
    better = _report(("a", 30.0, 28.0), ("b", math.inf, bicubic))
    assert worse.monitored("psnr") == pytest.approx(45)
    assert better.monitored("psnr") == pytest.approx(65)
    assert better.monitored("ssim") == pytest.approx(0.9)


def test_one_image_has_means_and_no_interval():
    metrics = _report(("a", 33.0, 30.0)).metrics()
    assert metrics["mine_x2/y_paper/psnr_gain"] == 3
    assert not [key for key in metrics if key.endswith(("low", "high"))]


@dataclass(kw_only=True)
class Noisy(Degradation):
    """A degradation that draws."""

    random = True
    seed: int = 0

    def __call__(self, hr, *, draw=NO_DRAW, eight_bit=False):
        small = hr[:: self.scale, :: self.scale]
        noise = draw.generator(self.seed, "noise").normal(0, 0.1, small.shape)
        return small + noise.astype(np.float32)

    @property
    def label(self):
        return "noisy"


def test_digests_change_with_what_a_score_belongs_to():
    image = {"a": _noise(20, 20, 0), "b": _noise(22, 24, 1)}
    other = {"a": _noise(20, 20, 0), "b": _noise(22, 24, 2)}
    tasks = [
        _task(),
        _task(_set(**other)),
        _task(_set(a=image["a"])),
        *(_task(degradation=replace(X2, **c)) for c in (
            {"scale": 3}, {"interpolation": "bilinear"}, {"engine": "pillow"},
            {"antialias": False})),
        *(_task(protocol=replace(PAPER, **c)) for c in (
            {"degrade": "rgb"}, {"degrade": "rgb", "compare": "rgb"}, {"lr_8bit": True},
            {"luma": "full"}, {"rounding": "none"}, {"rounding": "truncate"}, {"border": 0})),
    ]  # fmt: skip
    assert len({task.digest for task in tasks}) == len(tasks)


def test_digests_do_not_change_with_anything_else():
    first = _task().digest
    assert _task(_set("renamed", x=_noise(22, 24, 1), y=_noise(20, 20, 0))).digest == first


def test_settings_that_give_the_same_numbers_are_one_digest():
    """The border of the scale is the scale's; nearest has no kernel that antialiasing stretches."""
    for scale, equal in ((2, True), (3, False)):
        own, other = (
            _task(degradation=replace(X2, scale=scale), protocol=replace(PAPER, border=border))
            for border in (None, 2)
        )
        assert (own.digest == other.digest) is equal
    nearest = [
        _task(degradation=replace(X2, interpolation="nearest", antialias=antialias))
        for antialias in (True, False)
    ]
    assert nearest[0].digest == nearest[1].digest and nearest[0].label == nearest[1].label
    first, second = (unpack(task.cases[0].lr) for task in nearest)
    np.testing.assert_array_equal(first, second)


def test_an_image_that_bicubic_gets_exactly_is_in_no_mean():
    """A flat image: bicubic's PSNR is infinite, the network's is not; its gain would be -inf."""
    flat = np.full((24, 24, 3), 100 / 255, np.float32)
    task = _task(_set(flat=flat, other=_noise(24, 24, 3)))
    report = evaluate(task, lambda lr, eight_bit=False: np.full((24, 24, 1), 0.3, np.float32),
                      method="grey")  # fmt: skip
    assert math.isinf(report.rows[0].bicubic.psnr) and math.isfinite(report.rows[0].score.psnr)
    assert report.infinite == ["flat"]
    assert [row.image for row in report.counted] == ["other"]
    assert report.gain.n == 1
    assert report.gain.mean == report.rows[1].gain == report.mean(lambda row: row.gain)


def test_each_image_is_scored_on_its_first_draw_and_no_two_on_the_same():
    """Of the degradation's seed and the image's content, whatever its name and the others."""
    noisy = Noisy(scale=2, interpolation="bicubic", engine="matlab")
    flat = {
        name: np.full((20, 20, 1), level, np.float32) for name, level in (("a", 0.4), ("b", 0.6))
    }
    task = _task(_set(**flat), noisy)
    first, second = (unpack(case.lr) - hr for case, hr in zip(task.cases, (0.4, 0.6), strict=True))
    assert np.abs(first - second).max() > 0.1
    (alone,) = _task(_set(renamed=flat["b"]), noisy).cases
    np.testing.assert_array_equal(unpack(alone.lr), unpack(task.cases[1].lr))
    other = _task(_set(**flat), replace(noisy, seed=1))
    assert other.digest != task.digest
    assert np.abs(unpack(other.cases[0].lr) - unpack(task.cases[0].lr)).max() > 0.1


def test_a_task_is_named_by_all_three():
    task = _task(degradation=replace(X2, scale=3))
    assert task.key == "mine_x3/y_paper"
    assert task.label == f"mine (2 images), x3 matlab bicubic, y_paper [{task.digest}]"


@pytest.mark.parametrize(("scale", "least"), [(2, 16), (3, 18), (4, 20)])
def test_images_too_small_to_be_scored_are_named_at_once(scale, least):
    # The window of 11 pixels inside a border of `scale`, on sides that the scale divides.
    images = _set(wide=_noise(least - 1, 40, 0), fits=_noise(least, least, 1),
                  tall=_noise(40, least - 1, 2))  # fmt: skip
    message = (
        rf"below {least} pixels .* scale {scale}: wide \(40x{least - 1}\), tall \({least - 1}x40\)$"
    )
    with pytest.raises(DataError, match=message):
        _task(images, replace(X2, scale=scale))
    fitting = _task(_set(fits=images.images["fits"]), replace(X2, scale=scale))
    assert math.isfinite(fitting.cases[0].bicubic_score.psnr)


def test_a_network_that_returns_nan_is_refused_by_name():
    task = _task()
    with pytest.raises(NotFinite, match="a: "):
        evaluate(task, _truth_plus(task, {"a": math.nan, "b": 1}), method="diverged")


def _pairs(scale=2, channels=1):
    """HR that nothing makes of LR: 20x22 and 21x24, whose last row is cut off at scale 2."""
    hr = {"a": _noise(20, 22, 0, channels), "b": _noise(21, 24, 1, channels)}
    lr = {n: _noise(x.shape[0] // scale, x.shape[1] // scale, 7, channels) for n, x in hr.items()}
    return ImageSet("pairs", hr, lr=lr)


def test_lr_that_comes_with_a_set_is_taken_as_it_is():
    images = _pairs()
    task = _task(images)
    for case in task.cases:
        np.testing.assert_array_equal(unpack(case.lr), images.lr[case.name])
        np.testing.assert_array_equal(unpack(case.hr), images.images[case.name][:20])
    assert "x2 matlab, LR as given" in task.label


def test_luma_is_taken_of_lr_that_comes_in_colour():
    images = _pairs(channels=3)
    (case, _) = _task(images).cases
    y = (16 + images.lr["a"] @ np.array([65.481, 128.553, 24.966])) / 255
    np.testing.assert_allclose(unpack(case.lr)[..., 0] * 255, np.round(y * 255), atol=1e-4)
    (case, _) = _task(images, protocol=RGB).cases
    np.testing.assert_array_equal(unpack(case.lr), images.lr["a"])


def test_the_digest_of_pairs_knows_their_lr_and_not_what_would_have_made_it():
    images = _pairs()
    first = _task(images).digest
    assert first != _task(ImageSet("pairs", images.images)).digest
    other = ImageSet("pairs", images.images, lr={**images.lr, "a": 1 - images.lr["a"]})
    assert _task(other).digest != first
    swapped = {"a": images.images["a"], "b": images.images["b"]}
    assert _task(ImageSet("p", swapped, lr=images.lr)).digest == first
    box = replace(X2, interpolation="box", antialias=False)
    assert _task(images, degradation=box).digest == first
    assert _task(images, degradation=replace(X2, engine="pillow")).digest != first


def test_pairs_of_another_scale_are_refused():
    message = (
        r"at scale 2 HR must be 2 times .* as LR; a \(HR 22x20, LR 7x6\), b \(HR 24x21, LR 8x7\)$"
    )
    with pytest.raises(DataError, match=message):
        _task(_pairs(scale=3))


@pytest.mark.parametrize("ahead", [0, 500, 2**23])
def test_cases_that_are_not_kept_give_the_same_scores(ahead):
    images = _set(**{str(i): _noise(20 + i, 20, i) for i in range(6)})
    kept = _task(images)
    gone = replace(kept, keep=False, ahead=ahead)
    upscaler = Upscaler(Resampler(interpolation="nearest"), X2, channels=3)
    rows = [evaluate(task, upscaler, method="nearest").rows for task in (kept, gone, gone)]
    assert rows[0] == rows[1] == rows[2]
    assert [row.image for row in rows[1]] == [str(i) for i in range(6)]
    assert "cases" not in vars(gone)


def test_nothing_is_prepared_ahead_where_something_is_timed(monkeypatch):
    task = replace(_task(_set(a=_noise(20, 20, 0), b=_noise(20, 20, 1))), keep=False, ahead=0)
    made = []
    pair = Protocol.pair

    def counted(*arguments, **options):
        made.append(1)
        return pair(*arguments, **options)

    monkeypatch.setattr(Protocol, "pair", counted)
    seen = []
    upscaler = Upscaler(Resampler(interpolation="nearest"), X2, channels=3)
    evaluate(task, upscaler, method="nearest", see=lambda *_: seen.append(len(made)))
    assert seen == [1, 2]


class Brightness(Metric):
    """A metric whose values are known: the mean level of the image alone."""

    label = "brightness"
    minimum_side = 18

    def __call__(self, image, reference):
        assert image.dtype == reference.dtype == np.uint8
        return float(image.mean())


def test_further_metrics_see_what_the_protocol_compares():
    images = {"a": _noise(24, 24, 0), "b": _noise(22, 30, 1)}
    plain, task = _task(_set(**images)), _task(_set(**images))
    task.metrics = {"level": Brightness(), "mae": MAE()}
    assert task.digest == plain.digest
    report = evaluate(task, _truth_plus(task, {"a": 1, "b": -3}), method="oracle")
    before = evaluate(plain, _truth_plus(plain, {"a": 1, "b": -3}), method="oracle")
    levels = {name: np.rint(image * 255)[2:-2, 2:-2].mean() for name, image in images.items()}
    for row, other, difference in zip(report.rows, before.rows, (1, -3), strict=True):
        further = row.score.further
        assert further["mae"] == abs(difference)
        assert further["level"] == pytest.approx(levels[row.image] + difference, abs=1e-9)
        assert row.bicubic.further["mae"] > 3
        assert (row.score.psnr, row.score.ssim) == (other.score.psnr, other.score.ssim)
        assert other.score.further == other.bicubic.further == {}
    values = report.metrics()
    assert values["mine_x2/y_paper/mae"] == 2
    mean = np.mean([row.bicubic.further["mae"] for row in report.rows])
    assert values["mine_x2/y_paper/mae_bicubic"] == pytest.approx(mean, abs=1e-12)
    old = before.metrics()
    assert {key: values[key] for key in old} == old


def test_no_value_of_a_small_image_and_then_no_mean():
    task = _task(_set(fits=_noise(22, 22, 0), small=_noise(22, 20, 1)))
    task.metrics = {"level": Brightness()}
    report = evaluate(task, _truth_plus(task, {"fits": 1, "small": 1}), method="oracle")
    assert [math.isnan(row.score.further["level"]) for row in report.rows] == [False, True]
    assert all(math.isnan(value) for value in report.further("level"))
    assert not [key for key in report.metrics() if "level" in key]


@pytest.mark.parametrize("protocol", ["y_paper", "y_of_rgb", "rgb"])
def test_metrics_under_each_protocol(protocol):
    """Protocols that compare luma give the metrics luma, in one channel."""
    options = {
        "y_paper": PAPER, "rgb": RGB, "y_of_rgb": replace(RGB, compare="y"),
    }  # fmt: skip
    shapes = []

    class Seen(Metric):
        def __call__(self, image, reference):
            shapes.append((image.shape, reference.shape))
            return 0.0

    images = _set(a=_noise(30, 33, 0, 3))
    task = Task(images, X2, protocol, options[protocol], metrics={"seen": Seen()})
    upscaler = Upscaler(Resampler(interpolation="bicubic"), X2, channels=3)
    evaluate(task, upscaler, method="bicubic")
    shape = (26, 28, 3 if protocol == "rgb" else 1)
    assert shapes == [(shape, shape)] * 2
