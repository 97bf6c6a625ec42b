"""Hydra's command line with our errors: one line, exit code 2."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from srexp.config.catalogue import catalogue
from srexp.config.compose import conf_dir, prepare_hydra, remove_unused_sweep
from srexp.config.errors import broken_yaml, readable
from srexp.config.hydra_settings import check_hydra, check_sweeper_params
from srexp.config.sweeps import given_config_dir
from srexp.config.typed import as_typed, keys_of_a_run
from srexp.config.words import advice
from srexp.options import OptionError
from srexp.terminal.exit import CommandFailed, CommandInterrupted, fail
from srexp.tracking.record import RunError
from srexp.training.checkpoint import CheckpointError

# Arguments with which something other than `-m` may make it a multirun.
_MAY_SET_MODE = ("--config", "-c", "sweep=", "+sweep=", "experiment=")


class GuardedTask:
    """Keeps a task's failure to itself, since Hydra would print a line of its own about it.

    Attributes:
        task: What is guarded.
        failure: What it raised, or None.
    """

    def __init__(self, task: Callable[..., Any]) -> None:
        functools.update_wrapper(self, task)
        self.task = task
        self.failure: Exception | None = None
        self._process = os.getpid()

    def __call__(self, config: DictConfig) -> Any:
        try:
            return self.task(config)
        except Exception as error:
            if os.getpid() != self._process:
                raise  # under a launcher with processes of its own, which tells Hydra
            self.failure = error
            return None


def run_hydra(command: str, task: Callable[..., Any]) -> None:
    """Compose `command`'s configuration from the command line and call `task` with it."""
    # Hydra would print a trimmed traceback and exit 1; we want the exception itself.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # TensorFlow reports a missing GPU as an error each time; the run says what it runs on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", module="hydra")
    known = catalogue(command)
    if line := advice(command, sys.argv[1:], _hydra_flags(), known):
        fail(line)
    sys.argv[1:] = keys_of_a_run(sys.argv[1:])
    prepare_hydra()
    try:
        check_sweeper_params(sys.argv[1:])
        typed = as_typed(sys.argv[1:], given_config_dir(sys.argv[1:]))
    except OptionError as error:
        fail(str(error))
    sys.argv = [sys.argv[0], *_flags_last(typed)]
    _check_at_once()
    _compose_once()
    guard = GuardedTask(task)
    main = hydra.main(config_path=str(conf_dir()), config_name=command, version_base="1.3")
    try:
        main(guard)()
    except (OptionError, RunError, CheckpointError) as error:
        fail(str(error))
    except YAMLError as error:  # an option's file
        fail(broken_yaml(error))
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        # Composing failed: nothing of ours has run yet, and Hydra raises ValueError too.
        fail(readable(error, known))
    except CommandFailed as error:  # of a sweep
        fail(str(error), error.exit_code)
    except CommandInterrupted as error:
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("stopped", 130)
    except OSError as error:
        if not isinstance(error, (PermissionError, FileExistsError, NotADirectoryError)):
            raise
        fail(f"{error.filename}: cannot be written ({error.strerror})")
    finally:
        remove_unused_sweep()
    if guard.failure is not None:
        _explain(guard.failure)


def _explain(failure: Exception) -> NoReturn:
    """What a task raised: a line and an exit code where the user can mend it."""
    if isinstance(failure, (OptionError, RunError, CheckpointError)):
        fail(str(failure))
    if isinstance(failure, CommandFailed):
        fail(str(failure), failure.exit_code)
    if isinstance(failure, OSError) and failure.filename is not None:
        fail(f"{failure.filename}: {failure.strerror}", 1)
    raise failure


def _hydra_flags() -> dict[str, bool]:
    """Hydra's flags, and whether each takes a value."""
    from hydra._internal.utils import get_args_parser

    actions = get_args_parser()._actions
    return {flag: action.nargs != 0 for action in actions for flag in action.option_strings}


def _flags_last(arguments: list[str]) -> list[str]:
    """Flags with values after everything else: argparse takes overrides from one place only."""
    takes_value = _hydra_flags()
    others: list[str] = []
    flags: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        flag, equals, _ = argument.partition("=")
        if not takes_value.get(flag):
            others.append(argument)
            continue
        flags.append(argument)
        if rest and not equals and (flag not in ("--info", "-i") or "=" not in rest[0]):
            flags.append(rest.pop(0))
    return [*others, *flags]


def _check_at_once() -> None:
    """Refuse what cannot work of `hydra.*` before Hydra makes a folder or a log file for it."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    load = ConfigLoaderImpl.load_configuration

    @functools.wraps(load)
    def checked(*args: Any, **kwargs: Any) -> DictConfig:
        config = load(*args, **kwargs)
        check_hydra(config)
        return config

    ConfigLoaderImpl.load_configuration = checked  # type: ignore[method-assign]


def _compose_once() -> None:
    """Spare Hydra a second composition, a quarter of a second at every start.

    It composes everything first only to read `hydra.mode`, which of our files only those in
    `sweep/` set. Where the command line or a folder of the user's might set it, Hydra looks itself.
    """
    from hydra._internal.hydra import Hydra

    if any("hydra.mode" in a or a.startswith(_MAY_SET_MODE) for a in sys.argv[1:]):
        return
    Hydra.get_mode = lambda self, config_name, overrides: None  # type: ignore[method-assign]
