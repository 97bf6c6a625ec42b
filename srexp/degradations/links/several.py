"""Links of links: one of them by chance, or all of them, in their order or any other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.links.base import Link, draws
from srexp.options import OptionError, bounded


@dataclass(kw_only=True)
class Several(Link):
    """Attributes:
    links: Name -> link.
    """

    links: dict[str, Link]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.links:
            raise OptionError("links={}: must hold at least one link", "links")

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Links by their place, whatever their names."""
        links = list((values.get("links") or {}).values())
        return {**values, "links": {str(place): link for place, link in enumerate(links)}}

    @property
    def parts(self) -> list[Link]:
        return [part for link in self.links.values() for part in link.parts]


@dataclass(kw_only=True)
class OneOf(Several, name="one_of"):
    """One of the links, or none.

    Attributes:
        chances: Of each, in the order of the links; what they lack to 1 is the chance that the
            image stays as it is.
    """

    noisy = True

    chances: list[float] = bounded(0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.chances) != len(self.links):
            raise OptionError(
                f"chances={self._typed}: must be one number for each link "
                f"({', '.join(self.links)})",
                "chances",
            )
        if sum(self.chances) > 1 + 1e-9:
            raise OptionError(f"chances={self._typed}: must not add up to more than 1", "chances")
        ends = [link.smallest is None for link in self.links.values()]
        if any(ends) and not (all(ends) and sum(self.chances) > 1 - 1e-9):
            raise OptionError(
                "links: where one resizes to the size of LR, all must, with chances of sum 1",
                "links",
            )

    @property
    def _typed(self) -> str:
        return f"[{','.join(map(str, self.chances))}]"

    @property
    def smallest(self) -> float | None:
        factors = [link.smallest for link in self.links.values()]
        known = [factor for factor in factors if factor is not None]
        if len(known) < len(factors):
            return None
        return min(known) if sum(self.chances) > 1 - 1e-9 else min(1.0, *known)

    def reach(self, factor: float) -> float:
        return max(link.reach(link.smallest or factor) for link in self.links.values())

    @property
    def label(self) -> str:
        each = zip(self.chances, self.links.values(), strict=True)
        return f"one of ({'; '.join(f'{chance} {link.label}' for chance, link in each)})"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        # Chances that add up to 1 but for rounding leave nothing over.
        ends = np.round(np.cumsum(self.chances), 9)
        place = int(np.searchsorted(ends, random.random(), side="right"))
        links = list(self.links.values())
        return links[place](image, random, size) if place < len(links) else image


@dataclass(kw_only=True)
class AllOf(Several, name="all_of"):
    """All of the links, one after the other.

    Attributes:
        shuffled: In an order that each draw chooses; links that resize keep their order among
            themselves.
    """

    shuffled: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = [link.smallest is None for link in self.links.values() if link.smallest != 1]
        if any(ends[:-1]):
            raise OptionError(
                "links: nothing resizes after the link that ends at LR's size", "links"
            )

    @classmethod
    def draws(cls, values: Mapping[str, Any]) -> bool:
        return bool(values.get("shuffled")) or any(map(draws, (values.get("links") or {}).values()))

    @property
    def smallest(self) -> float | None:
        factors = [link.smallest for link in self.links.values()]
        known = [factor for factor in factors if factor is not None]
        return math.prod(known) if len(known) == len(factors) else None

    def reach(self, factor: float) -> float:
        total, density, least = 0.0, 1.0, 1.0
        for link in self.links.values():
            own = link.smallest or factor / density
            total += link.reach(own) / density
            density *= own
            least = min(least, density)
        # Shuffled, each may stand where the image is smallest.
        worst = sum(link.reach(link.smallest or factor) for link in self.links.values()) / least
        return max(total, worst) if self.shuffled else total

    @property
    def label(self) -> str:
        how = "in any order" if self.shuffled else "in order"
        return f"{how} ({'; '.join(link.label for link in self.links.values())})"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        links = list(self.links.values())
        if self.shuffled:
            links = [links[place] for place in random.permutation(len(links))]
            resizing = iter([link for link in self.links.values() if link.smallest != 1])
            links = [link if link.smallest == 1 else next(resizing) for link in links]
        for link in links:
            image = link(image, random, size)
        return image
