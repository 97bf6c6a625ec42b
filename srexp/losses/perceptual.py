"""Features of a trained network as a measure of likeness."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from srexp.losses.base import Loss
from srexp.options import choice
from srexp.vgg16 import LAYERS, Trunk


@dataclass(kw_only=True)
class Perceptual(Loss, name="perceptual"):
    """Mean over layers of the mean distance of their features of SR and HR.

    Johnson et al., ECCV 2016, equation 2 (`mse`, after ReLU); ESRGAN, 2018, section 3.3, compares
    before ReLU by `mae`. Grey images enter as three equal channels.

    Attributes:
        weights: See the YAML.
        layers: By their names in Keras' VGG16.
        before_relu: Whether features are compared before the activation.
        distance: `mse` or `mae`.
    """

    weights: str
    layers: list[str] = choice(*LAYERS)
    before_relu: bool
    distance: str = choice("mse", "mae")

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._trunk

    @cached_property
    def _trunk(self) -> Trunk:
        return Trunk(self.weights, tuple(self.layers), self.before_relu)

    @property
    def minimum_side(self) -> int:
        return self._trunk.minimum_side

    @property
    def notes(self) -> tuple[str, ...]:
        caveat = self._trunk.caveat
        return (f"loss=perceptual: {caveat}",) if caveat else ()

    def prepare(self) -> None:
        _ = self._trunk.convolutions

    def value(self, hr: Any, sr: Any) -> Any:
        return self._trunk.distance(hr, sr, self.distance)
