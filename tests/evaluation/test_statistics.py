"""Intervals, tests and corrections, against SciPy, closed forms and simulated data."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from srexp.evaluation import statistics
from srexp.evaluation.statistics import (
    RESAMPLES,
    holm,
    paired_differences,
    smallest_p,
    spread,
    t_interval,
)


@pytest.mark.parametrize("n", [2, 3, 5, 14, 100])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_agrees_with_scipy(n, confidence):
    values = np.random.default_rng(n).normal(1.5, 0.7, n)
    expected = scipy.stats.t.interval(
        confidence, n - 1, loc=values.mean(), scale=scipy.stats.sem(values)
    )
    got = t_interval(list(values), confidence)
    assert (got.low, got.high) == pytest.approx(expected, abs=1e-12)
    assert (got.mean, got.n) == (pytest.approx(values.mean(), abs=1e-12), n)


def test_five_values_at_the_table_of_t():
    # t for 95 % and 4 degrees of freedom: 2.776 in every table. Standard deviation of 1..5: 1.5811.
    got = t_interval([1, 2, 3, 4, 5])
    assert got.mean == 3
    assert got.high - 3 == pytest.approx(2.776 * math.sqrt(2.5 / 5), abs=1e-3)
    assert 3 - got.low == pytest.approx(got.high - 3, abs=1e-12)


def test_equal_values_have_no_width():
    got = t_interval([0.25, 0.25, 0.25])
    assert (got.mean, got.low, got.high) == (0.25, 0.25, 0.25)


def test_one_value_has_no_interval():
    got = t_interval([2.5])
    assert (got.mean, got.n) == (2.5, 1)
    assert math.isnan(got.low)
    assert math.isnan(got.high)


def test_no_values_have_no_mean():
    got = t_interval([])
    assert got.n == 0
    assert all(math.isnan(x) for x in (got.mean, got.low, got.high))


def test_the_spread_of_replicates():
    assert spread([1, 2, 3, 4, 5]) == pytest.approx(math.sqrt(2.5), abs=1e-15)
    assert math.isnan(spread([1.0])) and math.isnan(spread([]))


# Paired differences.


def of(differences, **options):
    """Of each row of differences: made of it and a method that scores nothing."""
    differences = np.asarray(differences)
    scores = np.concatenate([differences, np.zeros((1, differences.shape[1]))])
    last = len(differences)
    return paired_differences(scores, [(i, last) for i in range(last)], **options)


@pytest.mark.parametrize("n", [2, 5, 14, 40])
def test_the_interval_of_a_difference_is_that_of_the_paired_t_test(n):
    rng = np.random.default_rng(n)
    a, b = rng.normal(31, 3, (2, n))
    expected = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    (got,) = paired_differences(np.stack([a, b]), [(0, 1)])
    assert got.difference.mean == pytest.approx(np.mean(a - b), abs=1e-12)
    assert (got.difference.low, got.difference.high) == pytest.approx(tuple(expected), abs=1e-10)


@pytest.mark.parametrize("n", [2, 3, 5, 9, 14, 16])
def test_the_exact_test_agrees_with_scipy(n):
    """Rounded to tenths, so that many sums tie but for their last bits."""
    rng = np.random.default_rng(n)
    differences = rng.normal(0.3, 1, (4, n))
    differences[1] = differences[1].round(1)
    differences[2] = 0.1
    differences[3, ::2] = 0
    got = of(differences)
    for row, result in zip(differences, got, strict=True):
        if n < 14:
            expected = scipy.stats.permutation_test(
                (row, np.zeros(n)), lambda a, b: np.mean(a - b), permutation_type="samples",
                n_resamples=np.inf,
            ).pvalue  # fmt: skip
        else:
            sums = np.zeros(1)
            for value in row:
                sums = np.concatenate([sums + value, sums - value])
            expected = np.mean(np.abs(sums) >= abs(row.sum()) - 1e-9)
        assert result.exact
        assert result.p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [17, 40])
def test_the_drawn_test_agrees_with_scipy(n):
    rng = np.random.default_rng(n)
    differences = rng.normal([[0.1], [0.3]], 1, (2, n))
    for row, result in zip(differences, of(differences), strict=True):
        expected = scipy.stats.permutation_test(
            (row, np.zeros(n)), lambda a, b, axis: np.mean(a - b, axis=axis),
            permutation_type="samples", vectorized=True, n_resamples=9_999, rng=1,
        ).pvalue  # fmt: skip
        assert not result.exact
        # Both are drawn: five standard errors of their difference.
        assert result.p == pytest.approx(expected, abs=5 * math.sqrt(2 * expected / RESAMPLES))


def test_a_drawn_p_is_never_zero_and_the_same_again():
    one, two = (of(np.full((1, 30), 0.5))[0] for _ in range(2))
    assert one == two
    assert one.p == one.smallest_p == 1 / (RESAMPLES + 1)
    mixed = np.random.default_rng(0).normal(0.2, 1, (1, 30))
    assert of(mixed, seed=1)[0].p != of(mixed, seed=2)[0].p


@pytest.mark.parametrize(("n", "least"), [(1, 1.0), (3, 0.25), (5, 0.0625), (14, 2**-13)])
def test_few_images_allow_no_small_p(n, least):
    """Five images: 2 of 32 sign choices are as extreme as all alike. So with Wilcoxon's test."""
    (result,) = of(np.arange(1.0, n + 1)[None])
    assert result.p == result.smallest_p == smallest_p(n, exact=True) == least
    if n > 1:
        wilcoxon = scipy.stats.wilcoxon(np.arange(1.0, n + 1), method="exact").pvalue
        assert wilcoxon == pytest.approx(least, abs=1e-12)


