"""How long a command takes to say something, against a bare `import hydra`, measured in turn.

    python scripts/bench/startup.py [--rounds N]

Prints the median of each and its ratio to `import hydra` of the same round. The bounds that the
project keeps: `--help` and `train --help` no more than `import hydra`; a configuration error and
`--cfg job` no more than three and a half times that.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "import hydra": ["-c", "import hydra"],
    "--help": ["-m", "srexp", "--help"],
    "train --help": ["-m", "srexp", "train", "--help"],
    "train --help model": ["-m", "srexp", "train", "--help", "model"],
    "train --help trainer.ema": ["-m", "srexp", "train", "--help", "trainer.ema"],
    "train --cfg job": ["-m", "srexp", "train", "--cfg", "job"],
    "train model.dpth=7": ["-m", "srexp", "train", "model.dpth=7"],
    "train model.depth=0": ["-m", "srexp", "train", "model.depth=0"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            for name, command in COMMANDS.items():
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, *command], cwd=folder, capture_output=True, check=False
                )
                if turn:  # the first round fills the caches
                    seconds[name].append(time.perf_counter() - start)
    base = seconds["import hydra"]
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(values, base, strict=True)]
        print(
            f"{name:26} {statistics.median(values):6.3f} s   "
            f"{statistics.median(ratios):5.2f} x import hydra "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
