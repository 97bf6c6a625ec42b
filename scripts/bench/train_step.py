"""Time of a training step with and without XLA and by number of threads, measured in turn.

    python scripts/bench/train_step.py [--rounds N] [--steps N] [OVERRIDE ...]

Each measurement is a process of its own (threads are fixed once a process), one after the other,
round by round, on real patches through the real pipeline. Prints the median over rounds of the
median step, the time to the end of the first step (compilation), and ratios of the same round.
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
    from srexp.data.pipeline import calls, source_of
    from srexp.training.materials import gather
    from srexp.training.session import build_learner, build_network

    experiment = experiment_of(compose("train", overrides))
    sampler = gather(experiment).sampler
    learner = build_learner(experiment, build_network(experiment))
    seconds = []
    for number, call in enumerate(calls(sampler, 0, steps + 1, source_of(sampler))):
        start = time.perf_counter()
        float(learner.steps(call, number)["loss"][0])
        seconds.append(time.perf_counter() - start)
    return {"first": seconds[0], "step": statistics.median(seconds[1:])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given, overrides = parser.parse_known_args()
    if given.child:
        print(json.dumps(measure(overrides, given.steps)))
        return
    cores = os.cpu_count() or 1
    variants = {
        f"jit_compile={jit} threads={threads or f'null ({cores} cores)'}": [
            f"trainer.jit_compile={jit}",
            f"trainer.threads={threads or 'null'}",
        ]
        for jit in ("true", "false")
        for threads in (None, *([1] if cores > 1 else []), *([2 * cores]))
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for _ in range(given.rounds):
        for name, more in variants.items():
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
