"""Memory and start of a training on image sets that are larger than memory.

    python scripts/bench/memory.py [--sets COUNTxWIDTHxHEIGHT ...] [--folder DIR] [KEY=VALUE ...]

Makes sets of BMP files (colour, waves and noise), trains a few steps on each, twice, each time in a
process of its own, and removes what it made. Prints the peak of anonymous memory (RssAnon of
/proc/PID/status, looked at every 20 ms) beyond that of the same training on a dozen pictures of
96x96, and the seconds from the start of the process to the end of its first step. The first run
fills the cache, the second finds it. A fiftieth of the pictures is for validation.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

# Says when the first step is done.
CHILD = """
import sys, time
from srexp import cli
from srexp.training.session import Session
told = Session.stepped
def stepped(self, step):
    if step == 1:
        print("first step", time.time(), flush=True)
    told(self, step)
Session.stepped = stepped
sys.argv = ["srexp", *sys.argv[1:]]
cli.main()
"""
SHORT = (
    "trainer.steps=20", "trainer.eval_every=20", "tracking=none", "benchmark=[]", "data=folder",
    "data.val_fraction=0.02", "model.depth=2", "model.filters=4", "trainer.sample_grids=1",
)  # fmt: skip


def make_set(folder: Path, count: int, width: int, height: int) -> None:
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : height + 256, 0 : width + 256].astype(np.float32)
    waves = 60 * np.sin(columns / 9)[..., None] + 40 * np.cos(rows / 7)[..., None]
    noise = random.integers(-20, 20, (*waves.shape[:2], 3))
    large = np.clip(128 + waves + noise, 0, 255).astype(np.uint8)
    for number in range(count):
        top, left = random.integers(256, size=2)
        image = large[top : top + height, left : left + width].copy()
        image[0, 0] = number % 256, number // 256 % 256, number // 65536  # no two are the same
        Image.fromarray(image).save(folder / f"{number:06d}.bmp")


def train(images: Path, folder: Path, overrides: list[str]) -> tuple[float, float, float]:
    """Peak of RssAnon in MiB, seconds to the first step, and in all."""
    words = [
        *SHORT, f"data.train_dir={images}", f"paths.data_dir={folder}",
        f"paths.output_dir={folder / 'outputs'}", *overrides,
    ]  # fmt: skip
    began, peak = time.time(), 0
    command = [sys.executable, "-c", CHILD, "train", *words]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            found = [line for line in status.splitlines() if line.startswith("RssAnon")]
            peak = max([peak, *(int(line.split()[1]) for line in found)])
            time.sleep(0.02)
        ended = time.time()
        output.seek(0)
        said = output.read()
    if process.returncode:
        sys.exit(said)
    first = float(said.split("first step ")[1].split()[0])
    return peak / 1024, first - began, ended - began


def cache_size(folder: Path) -> float:
    return sum(f.stat().st_size for f in (folder / ".cache").rglob("*") if f.is_file()) / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=["20000x480x320", "800x2040x1400"])
    parser.add_argument("--folder", type=Path, default=Path())
    given, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        make_set(Path(name) / "few", 12, 96, 96)
        empty, first, _ = train(Path(name) / "few", Path(name), overrides)
        print(f"a dozen of 96x96: {empty:.0f} MiB, first step after {first:.1f} s", flush=True)
    for one in given.sets:
        count, width, height = map(int, one.split("x"))
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            folder = Path(name)
            make_set(folder / "images", count, width, height)
            for turn in ("first", "second"):
                peak, first, whole = train(folder / "images", folder, overrides)
                print(
                    f"{count} of {width}x{height}, {turn} run: {peak - empty:+.0f} MiB, first step "
                    f"after {first:.1f} s, all of it {whole:.1f} s; cache {cache_size(folder):.2f} "
                    "GiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
