"""What `srexp export` makes of a run: sizes, parity, and LiteRT with and without the rewriting.

    python scripts/bench/export.py RUN [--output-dir DIR] [--rounds N]

Each format and way to keep weights is written, run by its own runtime and compared with what is
scored. Then LiteRT on LR of 128x128, in turn: the network with its transposed convolutions of
stride 1 as they are, and as convolutions, which is what srexp exports; the median CPU time of
a call.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from srexp.models.enlarge import network_from_lr
from srexp.options import OptionError
from srexp.paths import OUTPUT_DIR
from srexp.tracking.record import find_run
from srexp.upscaling.export import export, litert
from srexp.upscaling.export_file import export_run
from srexp.upscaling.formats import KINDS
from srexp.upscaling.litert import LiteRT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--output-dir", type=Path, default=Path(OUTPUT_DIR[1]))
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    run = find_run(given.run, given.output_dir)
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in KINDS.items():
            for weights in kind.weights:
                path = Path(folder, f"{weights}{kind.ending}")
                try:
                    done = export_run(run, name, path=path, weights=weights)
                except OptionError as error:
                    print(f"{name}, {weights}: {error}")
                    continue
                off = "not tried: no browser"
                if (parity := done.parity) is not None:
                    off = f"largest difference {parity.largest:.1e}, {parity.psnr:.0f} dB"
                print(f"{name}, {weights}: {done.nbytes / 1e6:.2f} MB, {off}")
        exported = export(run)
        as_it_is = network_from_lr(exported.network, exported.upscaler)
        files = {}
        for name, network in (("as it is", as_it_is), ("rewritten", exported.whole)):
            files[name] = Path(folder, f"{name}.tflite")
            files[name].write_bytes(litert(network))
        lr = np.random.default_rng(0).random((1, 128, 128, exported.sides.channels), np.float32)
        runs = {name: LiteRT(file) for name, file in files.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(given.rounds + 1):  # the first prepares
            for name, forward in runs.items():
                began = time.process_time()
                forward(lr)
                seconds[name].append(time.process_time() - began)
        before, after = (seconds[name][1:] for name in ("as it is", "rewritten"))
        ratio = statistics.median(b / a for b, a in zip(before, after, strict=True))
        print(
            f"LiteRT, 128x128: {statistics.median(before):.3f} CPU s as it is, "
            f"{statistics.median(after):.3f} rewritten, {ratio:.1f} times"
        )


if __name__ == "__main__":
    main()
