"""What commands that read run folders are asked alike."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from srexp.commands.exit import fail

RUN = "id, folder, start of an id, or latest"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest option."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        unknown = re.fullmatch(r"unrecognized arguments: (\S+).*", message)
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        hint = "" if "must be" in message else f"; see {self.prog} --help"
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
        description=description,
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
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path(os.environ.get("SREXP_OUTPUT_DIR", "outputs")),
        help="where the runs are (default: $SREXP_OUTPUT_DIR, else outputs)",
    )
