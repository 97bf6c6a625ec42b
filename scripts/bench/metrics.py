"""What scoring costs, against scikit-image's `structural_similarity`, measured in turn.

    python scripts/bench/metrics.py [--data DIR] [--rounds N] [--megapixels 24]

On Set14 under DIR (by default $SREXP_TEST_DATA), or on the embedded photographs where it is not
there: HR and bicubic x2 as the protocols `y_paper` and `rgb` compare them. scikit-image is given
the same arrays and window. The bound that the project keeps: PSNR and SSIM together cost at most
half of it. `--megapixels` scores one large pair of RGB images instead, and prints what memory that
takes beside them.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from skimage.metrics import structural_similarity

from srexp.config.compose import compose
from srexp.config.settings import build_option
from srexp.images.quantize import to_uint8, unpack
from srexp.metrics import mae, ms_ssim, psnr, ssim
from srexp.metrics.ssim import SIGMA

Pair = tuple[np.ndarray, np.ndarray]


def pairs(folder: Path | None, protocol: str) -> list[Pair]:
    """Bicubic and HR, uint8 `[H, W, C]`."""
    from srexp.evaluation.scoring import Task

    there = folder is not None and (folder / "set14").is_dir()
    name = "set14" if there else "photos"
    config = compose("evaluate", [f"benchmark={name}", f"paths.data_dir={folder}"])
    images = build_option("benchmark", config["benchmark"][name], name).load(name)
    degradation = build_option("degradation", config["degradation"], "degradation")
    config = compose("evaluate", [f"protocol={protocol}"])
    task = Task(
        images,
        degradation,
        protocol,
        build_option("protocol", config["protocol"][protocol], protocol),
    )
    print(f"{task.label}")
    return [(to_uint8(unpack(case.bicubic)), to_uint8(unpack(case.hr))) for case in task.cases]


def theirs(image: np.ndarray, reference: np.ndarray) -> float:
    return float(
        structural_similarity(
            reference, image, data_range=255, gaussian_weights=True, sigma=SIGMA,
            use_sample_covariance=False, channel_axis=2,
        )
    )  # fmt: skip


def ours(image: np.ndarray, reference: np.ndarray) -> float:
    psnr(image, reference, peak=255)
    return ssim(image, reference, peak=255)


MEASURED: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "scikit-image's SSIM": theirs,
    "our PSNR and SSIM": ours,
    "our MS-SSIM": lambda image, reference: ms_ssim(image, reference, peak=255),
    "our MAE": mae,
}


def in_turn(images: list[Pair], rounds: int) -> None:
    """Of each image the least processor time in any round; other work on the machine adds to it."""
    least = {name: [float("inf")] * len(images) for name in MEASURED}
    for _ in range(rounds):
        for number, pair in enumerate(images):
            for name, function in MEASURED.items():
                start = time.process_time()
                function(*pair)
                spent = time.process_time() - start
                least[name][number] = min(least[name][number], spent)
    values = sum(image.size for image, _ in images)
    base = next(iter(least.values()))
    for name, seconds in least.items():
        ratios = [b / a for a, b in zip(base, seconds, strict=True)]
        print(
            f"  {name:20} {1e9 * sum(seconds) / values:6.1f} ns per value   "
            f"{sum(seconds) / sum(base):.2f} x scikit-image's SSIM "
            f"(images: {min(ratios):.2f} to {max(ratios):.2f})"
        )


def large(megapixels: float) -> None:
    """One pair of RGB images of 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    random = np.random.default_rng(0)
    reference = random.integers(0, 256, (height, height * 3 // 2, 3), np.uint8)
    image = reference ^ np.uint8(7)
    print(f"{image.shape[1]}x{image.shape[0]} RGB, a pair of {2 * image.nbytes / 1e6:.0f} MB")
    for name, function in MEASURED.items():
        if name.startswith("our"):
            peak = _peak()
            start = time.process_time()
            function(image, reference)
            spent = time.process_time() - start
            more = _peak() - peak  # than the images, and what came before
            print(f"  {name:20} {spent:5.1f} s of processor time, {more:5.0f} MB more")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("SREXP_TEST_DATA"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megapixels", type=float)
    given = parser.parse_args()
    if given.megapixels:
        large(given.megapixels)
        return
    for protocol in ("y_paper", "rgb"):
        in_turn(pairs(given.data, protocol), given.rounds)


if __name__ == "__main__":
    main()
