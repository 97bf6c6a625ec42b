"""What every loss is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srexp.options import Options, bounded

# `loss(hr, sr, step)` -> {term: scalar}: hr and sr are `[N, H, W, C]` float32 in [0, 1], step the
# number of the step as an integer tensor. What training minimises is the sum of the terms.
LossFunction = Callable[[Any, Any, Any], dict[str, Any]]


@dataclass(kw_only=True)
class Loss(Options, group="loss"):
    """A loss on images in [0, 1], whatever range the network works in inside.

    So that the numbers of two runs can be compared: a network with outputs in [-1, 1] does not
    get a loss four times as large. A loss of one term overrides `value`, any other one `build`.

    Attributes:
        weight: A factor, for a term of `loss=sum`.
    """

    weight: float = bounded(0, default=1.0)

    @property
    def looks_at_hr(self) -> bool:
        """Whether it is smallest where SR is HR; a term that only smooths SR cannot stand alone."""
        return True

    @property
    def minimum_side(self) -> int:
        """The smallest side of a patch, in HR pixels."""
        return 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before training, such as where its weights are from."""
        return ()

    def prepare(self) -> None:
        """Read what it needs, before anything is made.

        Raises:
            OptionError: What it needs is not there or does not do.
        """

    @property
    def terms_given(self) -> tuple[str, ...]:
        """The names of the terms that `build` gives; empty where only a step tells."""
        return (self.name,) if type(self).build is Loss.build else ()

    def value(self, hr: Any, sr: Any) -> Any:
        """The loss of two `[N, H, W, C]` float32 tensors: a scalar, the mean over all."""
        raise NotImplementedError

    def build(self, *, channels: int, scale: int) -> LossFunction:
        """The function, its terms without `weight`.

        Args:
            channels: Of the images, 1 (Y) or 3 (RGB).
            scale: HR over LR.
        """
        return lambda hr, sr, step: {self.name: self.value(hr, sr)}

    def weighted(self, *, channels: int, scale: int) -> LossFunction:
        """As `build`, each term times `weight`."""
        terms = self.build(channels=channels, scale=scale)
        return lambda hr, sr, step: {
            name: value if self.weight == 1 else self.weight * value
            for name, value in terms(hr, sr, step).items()
        }
