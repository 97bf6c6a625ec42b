"""What the networks that come with srexp are worth: dB over bicubic, and seconds.

    python scripts/bench/bundled.py [--data-dir DIR]

Scores each on Set5 and Set14, as `srexp upscale` runs it: by LiteRT from its file, in tiles; `rgb`
and `y_of_rgb`. LR is made by MATLAB's bicubic in 8 bits, and by the degradation `web` (a little
blur, noise, JPEG; its draw 0). Then `srexp upscale` of a PNG of 512x512 to twice its size, from the
command to the written file, the median of five: CPU and wall seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from srexp.config.compose import compose
from srexp.config.settings import evaluate_settings
from srexp.evaluation.scoring import Task, evaluate
from srexp.upscaling import bundled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", default=os.environ.get("SREXP_DATA_DIR", "data"))
    given = parser.parse_args()
    for kind in bundled.KINDS:
        method = bundled.method(kind)
        for degradation in ("bicubic", "web"):
            for scale in (2, 3, 4):
                steps = "x".join(map(str, method.steps(1, 1, (scale, scale))))
                lines = scores(ours(method), kind, degradation, scale, given.data_dir)
                for line in lines:
                    print(f"{line} (networks: x{steps})", flush=True)
    cpu, wall = command()
    print(f"512x512 to 1024x1024, command to file: {cpu:.2f} CPU s, {wall:.2f} s")


def ours(method):
    """LR and scale -> SR, as `srexp upscale`."""
    return lambda lr, scale: method.enlarged(
        lr, (lr.shape[1] * scale, lr.shape[0] * scale), "float32"
    )


def scores(make, name, degradation, scale, data_dir, benchmarks=("set5", "set14")):
    """A line for each benchmark and protocol."""
    settings = evaluate_settings(
        compose(
            "evaluate",
            [f"degradation={degradation}", f"degradation.scale={scale}",
             f"benchmark=[{','.join(benchmarks)}]", "protocol=[rgb,y_of_rgb]",
             f"paths.data_dir={data_dir}"],
        )
    )  # fmt: skip

    def enlarge(lr, *, eight_bit=False):
        return make(lr, scale)

    for benchmark, option in settings.benchmark.items():
        for protocol_name, protocol in settings.protocol.items():
            task = Task(
                option.load(benchmark), settings.degradation, protocol_name, protocol, keep=False
            )
            report = evaluate(task, enlarge, method=name)
            ours = statistics.mean(row.score.psnr for row in report.rows)
            theirs = statistics.mean(row.bicubic.psnr for row in report.rows)
            better = sum(row.score.psnr > row.bicubic.psnr for row in report.rows)
            yield (
                f"{name} on {degradation}, {task.key}: {ours:.2f} dB, bicubic {theirs:.2f}, better "
                f"on {better} of {len(report.rows)}; SSIM "
                f"{statistics.mean(row.score.ssim for row in report.rows):.4f}, bicubic "
                f"{statistics.mean(row.bicubic.ssim for row in report.rows):.4f}"
            )


def command():
    """CPU and wall seconds of one picture."""
    cpu, wall = [], []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "a.png")
        levels = np.random.default_rng(0).normal(0, 12, (64, 64, 3)).cumsum(0).cumsum(1) / 8 + 128
        image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
        image.resize((512, 512), Image.Resampling.BICUBIC).save(picture)
        for _ in range(5):
            before, began = os.times(), time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "srexp", "upscale", picture, "--overwrite", "-o",
                 Path(folder, "b.png")], check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            after = os.times()
            wall.append(time.perf_counter() - began)
            cpu.append(after.children_user + after.children_system
                       - before.children_user - before.children_system)  # fmt: skip
    return statistics.median(cpu), statistics.median(wall)


if __name__ == "__main__":
    main()
