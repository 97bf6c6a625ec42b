"""`srexp reproduce`: a published table, measured again."""

from __future__ import annotations

from omegaconf import DictConfig

from srexp.commands.train import train_values
from srexp.config.reproduction import reproduce_settings
from srexp.config.settings import plain
from srexp.running.ends import RunFailed
from srexp.running.reproduction import Reproduction
from srexp.terminal.exit import CommandFailed
from srexp.terminal.front import run_hydra


def main() -> None:
    """The command."""
    run_hydra("reproduce", reproduce)


def reproduce(config: DictConfig) -> None:
    """Measure what is asked for, print it beside the published values, keep both.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was written.
        CommandFailed: A value is further off than its tolerance.
    """
    from hydra.core.hydra_config import HydraConfig

    from srexp.terminal.console import make_console

    hydra, console = HydraConfig.get(), make_console()
    values = plain(config)
    settings = reproduce_settings(values, str(hydra.runtime.choices["table"]))

    def show(shown: object) -> None:
        console.print(shown, soft_wrap=isinstance(shown, str))

    table = Reproduction(settings, values["paths"], show, train_values)
    try:
        table.measure(hydra.overrides.task)
    except RunFailed as error:
        raise CommandFailed(str(error), 1) from None
    if (misses := table.conclude()) is not None:
        raise CommandFailed(misses, 1)
