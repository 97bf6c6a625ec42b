"""How large a picture becomes, and by which networks."""

from __future__ import annotations

import pytest

from srexp.upscaling.sizes import Wanted, chain


@pytest.mark.parametrize(
    ("wanted", "size", "text"),
    [
        (Wanted(scale=3), (300, 150), "x3"),
        (Wanted(width=250), (250, 125), "w250"),
        (Wanted(height=33), (66, 33), "h33"),
        (Wanted(height=1), (2, 1), "h1"),
    ],
)
def test_one_side_follows_the_other(wanted, size, text):
    assert wanted.of(100, 50) == size
    assert str(wanted) == text


def test_no_side_becomes_nothing():
    assert Wanted(width=10).of(2000, 1) == (10, 1)


@pytest.mark.parametrize(
    ("factor", "scales", "expected"),
    [
        (1, (2, 3, 4), []),
        (0.3, (2,), []),
        (2, (2, 3, 4), [2]),
        (2.5, (2, 3, 4), [3]),
        (4, (2, 3, 4), [4]),
        (4, (2, 3), [2, 2]),
        (5, (2, 3, 4), [3, 2]),
        (8, (2, 3, 4), [4, 2]),
        (8, (2,), [2, 2, 2]),
        (8, (3,), [3, 3]),
        (3.1, (2,), [2, 2]),
        (1000, (2, 4), [4, 4, 4, 4]),
    ],
)
def test_networks_enlarge_by_enough_and_by_as_little_more_as_they_can(factor, scales, expected):
    assert chain(factor, scales) == expected
