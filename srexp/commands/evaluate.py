"""`srexp evaluate`: score a run, a resampler or another program's images on benchmarks."""

from __future__ import annotations

import sys

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from srexp.config.overrides import named
from srexp.config.settings import plain
from srexp.options import OptionError
from srexp.running.ends import RunFailed
from srexp.running.evaluation import evaluate_settings_of, score_all
from srexp.terminal.exit import CommandFailed
from srexp.terminal.front import run_hydra


def main() -> None:
    """The command."""
    run_hydra("evaluate", evaluate)


def evaluate(config: DictConfig) -> None:
    """Score, print tables, write CSV and JSON files.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was written.
        CommandFailed: A score is not finite.
    """
    from srexp.evaluation.document import to_json
    from srexp.terminal.console import make_console
    from srexp.terminal.display import EvaluationLines, NotesAlone

    hydra = HydraConfig.get()
    settings, run = evaluate_settings_of(plain(config), named(hydra.overrides.task))
    if settings.json and hydra.mode == RunMode.MULTIRUN:
        raise OptionError("json=true: prints one document; with -m the JSON stands beside each CSV")
    console = make_console(stderr=settings.json)
    display = NotesAlone(console) if settings.json else EvaluationLines(console)
    try:
        found = score_all(settings, run, display)
    except RunFailed as error:
        raise CommandFailed(str(error), 1) from None
    if settings.json:
        sys.stdout.write(to_json([one.document for one in found]))
