"""Time of a training step with and without XLA and by number of threads, measured in turn.

    python scripts/bench/train_step.py [--rounds N] [--steps N] [OVERRIDE ...]

Each measurement is a process of its own (threads are fixed once a process), one after the other,
round by round, on real patches through the real pipeline. On a GPU it is one step a call and ten
in place of threads. Prints the median over rounds of the time of a step (many of them one after the
other, without a look in between), the time to the end of the first call (compilation), and ratios
of the same round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def measure(overrides: list[str], steps: int) -> dict[str, float]:
    """In the child: build what `srexp train` builds, time its steps."""
    from srexp.config.compose import compose
    from srexp.config.settings import experiment_of
    from srexp.training.materials import gather
    from srexp.training.session import build_learner, build_network, calls_of, settled
    from srexp.training.strategy import Strategy

    experiment = settled(experiment_of(compose("train", overrides)))
    learner = build_learner(experiment, build_network(experiment))
    calls = calls_of(experiment, gather(experiment), Strategy(), 0)

    def go(count: int) -> float:
        start, done = time.perf_counter(), 0
        while done < count:
            call = next(calls)
            losses = learner.steps(call, done)["loss"]
            done += call.steps
        float(losses[-1])  # waits for all of them
        return (time.perf_counter() - start) / done

    first = go(1)
    return {"first": first, "step": go(steps)}


def variants() -> dict[str, list[str]]:
    """Name -> overrides."""
    listed = subprocess.run(
        [sys.executable, "-c", _GPUS], capture_output=True, encoding="utf-8", check=True
    )
    if gpus := json.loads(listed.stdout.splitlines()[-1]):
        print("on", ", ".join(gpus))
        second, values = "steps_per_call", {"1": "1", "10": "10"}
    else:
        cores = os.cpu_count() or 1
        counts = {f"null ({cores} cores)": "null", "1": "1", str(2 * cores): str(2 * cores)}
        second, values = "threads", counts
    return {
        f"jit_compile={jit} {second}={name}": [
            f"trainer.jit_compile={jit}",
            f"trainer.{second}={value}",
        ]
        for jit in ("true", "false")
        for name, value in values.items()
    }


_GPUS = """
import json
from srexp.training.devices import environment
print(json.dumps(environment()["gpus"]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given, overrides = parser.parse_known_args()
    if given.child:
        print(json.dumps(measure(overrides, given.steps)))
        return
    measured = variants()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in measured}
    for _ in range(given.rounds):
        for name, more in measured.items():
            done = subprocess.run(
                [sys.executable, __file__, "--child", f"--steps={given.steps}", *overrides, *more],
                capture_output=True,
                encoding="utf-8",
                check=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    base = next(iter(results.values()))
    for name, rounds in results.items():
        step = statistics.median(r["step"] for r in rounds)
        first = statistics.median(r["first"] for r in rounds)
        ratio = statistics.median(r["step"] / b["step"] for r, b in zip(rounds, base, strict=True))
        print(f"{name:42} {1000 * step:7.1f} ms a step ({ratio:.2f} x)   first step {first:.1f} s")


if __name__ == "__main__":
    main()
