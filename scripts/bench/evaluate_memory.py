"""Peak memory of `srexp evaluate` on one large image.

    python scripts/bench/evaluate_memory.py [--width 6000 --height 4000] [TRAIN_OVERRIDE ...]

Scores a PNG of that size in RGB with bicubic, and with a network trained for a few steps (default
options; the overrides are the training's), in luma, in colour and as an ensemble, each in a process
of its own. Prints the largest resident set of that process (`resource`, by `wait4`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHORT = ("trainer.steps=20", "trainer.eval_every=20", "trainer.batch_size=4", "tracking=none")


def picture(path: Path, width: int, height: int) -> None:
    """Waves with noise: neither flat nor random."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    across, down = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    image = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        waves = np.sin(across / (7 + channel))[None] + np.cos(down / (11 - channel))[:, None]
        image[..., channel] = 128 + 50 * waves + random.integers(-10, 10, (height, width))
    Image.fromarray(image).save(path, compress_level=1)


def run(*arguments: str) -> tuple[int, float]:
    """Peak resident set in bytes and seconds of one command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "srexp", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_maxrss * 1024, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    given, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        images = Path(folder) / "images"
        images.mkdir()
        # In a process of its own: a child is charged with what its parent had when it forked.
        maker = multiprocessing.Process(
            target=picture, args=(images / "large.png", given.width, given.height)
        )
        maker.start()
        maker.join()
        output = f"paths.output_dir={folder}/outputs"
        run("train", *SHORT, output, *overrides)
        scored = ("evaluate", output, "benchmark=folder", f"benchmark.folder.dir={images}")
        for method in ("model=bicubic", "run=latest"):
            for words in (
                ["protocol=y_paper"],
                ["protocol=rgb"],
                ["protocol=rgb", "ensemble=true"],
            ):
                peak, seconds = run(*scored, method, *words)
                typed = " ".join([method, *words])
                print(f"{peak / 2**30:6.2f} GiB {seconds:7.1f} s  {typed}", flush=True)


if __name__ == "__main__":
    main()
