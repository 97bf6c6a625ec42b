"""What every link of a degradation is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from srexp.options import Options


@dataclass(kw_only=True)
class Link(Options, group="link"):
    """An image `[H, W, C]` float32 -> an image, of the same size unless it is a resize.

    A field declared with `spread` is a number, or two between which each image draws one.

    Attributes:
        noisy: Whether it draws even where all its fields are single numbers.
        stored: Whether what it gives are the levels of an 8-bit file.
    """

    noisy: ClassVar[bool] = False
    stored: ClassVar[bool] = False

    @property
    def random(self) -> bool:
        """Whether two draws differ."""
        values = (getattr(self, f.name) for f in dataclasses.fields(self) if "spread" in f.metadata)
        return self.noisy or any(isinstance(value, (list, tuple)) for value in values)

    @property
    def reach(self) -> int:
        """How many pixels of its input an output pixel looks at, at most, to each side."""
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
        fields = (f"{f.name} {_shown(getattr(self, f.name))}" for f in dataclasses.fields(self))
        return " ".join([self.name, *fields])


def draw(value: Any, random: np.random.Generator) -> float:
    """The number itself, or one drawn uniformly between two."""
    if isinstance(value, (list, tuple)):
        return float(random.uniform(value[0], value[1]))
    return float(value)


def largest(value: Any) -> float:
    """Of a number or of two."""
    return float(max(value)) if isinstance(value, (list, tuple)) else float(value)


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "..".join(f"{number:g}" for number in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
