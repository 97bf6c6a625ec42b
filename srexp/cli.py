"""The table of commands. Imports nothing heavy: `--help` costs what Python itself costs."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from srexp import __version__
from srexp.config import COMMANDS as HYDRA

if TYPE_CHECKING:
    from types import FrameType

# command -> what it does; each is srexp/commands/COMMAND.py with a `main()`.
COMMANDS = {
    "upscale": "enlarge pictures",
    "serve": "a page that enlarges pictures, and an HTTP interface",
    "export": "a run's network as a file for other programs",
    "train": "train a network and see by how much it beats bicubic",
    "evaluate": "score a trained run or a classical resampler on benchmarks",
    "data": "list, fetch, check and preview image sets",
    "reproduce": "measure a published table again, and print ours beside theirs",
    "sync": "send MLflow what it does not have yet of the runs",
    "compare": "runs side by side: gains, paired differences, seeds together",
    "leaderboard": "all finished runs ranked: gain over bicubic, parameters, speed",
    "runs": "list the runs, show one, remove some",
    "report": "make the page of a run again, or of one that was cut off",
    "ui": "open the MLflow UI on the store that the runs went to",
}

_MULTIRUN = ("-m", "--multirun")

_HELP = """\
srexp {version}: experiments with single-image super-resolution, each measured
against bicubic

usage: srexp COMMAND ...        (or: python -m srexp COMMAND ...)

commands:
{commands}

  srexp upscale photo.jpg                         photo_x2.png, twice as large
  srexp train                                     two minutes on photographs
  srexp train model.depth=5 act=prelu             change what you like
  srexp train -m model.depth=3,5 act=relu,prelu   one run for each combination
  srexp evaluate model=bicubic benchmark=set5     score a resampler
  srexp compare RUN RUN                           differences, with uncertainty
  srexp reproduce table=bicubic                   a published table again
  srexp COMMAND --help                            what a command takes
  srexp train --help KEY                          what a group or a key is

completion: eval "$(srexp -sc install=bash)"   (or zsh)
            srexp -sc install=fish | source
options: --help, --version
"""


def _help() -> str:
    lines = "\n".join(f"  {name:12}{what}" for name, what in COMMANDS.items())
    return _HELP.format(version=__version__, commands=lines)


def run() -> None:
    """`main`, as all that this process does: once it is over, a signal ends it without a word."""
    try:
        main()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


def main() -> None:
    """Run one command; the process ends with its exit code (2 for bad input)."""
    if sys.platform == "win32":
        message = "Windows itself is not supported; in WSL 2 srexp runs as on Linux (wsl --install)"
        print(f"srexp: {message}", file=sys.stderr)
        sys.exit(2)
    asked = False

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    # Until a command has handlers of its own. What Ctrl-C raises in an import or in Hydra's
    # composition may come out as another error. Where a shell ignores it, it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    if sys.stdout is None:  # closed by a shell: `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        _main(sys.argv[1:])
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            raise
        # What nobody reads (`| head`), a closed terminal, a full disk (`> FILE`).
        importlib.import_module("srexp.terminal.pipe").drop()
        if error.errno == errno.ENOSPC:
            print(f"srexp: the output cannot be written ({error.strerror})", file=sys.stderr)
        sys.exit(1)
    except BaseException:
        if asked:
            sys.exit(128 + signal.SIGINT)
        raise


def _main(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        if arguments[1:2] and arguments[1] in COMMANDS:  # srexp help train
            _run(arguments[1], ["--help", *arguments[2:]])
            return
        print(_help(), end="")
        return
    if arguments[0] == "--version":
        print(f"srexp {__version__}")
        return
    if arguments[0] in ("-sc", "--shell-completion", "--shell_completion"):
        importlib.import_module("srexp.terminal.completion").complete(arguments, COMMANDS)
        return
    command = arguments[0]
    if command not in COMMANDS:
        from difflib import get_close_matches

        near = get_close_matches(command, COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        listed = ", ".join(COMMANDS)
        print(f"srexp: {command}: no such command{hint} (there are {listed})", file=sys.stderr)
        sys.exit(2)
    _run(command, arguments[1:])


def _run(command: str, arguments: list[str]) -> None:
    if command in HYDRA:
        from srexp.terminal.explain import asks_for_help, explain

        if asks_for_help(arguments):
            explain(command, arguments)
            return
    # Hydra reads sys.argv itself, and takes -m before the first override only.
    sys.argv = [f"srexp {command}", *sorted(arguments, key=lambda a: a not in _MULTIRUN)]
    importlib.import_module(f"srexp.commands.{command}").main()
