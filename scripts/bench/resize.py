"""MATLAB's resizing by a sparse matrix, beside sums over gathered pixels, in turn.

    python scripts/bench/resize.py [--rounds N]

`srexp.images.resize` multiplies by a sparse matrix. The plain way gathers the pixels of each tap
and adds them up. Both get the same taps; their results must be equal to the last bit. Prints the
median over rounds of either's milliseconds and of their ratio.
"""

from __future__ import annotations

import argparse
import statistics
import time
from unittest import mock

import numpy as np

from srexp.images import resize as resizing

# Height and width before and after.
CASES = {
    "480x320 to half": ((320, 480), (160, 240)),
    "480x320 to twice": ((320, 480), (640, 960)),
    "480x320 to a quarter": ((320, 480), (80, 120)),
    "a patch of 96 to half": ((96, 96), (48, 48)),
    "a patch of 48 to twice": ((48, 48), (96, 96)),
}


def gathered(image: np.ndarray, axis: int, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """As `resize._resize_axis`, tap by tap."""
    swapped = image if axis == 0 else image.swapaxes(0, 1)
    total = np.zeros((len(index), *swapped.shape[1:]))
    for tap in range(index.shape[1]):
        total += weight[:, tap, None, None] * swapped[index[:, tap]]
    return total if axis == 0 else total.swapaxes(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    plain = mock.patch.object(resizing, "_resize_axis", gathered)
    for name, (before, after) in CASES.items():
        image = np.random.default_rng(0).random((*before, 3), np.float32)
        ours = resizing.resize_matlab(image, after)
        with plain:
            assert np.array_equal(ours, resizing.resize_matlab(image, after))
        times: list[tuple[float, float]] = []
        for _ in range(rounds):
            fast = milliseconds(image, after)
            with plain:
                times.append((fast, milliseconds(image, after)))
        fast, slow = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(slow / fast for fast, slow in times)
        print(f"{name}: {fast:.2f} ms, gathered {slow:.2f} ms, {ratio:.1f} times")


def milliseconds(image: np.ndarray, size: tuple[int, int], repeats: int = 20) -> float:
    """Of one call."""
    began = time.perf_counter()
    for _ in range(repeats):
        resizing.resize_matlab(image, size)
    return (time.perf_counter() - began) * 1e3 / repeats


if __name__ == "__main__":
    main()
