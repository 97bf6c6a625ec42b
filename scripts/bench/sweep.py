"""What a job of a sweep costs beyond its steps: our launcher, joblib's, a process for each job.

    python scripts/bench/sweep.py --rounds 3        (joblib: pip install hydra-joblib-launcher)

Each way runs 1 and then 8 tiny trainings of 20 steps, MLflow included; the difference, shared by
7, is what a job after the first one costs. The steps themselves (20 times the time of one, from
the second window of each run's own record, since the first one compiles) are subtracted. The ways
take turns, so that other load on the machine meets them alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS, JOBS = 20, 8
TINY = [
    "model.depth=3",
    "model.filters=8",
    f"trainer.steps={STEPS}",
    f"trainer.eval_every={STEPS}",
    "trainer.batch_size=4",
    "trainer.hr_patch_size=24",
]


def srexp(folder: Path, *arguments: str) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "train", *TINY, *arguments, f"paths.output_dir={folder}"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - began


def seeds(count: int) -> str:
    return "seed=" + ",".join(str(seed) for seed in range(count))


def sweep(folder: Path, launcher: str) -> float:
    """Seconds for each job after the first, with one launcher."""
    more = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"] if launcher == "joblib" else []
    one = srexp(folder / "one", "-m", seeds(1), *more)
    many = srexp(folder / "many", "-m", seeds(JOBS), *more)
    return (many - one) / (JOBS - 1)


def fresh(folder: Path) -> float:
    """Seconds for each job in a process of its own, started from nothing."""
    return sum(srexp(folder, f"seed={seed}") for seed in range(3)) / 3


def step_seconds(folder: Path) -> float:
    """Of all steps of a run, by its second window; median over the runs under a folder."""
    found = []
    for path in folder.rglob("metrics.jsonl"):
        points = [
            json.loads(line)["metrics"] for line in path.read_text(encoding="utf-8").splitlines()
        ]
        rates = [p["train/images_per_second"] for p in points if "train/images_per_second" in p]
        found.append(STEPS * 4 / rates[1])
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    ways = {"srexp": lambda f: sweep(f, "srexp"), "a process each": fresh}
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        ways["joblib"] = lambda f: sweep(f, "joblib")
    else:
        print("hydra-joblib-launcher is not installed: joblib is left out")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                whole = way(Path(folder))
                seconds[name].append(whole - step_seconds(Path(folder)))
        print(f"round {number + 1}: " + ", ".join(f"{n} {s[-1]:.2f} s" for n, s in seconds.items()))
    ours = seconds["srexp"]
    print(f"\na job beyond its {STEPS} steps, seconds (median of {rounds}; all rounds):")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(ours, values, strict=True))
        listed = ", ".join(f"{value:.2f}" for value in values)
        print(
            f"{name:16}{statistics.median(values):6.2f}  ({listed})   srexp : this {ratio:.2f} : 1"
        )


if __name__ == "__main__":
    main()
