"""How large a picture becomes, and by which networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import prod

# Networks one after the other: what the fifth would add was never in the picture.
_MOST = 4


@dataclass(frozen=True)
class Wanted:
    """A size that is asked for: one of the three.

    Attributes:
        scale: Times the picture's own.
        width: In pixels; the height follows.
        height: In pixels; the width follows.
    """

    scale: int | None = None
    width: int | None = None
    height: int | None = None

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result, from those of a picture."""
        if self.width is not None:
            return self.width, max(1, round(height * self.width / width))
        if self.height is not None:
            return max(1, round(width * self.height / height)), self.height
        scale = self.scale or 1
        return width * scale, height * scale

    def __str__(self) -> str:
        if self.width is not None:
            return f"w{self.width}"
        return f"h{self.height}" if self.height is not None else f"x{self.scale}"


def chain(factor: float, scales: Sequence[int]) -> list[int]:
    """The networks that together enlarge by at least a factor, and by as little more as possible.

    Args:
        factor: Of the sides; 1 or less needs none.
        scales: Of the networks that there are.

    Returns:
        Their scales, the largest first; of several ways the shortest. Where no four of them are
        enough, four of the largest.
    """
    if factor <= 1:
        return []
    ways = [
        sorted(way, reverse=True)
        for count in range(1, _MOST + 1)
        for way in combinations_with_replacement(sorted(scales), count)
    ]
    enough = [way for way in ways if prod(way) >= factor]
    if not enough:
        return [max(scales)] * _MOST
    return min(enough, key=lambda way: (prod(way), len(way)))
