"""Scoring from Python."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.comparison.results import read_evaluation
from srexp.config.asked import ask
from srexp.config.overrides import named
from srexp.library.rows import Rows
from srexp.library.run import Run, rows_of, silence
from srexp.running.evaluation import evaluate_settings_of, score_all

if TYPE_CHECKING:
    from srexp.evaluation.cost import Cost
    from srexp.evaluation.scoring import Report
    from srexp.evaluation.timing import Timing


def evaluate(
    run: Run | str | Path | None = None,
    *overrides: str,
    benchmark: str | Sequence[str] | None = None,
    output_dir: str | Path | None = None,
) -> Rows:
    """Score a run, or a resampler: the same as `srexp evaluate`, with files, MLflow and page.

    >>> srexp.evaluate(run, benchmark="photos")[0]["images"]
    3
    >>> srexp.evaluate(None, "model=lanczos", "degradation.scale=3")[0]["method"]
    'lanczos'

    Args:
        run: What is scored: a run, its folder, its id, or `latest`; None for a resampler.
        overrides: As on the command line: `protocol=y_paper`, `ensemble=true`.
        benchmark: The image set or sets, by name; None for the default.
        output_dir: Where runs are; None for `SREXP_OUTPUT_DIR`, else `outputs/`.

    Returns:
        One row for each image set and protocol; PSNR in dB.

    Raises:
        OptionError, RunError, CheckpointError: Bad input, in one line; nothing was written.
    """
    asked = [*overrides]
    if run is not None:
        asked.append(f"run={run.folder if isinstance(run, Run) else run}")
    if benchmark is not None:
        sets = [benchmark] if isinstance(benchmark, str) else benchmark
        several = f"[{','.join(sets)}]"
        asked.append(f"benchmark={sets[0] if len(sets) == 1 else several}")
    if output_dir is not None:
        asked.append(f"paths.output_dir={output_dir}")
    silence()
    values, given = ask("evaluate", asked)
    settings, folder = evaluate_settings_of(values, named(given))
    display = _Silent()
    found = score_all(settings, folder, display)
    for note in display.notes:
        warnings.warn(note, stacklevel=2)
    return rows_of(read_evaluation(one.csv) for one in found)


class _Silent:
    """Prints nothing: a `running.display.EvaluationDisplay`."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def say(self, text: str, *, whole: bool = False) -> None:
        """Nothing."""

    def note(self, text: str, *, whole: bool = False) -> None:
        """Kept for the end."""
        self.notes.append(text)

    def found(self, report: Report, cost: Cost | None, timing: Timing | None) -> None:
        """Nothing: it is returned."""
