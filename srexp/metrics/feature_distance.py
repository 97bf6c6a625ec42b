"""How far apart two images are in the features of a network that was trained to see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from srexp.images.colour import as_rgb
from srexp.keras_settings import set_keras
from srexp.metrics.base import Metric
from srexp.options import choice
from srexp.vgg16 import LAYERS, Trunk


@dataclass(kw_only=True)
class FeatureDistance(Metric, name="feature_distance"):
    """Mean over layers of the mean squared difference of VGG16's features after ReLU.

    Johnson et al., ECCV 2016, equation 2, of images in levels: that of `loss=perceptual`.

    Attributes:
        weights: As of `loss=perceptual`.
        layers: By their names in Keras' VGG16.
    """

    label = "Features"
    digits = 1
    higher_is_better = False

    # Not `weights`, by which a metric says what it judged with.
    trunk: str
    layers: list[str] = choice(*LAYERS)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self._trunk

    @cached_property
    def _trunk(self) -> Trunk:
        return Trunk(self.trunk, tuple(self.layers), key="trunk")

    @property
    def minimum_side(self) -> int:
        return self._trunk.minimum_side

    @cached_property
    def weights(self) -> str:  # type: ignore[override]
        return f"{self.trunk} [{self._trunk.digest}]"

    @property
    def note(self) -> str:
        caveat = self._trunk.caveat
        return f"of VGG16, by {self.weights}, less is better" + (f": {caveat}" if caveat else "")

    def prepare(self) -> None:
        set_keras()
        _ = self.weights

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        ours, theirs = (as_rgb(x)[None] / np.float32(255) for x in (image, reference))
        return float(self._trunk.distance(theirs, ours, "mse"))
