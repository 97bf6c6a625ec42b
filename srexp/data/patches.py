"""Training patches: a pure function of (seed, step)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

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
        """A patch of each input and of HR, packed.

        Args:
            row: Of its first LR pixel.
            column: The same.
            side: In LR pixels.
            scale: HR over LR.
            draw: Another one for each patch of a training, from 1.
        """
        height = self.hr.shape[0]
        return [
            _window(image, row, column, side, scale * image.shape[0] // height)
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


# How often a patch that is too flat is drawn again before the least flat of them is taken.
_TRIES = 16


def variation(patch: np.ndarray) -> float:
    """How much there is in a patch: 0 where it is flat, at most 0.5.

    The standard deviation along each column, averaged, or along each row: the larger of the two.

    Args:
        patch: `[H, W, C]` in [0, 1].
    """
    return float(max(np.std(patch, axis=0).mean(), np.std(patch, axis=1).mean()))


class Places:
    """Where patches of one size can be cut: every position of the LR grid of every image."""

    def __init__(self, pairs: Sequence[TrainingPair | DrawnPair], scale: int, size: int) -> None:
        """Args:
        pairs: Whole images.
        scale: HR pixels an LR pixel, along each axis.
        size: Side of an HR patch in pixels.
        """
        self.side = size // scale
        # Positions along each axis, in LR pixels.
        self._grid = np.array(
            [[s // scale - self.side + 1 for s in pair.hr.shape[:2]] for pair in pairs], np.int64
        )
        self._ends = np.cumsum(self._grid.prod(axis=1))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def at(self, positions: np.ndarray) -> np.ndarray:
        """Image, row and column of positions `[N]`, as `[N, 3]`; the latter in LR pixels."""
        index = np.searchsorted(self._ends, positions, side="right")
        within = positions - np.where(index > 0, self._ends[index - 1], 0)
        return np.column_stack([index, *np.divmod(within, self._grid[index, 1])])


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
        early: Sequence[tuple[int, int]] = (),
        flatness: float = 0.0,
    ) -> None:
        """Args:
        pairs: Whole images.
        scale: HR pixels an LR pixel, along each axis.
        hr_patch_size: Side of an HR patch in pixels.
        batch_size: Patches a step.
        augment: Flip and rotate.
        seed: Of the choice of patches.
        distinct_batches: Repeat the first so many batches; None for a new one each step.
        early: Sides of the HR patches before, each with the step before which it ends.
        flatness: What is flatter is drawn again; by `variation`.
        """
        self.distinct_batches = distinct_batches
        self.pairs = pairs
        self.scale = scale
        self.hr_patch_size = hr_patch_size
        self.batch_size = batch_size
        self.augment = augment
        self.seed = seed
        self.flatness = flatness
        self._early = [(end, Places(pairs, scale, size)) for size, end in early]
        self._places = Places(pairs, scale, hr_patch_size)

    @property
    def patch_count(self) -> int:
        """Number of different patches of the last size, before flips and rotations."""
        return len(self._places)

    def segments(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The steps from `first` up to, not including, `last`, cut where the patches' size changes.

        Args:
            first: Step.
            last: Step.
        """
        ends = [end for end, _ in self._early if first < end < last]
        yield from pairwise([first, *ends, last])

    def batch(self, step: int, part: slice = slice(None)) -> tuple[np.ndarray, ...]:
        """The patches of one step, counted from 0.

        Args:
            step: The step.
            part: Which of the patches to cut: all draw the same batch, whoever needs what of it.

        Returns:
            Each input `[N, p, p, C]` and HR `[N, P, P, C]`, float32 in [0, 1], P =
            `hr_patch_size`, or what precedes it at this step.
        """
        *arrays, poses = self.packed(step, part)
        return tuple(
            np.stack([_pose(patch, int(pose)) for patch, pose in zip(array, poses, strict=True)])
            for array in map(unpack, arrays)
        )

    def packed(self, step: int, part: slice = slice(None)) -> tuple[np.ndarray, ...]:
        """As `batch`, before it is turned: each input and HR, uint8 or float32, and the poses.

        Returns:
            Arrays as of `batch`, packed where all images are, and poses `[N]` int32, 0 to 7:
            quarter turns, mirrored from 4 on.
        """
        places, draws = self.places(step, part)
        side = self.side(step)
        cut = [
            self.pairs[index].cut(row, column, side, self.scale, draw)
            for (index, row, column, _), draw in zip(places.tolist(), draws, strict=True)
        ]
        arrays = [
            np.stack(patches if eight_bit else [unpack(patch) for patch in patches])
            for patches, eight_bit in zip(zip(*cut, strict=True), self._eight_bit, strict=True)
        ]
        return (*arrays, places[:, 3])

    def side(self, step: int) -> int:
        """Of the patches of a step, in LR pixels."""
        return self._places_of(step).side

    def _places_of(self, step: int) -> Places:
        return next((early for end, early in self._early if step < end), self._places)

    @cached_property
    def _eight_bit(self) -> list[bool]:
        """Of each input and of HR: whether all images of it are uint8."""
        images = [(*pair.inputs, pair.hr) for pair in self.pairs if isinstance(pair, TrainingPair)]
        if not images:
            return [False] * len(self.pairs[0].cut(0, 0, 1, self.scale, 1))
        kinds = zip(*images, strict=True)
        return [all(getattr(i, "dtype", None) == np.uint8 for i in kind) for kind in kinds]

    def places(self, step: int, part: slice = slice(None)) -> tuple[np.ndarray, range]:
        """What the patches of a step are cut out of.

        Args:
            step: The step.
            part: Which of the patches.

        Returns:
            `[N, 4]` int32: pair, row and column of the first LR pixel, pose; and the number of
            the draw of each.
        """
        places = self._places_of(step)
        if self.distinct_batches is not None:
            step %= self.distinct_batches
        random = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        chosen = random.integers(len(places), size=self.batch_size)
        poses = random.integers(8, size=self.batch_size)
        draws = range(1 + step * self.batch_size, 1 + (step + 1) * self.batch_size)
        positions = chosen[part]
        if self.flatness:
            again = random.integers(len(places), size=(self.batch_size, _TRIES))
            tries = np.column_stack([positions, again[part]])
            positions = np.array([self._textured(places, choice) for choice in tries])
        turned = poses[part] if self.augment else np.zeros_like(positions)
        return np.column_stack([places.at(positions), turned]).astype(np.int32), draws[part]

    def _textured(self, places: Places, positions: np.ndarray) -> int:
        """The first position with a patch that is not too flat, or else that of the least flat."""
        best, found = 0, -1.0
        for position, (index, row, column) in zip(
            positions.tolist(), places.at(positions).tolist(), strict=True
        ):
            hr = self.pairs[index].hr
            measured = variation(unpack(_window(hr, row, column, places.side, self.scale)))
            if measured >= self.flatness:
                return position
            if measured > found:
                best, found = position, measured
        return best


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
