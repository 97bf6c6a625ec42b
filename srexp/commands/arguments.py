"""What commands that read run folders are asked alike."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

RUN = "id, folder, start of an id, or latest"


def make_parser(command: str, description: str, examples: str = "") -> argparse.ArgumentParser:
    """A parser whose help keeps its lines: `srexp COMMAND`."""
    return argparse.ArgumentParser(
        prog=f"srexp {command}",
        description=description,
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_output_dir(parser: argparse.ArgumentParser) -> None:
    """`--output-dir`, a `Path`."""
    parser.add_argument(
        "--output-dir",
        type=Path,
        default=Path(os.environ.get("SREXP_OUTPUT_DIR", "outputs")),
        help="where the runs are (default: $SREXP_OUTPUT_DIR, else outputs)",
    )
