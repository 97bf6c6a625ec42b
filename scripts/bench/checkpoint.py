"""How long saving checkpoints stops a training, as a share of it.

    python scripts/bench/checkpoint.py --steps 300 [OVERRIDE ...]

Trains with the default settings (and the overrides), timing everything that the loop does to keep
a checkpoint: flushing the curves, copying the weights, writing, flushing, renaming, noting it.
Scoring the validation images, which happens at the same steps, is training and not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srexp.config.compose import compose
from srexp.config.settings import absolute_paths, experiment_of
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint, loop
from srexp.training.materials import gather


class Silent:
    """No screen."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: Any) -> None: ...
    def evaluated(self, step: int, reports: Any) -> None: ...


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    given, overrides = parser.parse_known_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        asked = [f"trainer.steps={given.steps}", f"paths.output_dir={folder}", *overrides]
        values = absolute_paths(compose("train", asked))
        experiment = experiment_of(values)
        materials = gather(experiment)
        run = RunFolder.create(Path(folder), "bench", values, "")
        from srexp.training.session import Session

        session = Session(experiment, materials, run, Silent())
        spent: list[float] = []

        def timed(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                began = time.perf_counter()
                result = function(*arguments)
                spent.append(time.perf_counter() - began)
                return result

            return call

        loop.save = timed(loop.save)  # type: ignore[assignment]
        checkpoint.keep_as_best = timed(checkpoint.keep_as_best)  # type: ignore[assignment]
        checkpoint.remove_old = timed(checkpoint.remove_old)  # type: ignore[assignment]
        session.saving = timed(session.saving)  # type: ignore[method-assign]
        session.saved = timed(session.saved)  # type: ignore[method-assign]
        began = time.perf_counter()
        session.train(lambda: None)
        whole = time.perf_counter() - began
        size = checkpoint.newest(run.checkpoints)[0].stat().st_size
        saves = given.steps // experiment.trainer.eval_every
        run.release()
    print(
        f"{saves} checkpoints of {size / 1e6:.2f} MB in {whole:.1f} s of training: "
        f"{sum(spent):.3f} s, {100 * sum(spent) / whole:.2f} %"
    )


if __name__ == "__main__":
    main()
