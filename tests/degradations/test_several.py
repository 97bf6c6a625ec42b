"""Links of links: chances, orders, and how far they look."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from srexp.degradations.base import Draw
from srexp.degradations.links.base import Link
from srexp.degradations.links.blur import GaussianBlur
from srexp.degradations.links.noise import GaussianNoise
from srexp.degradations.links.resizing import Resize
from srexp.degradations.links.several import AllOf, OneOf
from srexp.options import OptionError


def blur(sigma: float = 1.0) -> GaussianBlur:
    return GaussianBlur(sigma=sigma, ratio=1.0, angle=0.0, size=7)


def resize(factor: float | None) -> Resize:
    return Resize(factor=factor, interpolation="bicubic", engine="matlab", antialias=True)


def image() -> np.ndarray:
    return np.random.default_rng(1).random((24, 32, 3), np.float32)


def made(link: Link, number: int) -> np.ndarray:
    return link(image(), Draw("image", number).generator(0, "link"), (12, 16))


def test_each_link_comes_as_often_as_its_chance_says() -> None:
    links = {"half": resize(0.5), "double": resize(2.0)}
    one = OneOf(links=links, chances=[0.3, 0.5])
    assert one.random
    sizes = Counter(made(one, number).shape[0] for number in range(600))
    found = [sizes[side] / 600 for side in (12, 48, 24)]
    assert found == pytest.approx([0.3, 0.5, 0.2], abs=0.06)  # three standard deviations


def test_chances_of_sum_one_leave_nothing_over() -> None:
    one = OneOf(links={n: resize(0.5) for n in "abc"}, chances=[0.1, 0.2, 0.7])
    assert all(made(one, number).shape[0] == 12 for number in range(50))


def test_a_drawn_order_keeps_that_of_resizing() -> None:
    links = {"blur": blur(3.0), "half": resize(0.75), "end": resize(None)}
    drawn = AllOf(links=links, shuffled=True)
    assert drawn.random and not AllOf(links=links, shuffled=False).random
    several = [made(drawn, number) for number in range(30)]
    assert {one.shape for one in several} == {(12, 16, 3)}
    # The blur may stand in three places, each with a result of its own.
    assert len({one.tobytes() for one in several}) == 3


def test_in_order_is_one_after_the_other() -> None:
    both = AllOf(links={"blur": blur(), "end": resize(None)}, shuffled=False)
    generator = Draw("image", 0).generator(0, "link")
    wanted = resize(None)(blur()(image(), generator, (12, 16)), generator, (12, 16))
    np.testing.assert_array_equal(made(both, 0), wanted)
    assert both.smallest is None


def test_how_far_they_look() -> None:
    """3 pixels of the blur, 2 / 0.5 + 1 of the resize; a blur behind it looks at twice as many."""
    first, second = (
        AllOf(links=links, shuffled=False)
        for links in (
            {"blur": blur(), "half": resize(0.5)}, {"half": resize(0.5), "blur": blur()},
        )
    )  # fmt: skip
    assert (first.reach(0.5), second.reach(0.5)) == (3 + 5, 5 + 6)
    any_order = AllOf(links=second.links, shuffled=True)
    assert any_order.reach(0.5) >= 11
    assert OneOf(links=first.links, chances=[0.5, 0.5]).reach(1) == 5
    assert OneOf(links=first.links, chances=[0.5, 0.5]).smallest == 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"chances": [0.5]}, r"chances=\[0.5\]: must be one number for each link \(a, b\)"),
        ({"chances": [0.5, 0.6]}, r"chances=\[0.5,0.6\]: must not add up to more than 1"),
        ({"chances": [0.5, -0.1]}, "between 0 and 1"),
        ({"chances": [0.5, 0.5], "links": {"a": resize(None), "b": blur()}}, "all must"),
        ({"chances": [], "links": {}}, "at least one link"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        OneOf(**{"links": {"a": blur(), "b": GaussianNoise(sigma=1.0, grey=False)}, **values})
