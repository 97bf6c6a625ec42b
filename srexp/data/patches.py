"""Training patches: a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from srexp.data.cache import in_memory
from srexp.images.quantize import unpack
from srexp.images.resize import Enlarged


@dataclass(frozen=True)
class TrainingPair:
    """One image as the network sees it, and as it should come out.

    Attributes:
        name: Of the photograph.
        inputs: `[h, w, C]` each: LR, or LR already enlarged; packed (see `pack`). What is enlarged
            may be made window by window.
        hr: `[H, W, C]`, packed.
    """

    name: str
    inputs: tuple[np.ndarray | Enlarged, ...]
    hr: np.ndarray

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return sum(image.nbytes for image in (*self.inputs, self.hr) if in_memory(image))

    def cut(self, row: int, column: int, side: int, scale: int, draw: int) -> list[np.ndarray]:
        """A patch of each input and of HR.

        Args:
            row: Of its first LR pixel.
            column: The same.
            side: In LR pixels.
            scale: HR over LR.
            draw: Another one for each patch of a training, from 1.
        """
        height = self.hr.shape[0]
        return [
            unpack(_window(image, row, column, side, scale * image.shape[0] // height))
            for image in (*self.inputs, self.hr)
        ]


@dataclass(frozen=True)
class DrawnPair:
    """One image that is degraded anew for each patch of it.

    A patch is degraded with what lies around it, so that it has no edge that the image has not.

    Attributes:
        name: Of the photograph.
        hr: `[H, W, C]`, what is degraded; packed, cropped so that the scale divides its sides.
        degrade: A part of it `[H', W', C]`, and the number of the draw -> inputs and HR as the
            network has them.
        margin: LR pixels around a patch that are degraded with it; None for the whole image.
    """

    name: str
    hr: np.ndarray
    degrade: Callable[[np.ndarray, int], tuple[np.ndarray, ...]]
    margin: int | None

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.hr.nbytes if in_memory(self.hr) else 0

    def cut(self, row: int, column: int, side: int, scale: int, draw: int) -> list[np.ndarray]:
        """As `TrainingPair.cut`."""
        around = max(self.hr.shape) if self.margin is None else self.margin
        top, left = max(0, row - around), max(0, column - around)
        ends = (place + side + around for place in (row, column))
        bottom, right = (end * scale for end in ends)
        made = self.degrade(unpack(self.hr[top * scale : bottom, left * scale : right]), draw)
        return [
            _window(
                image, row - top, column - left, side, scale * image.shape[0] // made[-1].shape[0]
            )
            for image in made
        ]


class PatchSampler:
    """Random patches of whole images, most of them degraded before.

    Every position of the LR grid of every image is equally likely. Cutting patches first and
    degrading them alone would put an image edge around each of them.
    """

    def __init__(
        self,
        pairs: Sequence[TrainingPair | DrawnPair],
        *,
        scale: int,
        hr_patch_size: int,
        batch_size: int,
        augment: bool,
        seed: int,
        distinct_batches: int | None = None,
    ) -> None:
        """Args:
        pairs: Whole images.
        scale: HR pixels an LR pixel, along each axis.
        hr_patch_size: Side of an HR patch in pixels.
        batch_size: Patches a step.
        augment: Flip and rotate.
        seed: Of the choice of patches.
        distinct_batches: Repeat the first so many batches; None for a new one each step.
        """
        self.distinct_batches = distinct_batches
        self.pairs = pairs
        self.scale = scale
        self.hr_patch_size = hr_patch_size
        self.batch_size = batch_size
        self.augment = augment
        self.seed = seed
        side = hr_patch_size // scale
        # Positions along each axis, in LR pixels.
        self._grid = np.array(
            [[s // scale - side + 1 for s in pair.hr.shape[:2]] for pair in pairs], np.int64
        )
        self._ends = np.cumsum(self._grid.prod(axis=1))

    @property
    def patch_count(self) -> int:
        """Number of different patches, before flips and rotations."""
        return int(self._ends[-1])

    def batch(self, step: int, part: slice = slice(None)) -> tuple[np.ndarray, ...]:
        """The patches of one step, counted from 0.

        Args:
            step: The step.
            part: Which of the patches to cut: all draw the same batch, whoever needs what of it.

        Returns:
            Each input `[N, p, p, C]` and HR `[N, P, P, C]`, float32 in [0, 1], P =
            `hr_patch_size`.
        """
        if self.distinct_batches is not None:
            step %= self.distinct_batches
        random = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        chosen = random.integers(self.patch_count, size=self.batch_size)
        poses = random.integers(8, size=self.batch_size)
        draws = range(1 + step * self.batch_size, 1 + (step + 1) * self.batch_size)
        cut = [
            self._cut(int(c), int(p) if self.augment else 0, draw)
            for c, p, draw in zip(chosen[part], poses[part], draws[part], strict=True)
        ]
        return tuple(np.stack(patches) for patches in zip(*cut, strict=True))

    def _cut(self, position: int, pose: int, draw: int) -> tuple[np.ndarray, ...]:
        index = int(np.searchsorted(self._ends, position, side="right"))
        pair = self.pairs[index]
        within = position - (int(self._ends[index - 1]) if index else 0)
        row, column = divmod(within, int(self._grid[index, 1]))
        side = self.hr_patch_size // self.scale
        return tuple(_pose(p, pose) for p in pair.cut(row, column, side, self.scale, draw))


def _window(
    image: np.ndarray | Enlarged, row: int, column: int, side: int, factor: int
) -> np.ndarray:
    """A square, given in LR pixels, of an image that is `factor` times LR's size."""
    top, left, size = row * factor, column * factor, side * factor
    return image[top : top + size, left : left + size]


def _pose(patch: np.ndarray, pose: int) -> np.ndarray:
    """One of the eight positions of a square: `pose` % 4 quarter turns, mirrored from 4 on."""
    turned = np.rot90(patch, pose % 4)
    return turned[:, ::-1] if pose >= 4 else turned