def test_an_image_without_difference_says_nothing():
    (result,) = of(np.array([[0.3, 0.0, 0.2, 1e-15, 0.4]]))
    assert (result.wins, result.ties, result.losses) == (3, 2, 0)
    assert result.p == result.smallest_p == 0.25


def test_a_pair_turned_around():
    differences = np.random.default_rng(3).normal(0.2, 1, (1, 12))
    (one,), (other,) = of(differences), of(-differences)
    assert (one.p, one.wins, one.losses) == (other.p, other.losses, other.wins)
    assert one.difference.low == -other.difference.high


@pytest.mark.parametrize("n", [14, 30])
def test_many_pairs_are_as_one_by_one(n):
    scores = np.random.default_rng(4).normal(30, 1, (60, n))
    pairs = [(i, j) for i in range(60) for j in range(i)]
    together = paired_differences(scores, pairs)
    for index in (0, 100, 511, 512, 1769):
        i, j = pairs[index]
        (alone,) = paired_differences(scores[[i, j]], [(0, 1)])
        assert together[index].p == alone.p
        assert together[index].difference == alone.difference
        assert together[index].wins == np.sum(scores[i] > scores[j])
    assert paired_differences(scores, []) == []


@pytest.mark.parametrize("n", [7, 40])
def test_without_room_for_all_sums_p_is_the_same(n, monkeypatch):
    scores = np.random.default_rng(n).normal(30, 1, (6, n))
    pairs = [(i, j) for i in range(6) for j in range(i)]
    before = [result.p for result in paired_differences(scores, pairs)]
    monkeypatch.setattr(statistics, "_SUMS_KEPT", 3)
    assert [result.p for result in paired_differences(scores, pairs)] == before


def test_no_images_have_no_p():
    (result,) = of(np.zeros((1, 0)))
    assert math.isnan(result.p) and math.isnan(result.smallest_p)
    assert (result.difference.n, result.wins, result.ties) == (0, 0, 0)


# Holm's correction.


def test_holm_in_closed_form():
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04 not below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], abs=1e-15)
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
    assert holm([0.02, 0.02, 0.02]) == pytest.approx([0.06] * 3, abs=1e-15)


def test_holm_is_the_step_down_procedure():
    """Corrected p <= level for just those that the procedure, step by step, rejects."""
    rng = np.random.default_rng(5)
    for level in (0.01, 0.05, 0.3):
        p = rng.uniform(0, 1, 12) ** 3
        rejected = set()
        for step, index in enumerate(np.argsort(p)):
            if p[index] > level / (len(p) - step):
                break
            rejected.add(index)
        assert {i for i, value in enumerate(holm(p)) if value <= level} == rejected


def test_holm_passes_over_what_is_no_number():
    got = holm([0.01, math.nan, 0.03])
    assert got[0] == 0.02 and math.isnan(got[1]) and got[2] == 0.03


# Simulated data: that the words mean what they say.


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 14, 100])
def test_without_a_difference_the_test_rejects_at_its_level(n):
    """Two methods that are alike, on images as unlike each other as those of a benchmark."""
    rng = np.random.default_rng(100 + n)
    data_sets, p = 20_000, []
    for part in range(10):
        image = rng.normal(30, 4, (data_sets // 10, n))  # hard and easy ones
        a, b = (image + rng.standard_t(4, image.shape) * 0.3 for _ in range(2))
        p += [result.p for result in of(a - b, seed=part)]
    for level in (0.01, 0.05, 0.0625, 0.1, 0.5):
        # p takes multiples of the smallest one only.
        step = smallest_p(n, exact=n <= 16)
        expected = math.floor(level / step + 1e-9) * step
        error = math.sqrt(expected * (1 - expected) / data_sets)
        assert np.mean(np.array(p) <= level + 1e-12) == pytest.approx(expected, abs=4 * error)


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 14, 100])
@pytest.mark.parametrize("shape", ["normal", "uniform", "heavy tails"])
def test_intervals_cover_what_they_claim(n, shape):
    rng = np.random.default_rng(200 + n)
    size = (40_000, n)
    differences = (
        0.4
        + {
            "normal": lambda: rng.normal(0, 0.3, size),
            "uniform": lambda: rng.uniform(-0.5, 0.5, size),
            "heavy tails": lambda: 0.3 * rng.standard_t(4, size),
        }[shape]()
    )
    results = [result.difference for result in of(differences[:2000])]
    intervals = [t_interval(row) for row in differences]
    assert results[7].low == pytest.approx(intervals[7].low, abs=1e-12)
    covered = np.mean([i.low <= 0.4 <= i.high for i in intervals])
    # Exact for the normal distribution; within 2 % for the others.
    error = 4 * math.sqrt(0.95 * 0.05 / size[0])
    assert covered == pytest.approx(0.95, abs=error if shape == "normal" else 0.02)


@pytest.mark.slow
def test_holm_keeps_the_level_of_all_comparisons_together():
    """Four methods that are alike, so six comparisons: any of them rejected in 5 % at most."""
    rng = np.random.default_rng(6)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    rejected, plain = 0, 0
    for _ in range(2000):
        scores = rng.normal(30, 4, 14) + rng.normal(0, 0.3, (4, 14))
        p = [result.p for result in paired_differences(scores, pairs)]
        rejected += min(holm(p)) <= 0.05
        plain += min(p) <= 0.05
    assert rejected / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert plain / 2000 > 0.1, "what the correction is for"
