"""Student's t interval, against SciPy and a textbook."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from srexp.evaluation.statistics import t_interval


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
