"""What every link of a degradation is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from srexp.options import Options


@dataclass(kw_only=True)
class Link(Options, group="link"):
    """An image `[H, W, C]` float32 -> an image, of the same size unless it is a resize.

    A field declared with `spread` is a number, or two between which each draw takes one.

    Attributes:
        noisy: Whether it draws even where all its fields are single numbers.
        stored: Whether what it gives are the levels of an 8-bit file.
        smallest: What it makes of one pixel along each axis, at least; None for the size that
            the chain ends with.
    """

    noisy: ClassVar[bool] = False
    stored: ClassVar[bool] = False

    @classmethod
    def draws(cls, values: Mapping[str, Any]) -> bool:
        """Whether two draws differ, with these values of its fields."""
        spreads = (field.name for field in dataclasses.fields(cls) if "spread" in field.metadata)
        return cls.noisy or any(isinstance(values.get(n), (list, tuple)) for n in spreads)

    @property
    def random(self) -> bool:
        """Whether two draws differ."""
        return self.draws(vars(self))

    @property
    def parts(self) -> list[Link]:
        """The links that it is made of: itself, unless it holds others."""
        return [self]

    @property
    def smallest(self) -> float | None:
        return 1.0

    def reach(self, factor: float) -> float:
        """How many pixels of its input an output pixel depends on, at most, to each side.

        Args:
            factor: What it makes of one pixel along each axis (`smallest`).
        """
        return 0

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        """Degrade one image.

        Args:
            image: `[H, W, C]` float32, of [0, 1] but for overshoot.
            random: What is drawn from; for this image, draw and link alone.
            size: Height and width that the chain ends with.
        """
        raise NotImplementedError

    @property
    def label(self) -> str:
        """In words, for tables: never the same for two different links."""
        fields = (f"{f.name} {shown(getattr(self, f.name))}" for f in dataclasses.fields(self))
        return " ".join([self.name, *fields])


def draws(link: Any) -> bool:
    """Whether two draws of a link differ; of one, or of its node in a configuration."""
    if isinstance(link, Link):
        return link.random
    known = {cls.name: cls for cls in Link.implementations()}
    cls = known.get(link.get("name"))
    return cls is None or cls.draws(link)


def draw(value: Any, random: np.random.Generator) -> float:
    """The number itself, or one drawn uniformly between two."""
    if isinstance(value, (list, tuple)):
        return float(random.uniform(value[0], value[1]))
    return float(value)


def shown(value: Any) -> str:
    """A number in full, or two: `1.6`, `30..95`."""
    if isinstance(value, (list, tuple)):
        return "..".join(map(shown, value))
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
