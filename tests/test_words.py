"""Numbers in sentences."""

from __future__ import annotations

import math

from srexp.words import beside_bicubic, count


def test_one_and_several() -> None:
    assert [count(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert count(1, "patch", "patches") == "1 patch"
    assert count(12345, "patch", "patches") == "12,345 patches"


def test_a_gain_says_on_which_side_of_bicubic_it_is() -> None:
    assert beside_bicubic(1.254) == "+1.25 dB over bicubic"
    assert beside_bicubic(-9.74) == "9.74 dB below bicubic"
    assert beside_bicubic(-0.004) == "+0.00 dB over bicubic"
    assert beside_bicubic(-0.0045, 3, 0.0012) == "0.004 ± 0.001 dB below bicubic"
    assert beside_bicubic(math.inf) == "+inf dB over bicubic"
    assert beside_bicubic(math.nan) == "no gain over bicubic"
