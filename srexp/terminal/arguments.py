"""What commands that read run folders are asked alike."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import textwrap
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from srexp.options import EMPTY
from srexp.paths import OUTPUT_DIR, PathError, to_path
from srexp.terminal.exit import fail

RUN = "id, folder, start or end of an id, or latest"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest option."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As always, but nothing that is given may be empty: the variable of a shell, not set."""
        words = sys.argv[1:] if args is None else list(args)
        for before, word in zip(["", *words], words, strict=False):
            option, equals, value = word.partition("=")
            if not word.strip() or (option.startswith("--") and equals and not value.strip()):
                name = option if equals else before if before.startswith("-") else "an argument"
                self.error(f"{name}: {EMPTY}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        unknown = re.fullmatch(r"unrecognized arguments: (\S+).*", message)
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        clear = any(words in message for words in ("must be", "is empty", "too long", "home here"))
        hint = "" if clear else f"; see {self.prog} --help"
        if unknown is not None:
            hint = _nearest(unknown[1].split("=")[0], list(self._option_string_actions)) or hint
        elif choice is not None:
            hint = _nearest(choice[1], re.findall(r"[\w-]+", choice[2])) or hint
        fail(f"{message}{hint}")


def _nearest(wrong: str, known: list[str]) -> str:
    near = get_close_matches(wrong, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def make_parser(command: str, description: str, examples: str = "") -> argparse.ArgumentParser:
    """A parser whose help keeps its lines: `srexp COMMAND`."""
    return Parser(
        prog=f"srexp {command}",
        description=textwrap.fill(description, 79),
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_names(add: Callable[..., object]) -> None:
    """`--name`, a list of `RUN=NAME`."""
    add("--name", action="append", default=[], metavar="RUN=NAME", help="what a run, bicubic or a "
        "method from a file is called; may be repeated. Runs of several scales that are called "
        "alike are one row (default: what sets it apart)")  # fmt: skip


def add_over(parser: argparse.ArgumentParser) -> None:
    """`--intervals` and `--seeds`, as `over`."""
    one = parser.add_mutually_exclusive_group()
    for name, over, what in (
        ("--intervals", "images", "of the mean gain over bicubic, over images"),
        ("--seeds", "seeds", "over seeds"),
    ):
        said = f"± half the 95 %% interval {what}, in the table of papers"
        one.add_argument(name, action="store_const", const=over, dest="over", help=said)


def add_output_dir(parser: argparse.ArgumentParser) -> None:
    """`--output-dir`, a `Path`."""
    add_folder(parser, "--output-dir", OUTPUT_DIR, "the runs are")


def add_folder(
    parser: argparse.ArgumentParser, option: str, variable: tuple[str, str], what: str
) -> None:
    """An option that stands before a variable, a `Path`."""
    name, default = variable

    def given(text: str) -> Path:
        return path_type(text, f"{name}=" if text == os.environ.get(name) else "")

    parser.add_argument(
        option,
        type=given,
        default=os.environ.get(name, default),  # a text, so that it is checked if it is needed
        metavar="DIR",
        help=f"where {what} (default: ${name}, else {default})",
    )


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least` to `most`."""

    def number(text: str) -> int:
        whole = text.isascii() and text.isdigit() and len(text) < 16
        if not whole or int(text) < least or (most is not None and int(text) > most):
            to = f" to {most}" if most is not None else " on"
            raise argparse.ArgumentTypeError(f"{text}: must be a whole number from {least}{to}")
        return int(text)

    return number


def positive_number(text: str) -> float:
    """The type of an option that takes a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be a number greater than 0")
    return value


def path_type(text: str, said: str = "") -> Path:
    """The type of an option that takes a file or a folder."""
    try:
        return to_path(text)
    except PathError as error:
        given = f"{said}{text}: " if said or text else ""
        raise argparse.ArgumentTypeError(f"{given}{error}") from None
