"""A degradation of several links: blur, resizing, noise, compression, in any order and number."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.base import NO_DRAW, Degradation, Draw
from srexp.degradations.links.base import Link, draws
from srexp.options import OptionError, bounded


@dataclass(kw_only=True)
class Chain(Degradation, name="chain"):
    """LR = the last link of ( ... the first link of (HR)), in floats between them.

    `interpolation` and `engine` say how LR is enlarged: the baseline (`engine`) and the input of
    pre-upsampling networks (both).

    Attributes:
        links: Name -> link.
        order: Their names in the order in which they are applied, each as often as it is to be;
            None for all of them, as they stand.
        seed: Of what is drawn; not the training's, so that seeds can be compared.
        margin: HR pixels around a training patch that are degraded with it, at most; None for as
            many as the links look at. What lies farther away then counts for nothing.
        title: What tables call it, beside a digest of all its links and numbers; None to name all.
    """

    links: dict[str, Link]
    order: list[str] | None
    seed: int = bounded(0)
    margin: int | None = bounded(0, 4096, default=None)
    title: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stored and self.lr_8bit is False:
            raise OptionError(
                f"lr_8bit=false: {self.stored} makes LR an 8-bit file; use null", "lr_8bit"
            )
        for name in self.order or ():
            if name not in self.links:
                raise OptionError(
                    f"order=[{','.join(self.order or ())}]: there is no link {name}; there are "
                    f"{', '.join(self.links)}",
                    "order",
                )
        ends = [link.smallest is None for link in self.chain if link.smallest != 1]
        if ends.count(True) != 1 or not ends[-1]:
            raise OptionError(
                "links: the last link that resizes, and it alone, must end at LR's size: "
                "+link@degradation.links.resize=resize, with factor=null",
                "links",
            )

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Links by their place, whatever their names; no seed where nothing is drawn."""
        links = _in_order(values.get("links") or {}, values.get("order"))
        seed = values.get("seed") if any(map(draws, links)) else None
        numbered = {str(place): link for place, link in enumerate(links)}
        margin = values.get("margin") if seed is not None else None
        unnamed = {"order": None, "title": None}
        return {**values, "links": numbered, "seed": seed, "margin": margin, **unnamed}

    @property
    def chain(self) -> list[Link]:
        """The links as they are applied."""
        return _in_order(self.links, self.order)

    @property
    def random(self) -> bool:
        return any(link.random for link in self.chain)

    @property
    def stored(self) -> str:
        parts = [part for link in self.chain for part in link.parts]
        return next((part.name for part in parts if part.stored), "")

    @property
    def reach(self) -> int:
        total, density = 0.0, 1.0  # pixels of the image so far over those of HR, at least
        for link in self.chain:
            factor = link.smallest or 1 / (self.scale * density)
            total += link.reach(factor) / density
            density *= factor
        return math.ceil(total if self.margin is None else min(total, self.margin))

    def __call__(
        self, hr: np.ndarray, *, draw: Draw = NO_DRAW, eight_bit: bool = False
    ) -> np.ndarray:
        size = (hr.shape[0] // self.scale, hr.shape[1] // self.scale)
        image = hr
        for place, link in enumerate(self.chain):
            image = link(image, draw.generator(self.seed, f"link {place}"), size)
        return np.ascontiguousarray(image, np.float32)

    @property
    def label(self) -> str:
        said = [link.label for link in self.chain]
        if self.random:
            said.append(f"drawn by seed {self.seed}")
        if (self.engine, self.interpolation) != ("matlab", "bicubic"):
            said.append(f"enlarged by {self.engine} {self.interpolation}")
        whole = f"x{self.scale} {', '.join(said)}{self.storage_label}"
        if self.title is None:
            return whole
        return f"x{self.scale} {self.title} {hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _in_order(links: Mapping[str, Any], order: list[str] | None) -> list[Any]:
    return list(links.values()) if order is None else [links[n] for n in order if n in links]
