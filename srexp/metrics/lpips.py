"""Learned perceptual distance, by a network of the user's.

R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang: The unreasonable effectiveness of deep
features as a perceptual metric. CVPR 2018. The authors publish trained weights; srexp holds none
and loads none from anywhere: the user gives a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from srexp.keras_settings import set_keras
from srexp.metrics.base import Metric
from srexp.options import OptionError
from srexp.paths import checked

_WANTED = "a .keras file, from two RGB batches [N, H, W, 3] in [0, 1] to one distance a pair"
_FROM = "weights: github.com/richzhang/PerceptualSimilarity; how to: docs/metrics.md"


@dataclass(kw_only=True)
class LPIPS(Metric, name="lpips"):
    """The distance that a Keras model gives. Grey images enter as three equal channels.

    Attributes:
        model: The `.keras` file. It is loaded in Keras' safe mode, so no code in it is run.
    """

    label = "LPIPS"
    higher_is_better = False
    minimum_side = 64  # what `prepare` has seen it do

    model: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model:
            raise OptionError(
                f"model=null: LPIPS needs trained weights, and srexp ships none: give {_WANTED} "
                f"({_FROM})",
                "model",
            )

    @property
    def _path(self) -> Path:
        return checked("model", self.model or "")

    @property
    def weights(self) -> str:
        return f"{self._path.name} [{self._digest}]"

    @property
    def note(self) -> str:
        return f"by {self.weights}, less is better"

    @cached_property
    def _digest(self) -> str:
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:8]

    @cached_property
    def _network(self) -> Any:
        from keras import saving

        set_keras()
        return saving.load_model(self._path, compile=False, safe_mode=True)

    def prepare(self) -> None:
        """Load the network, and see that an image is at no distance from itself, and only there."""
        if not self._path.is_file():
            raise OptionError(f"model={self.model}: no such file; wanted is {_WANTED}", "model")
        levels = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3)
        image = (levels * 37 % 251).astype(np.uint8)
        try:
            same, other = self(image, image), self(image, 255 - image)
        except Exception as error:  # whatever a foreign file leads to
            reason = " ".join(str(error).split())[:200]
            message = f"{type(error).__name__}: {reason}; wanted is {_WANTED}"
            raise OptionError(f"model={self.model}: {message}", "model") from error
        if not (abs(same) < 1e-6 < other < np.inf):
            raise OptionError(
                f"model={self.model}: is no distance: {same:g} between an image and itself, "
                f"{other:g} between an image and its negative",
                "model",
            )

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        distance = np.asarray(self._network([_batch(image), _batch(reference)], training=False))
        if distance.size != 1:
            raise ValueError(f"the output for one pair has the shape {distance.shape}")
        return float(distance.item())


def _batch(image: np.ndarray) -> np.ndarray:
    """`[H, W, 1 or 3]` of 8 bits as `[1, H, W, 3]` in [0, 1]."""
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))
    return (rgb / np.float32(255))[None]
