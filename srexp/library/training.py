"""Training from Python."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srexp.config.asked import ask
from srexp.library.run import Run, silence
from srexp.options import OptionError
from srexp.running.display import RunDisplay
from srexp.running.run import train_run
from srexp.terminal.interruption import Interruption

if TYPE_CHECKING:
    from srexp.evaluation.cost import Cost
    from srexp.evaluation.scoring import Report
    from srexp.training.loop import Window

# Told steps done, steps in all, and what is known: `loss`, `images_per_second`, `val_psnr`.
Progress = Callable[[int, int, dict[str, float]], object]


def train(
    *overrides: str,
    output_dir: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: bool | Progress | None = None,
) -> Run:
    """Train one run: the same as `srexp train` with the same overrides.

    Ctrl-C, or the notebook's stop button, saves and stops; the second one stops at once.

    >>> run = srexp.train("model.depth=2", "trainer.steps=6")
    >>> run.scores[0]["set"]
    'photos'

    Args:
        overrides: As on the command line, each a text: `model.depth=7`, `act=leaky_relu`,
            `resume=latest`.
        output_dir: Where runs go; None for `SREXP_OUTPUT_DIR`, else `outputs/`.
        config_dir: A folder with more options, as `--config-dir`.
        progress: None for silence, True to print what the command prints, or a function that is
            told (steps done, steps in all, {name: number}) every few steps.

    Returns:
        The run, finished. What the command would print as a note is a warning.

    Raises:
        OptionError: Bad input; nothing was made.
        RunError: No such run (`resume`, `init_from`), or training failed and the run says so.
        KeyboardInterrupt: It was stopped; what was trained is saved, the run is INTERRUPTED.
    """
    asked = [*overrides, *([f"paths.output_dir={output_dir}"] if output_dir is not None else [])]
    silence()
    values, given = ask("train", asked, config_dir)
    _check(values)
    display, silent = _display(progress)
    try:
        done = train_run(values, given, display=display, stop=Interruption())
    finally:
        for note in silent.notes if silent is not None else ():
            warnings.warn(note, stacklevel=2)
    assert done is not None
    return Run(done.run.folder.resolve())


def _check(values: dict[str, Any]) -> None:
    """Raises OptionError: Something that works in a process of its own alone."""
    trainer = values["trainer"]
    if trainer["dry_run"]:
        raise OptionError("trainer.dry_run=true: prints what would be trained: srexp train")
    if trainer["strategy"] == "multi_worker":
        raise OptionError("trainer.strategy=multi_worker: each process is started by srexp train")
    if "tensorflow" in sys.modules:
        from srexp.training.devices import check_threads

        check_threads(trainer["threads"])


def _display(progress: bool | Progress | None) -> tuple[RunDisplay, Silent | None]:
    if progress is True:
        from srexp.terminal.console import make_console
        from srexp.terminal.display import TrainingDisplay

        return TrainingDisplay(make_console()), None
    if progress not in (None, False) and not callable(progress):
        raise OptionError(f"progress={progress!r}: must be None, True or a function")
    silent = Silent(progress or None)
    return silent, silent


class Silent:
    """Prints nothing: a `running.display.RunDisplay`.

    Attributes:
        notes: What a person should know.
    """

    def __init__(self, progress: Progress | None) -> None:
        self.notes: list[str] = []
        self._progress = progress
        self._last = 0
        self._known: dict[str, float] = {}

    def say(self, text: str, *, whole: bool = False) -> None:
        """Nothing."""

    def note(self, text: str, *, whole: bool = False) -> None:
        """Kept for the end."""
        self.notes.append(text)

    def describe(self, *_: object) -> None:
        """Nothing: dry runs are refused."""

    def preparing(self) -> AbstractContextManager[None]:
        """Nothing is shown."""
        return nullcontext()

    def begin(self, first: int, last: int) -> None:
        """How many steps there are."""
        self._last = last

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stepped(self, step: int) -> None:
        """Nothing."""

    def window(self, window: Window) -> None:
        """Tell how it goes."""
        self._tell(window.step, loss=window.loss, images_per_second=window.images_per_second)

    def evaluated(self, step: int, reports: list[Report]) -> None:
        """Tell how good it is."""
        self._tell(step, val_psnr=reports[0].mean(lambda row: row.score.psnr))

    def scored(self, reports: Sequence[Report], cost: Cost) -> None:
        """Nothing: they are in the run."""

    def _tell(self, step: int, **known: float) -> None:
        self._known |= known
        if self._progress is not None:
            self._progress(step, self._last, dict(self._known))
