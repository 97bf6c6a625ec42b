"""`srexp data`: the image sets that are known, getting them, and looking at them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srexp.data.known import known_set, known_sets
from srexp.options import OptionError
from srexp.paths import CACHE_DIR, DATA_DIR, PathError, to_path
from srexp.terminal.arguments import (
    add_folder,
    make_parser,
    path_type,
    positive_number,
    whole_number,
)
from srexp.terminal.exit import fail
from srexp.words import count


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given, more = _parser().parse_known_args(arguments)
    # Overrides may stand after options, which argparse by itself does not take.
    if more and (given.action != "preview" or any(word.startswith("-") for word in more)):
        fail(f"{' '.join(more)}: not understood; srexp data {given.action} --help says what is")
    if given.action == "preview":
        given.overrides += more
    try:
        given.run(given)
    except OptionError as error:
        fail(str(error))
    except KeyboardInterrupt:
        kept = "; what has arrived is kept for the next call" if given.action == "fetch" else ""
        fail(f"stopped{kept}", 130)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("data", "Image sets: what is known, what is here, what is in them.")
    actions = parser.add_subparsers(
        required=True, metavar="list|fetch|check|preview|cache", dest="action"
    )

    def action(name: str, run: Any, what: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=what, description=what)
        added.set_defaults(run=run)
        return added

    def with_data_dir(added: argparse.ArgumentParser) -> None:
        add_folder(added, "--data-dir", DATA_DIR, "the image sets are")

    listing = action("list", _list, "the sets that are known, and which are here")
    with_data_dir(listing)
    listing.add_argument("--json", action="store_true", help="for programs")
    fetching = action("fetch", _fetch, "download known sets into the data directory")
    fetching.epilog = (
        "A download that was cut off goes on where it was when the command is given again. A set "
        "stands in its folder whole and checked, or not at all."
    )
    with_data_dir(fetching)
    fetching.add_argument("names", metavar="NAME", nargs="+", help=", ".join(known_sets()))
    fetching.add_argument(
        "--from", dest="address", metavar="ADDRESS",
        help="another address: of a zip or tar archive, or, ending in /, of the folder that holds "
        "the files; or an archive on this machine",
    )  # fmt: skip
    fetching.add_argument(
        "--pick", metavar="PATTERN",
        help="the images' paths in the archive, as in 'HR/*.png', for a set without checksums",
    )  # fmt: skip
    fetching.add_argument(
        "--timeout", type=positive_number, default=30.0, metavar="SECONDS",
        help="give a connection up when nothing comes for so long (default: 30)",
    )  # fmt: skip
    checking = action("check", _check, "look at every picture of some folders")
    checking.epilog = (
        "Counts, sizes, modes, bit depths; files that cannot be read; the same picture twice, in "
        "two folders, or in a known benchmark that is here, by its pixels or by its looks. Exit "
        "code 1 if something is wrong."
    )
    with_data_dir(checking)
    checking.add_argument(
        "folders", metavar="DIR", nargs="+", help="a folder of pictures, or the name of a known set"
    )
    checking.add_argument("--json", action="store_true", help="for programs")
    previewing = action(
        "preview", _preview, "a picture of HR and LR images as training would get them"
    )
    previewing.epilog = (
        "Overrides as for srexp train: srexp data preview data=folder data.train_dir=DIR "
        "degradation.scale=3 -o preview.png"
    )
    previewing.add_argument("overrides", metavar="OVERRIDE", nargs="*", help="as for srexp train")
    previewing.add_argument(
        "-o", "--output", type=path_type, default=Path("preview.png"), help="default: preview.png"
    )
    previewing.add_argument(
        "-n", "--images", type=whole_number(1, 100), default=6, metavar="N",
        help="how many (default: 6)",
    )  # fmt: skip
    caching = action("cache", _cache, "what is kept of image sets that are too large for memory")
    caching.epilog = (
        "It is made when it is needed and may be removed at any time: the next run makes it again. "
        f"It lies below the data directory, or where the environment variable {CACHE_DIR} says."
    )
    with_data_dir(caching)
    caching.add_argument("--clear", action="store_true", help="remove all of it")
    return parser


def _print(text: str) -> None:
    from srexp.terminal.console import make_console

    make_console().out(text, highlight=False)


# list


def _list(given: argparse.Namespace) -> None:
    rows = [known.facts(given.data_dir) for known in known_sets().values()]
    if given.json:
        _print(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    from srexp.terminal.console import make_console

    console = make_console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("set", no_wrap=True)
    table.add_column("images", justify="right")
    table.add_column("for")
    table.add_column("here", no_wrap=True)
    table.add_column("whose", overflow="fold")
    table.add_column("terms", overflow="fold")
    for row in rows:
        here = {"yes": "yes", "no": "-"}.get(row["here"], f"{row['found']} of {row['images']}")
        table.add_row(
            row["name"], str(row["images"]), row["use"], here, row["source"], row["terms"]
        )
    console.print(table)
    console.print(f"\nhere: as {given.data_dir.resolve()}/NAME; to get one: srexp data fetch NAME")
    console.print(
        "addresses (not tried by us; --json lists them) may have moved: fetch takes --from\n"
        "nine photographs need no set: data=photos, benchmark=photos"
    )


# fetch


def _fetch(given: argparse.Namespace) -> None:
    from srexp.data.download import FetchError
    from srexp.data.fetch import fetch
    from srexp.terminal.bars import Transfer

    sets = [known_set(name) for name in dict.fromkeys(given.names)]
    if len(sets) > 1 and (given.address or given.pick):
        fail("--from and --pick: are for one set; name one")
    data_dir = given.data_dir
    failed = False
    for known in sets:
        try:
            with Transfer(known.name) as transfer:
                got = fetch(
                    known, data_dir, address=given.address, pick=given.pick,
                    progress=transfer.tell, patience=given.timeout,
                )  # fmt: skip
        except FetchError as error:
            print(f"srexp: {error}", file=sys.stderr)
            failed = True
            continue
        state = "was here already" if got.was_here else "is here now"
        checked = (
            "each the published one (SHA-256)"
            if got.checked
            else "not compared with what was published: no checksums of this set are known to us"
        )
        _print(f"{known.name}: {state}, {got.folder}: {count(got.images, 'image')}, {checked}")
        _print(f"    {known.source}; terms: {known.terms}")
    if failed:
        sys.exit(1)


# check


def _check(given: argparse.Namespace) -> None:
    from srexp.config.catalogue import catalogue
    from srexp.data.inspection import inspect, lines
    from srexp.terminal.bars import counted

    trainer = catalogue("train").groups["trainer"].options["default"]
    patch = next(key.default for key in trainer.keys if key.name == "hr_patch_size")
    data_dir = given.data_dir
    folders = list(dict.fromkeys(_folder(name, data_dir) for name in given.folders))
    with counted(shown=not given.json) as progress:
        found = inspect(folders, data_dir, patch=int(patch), progress=progress)
    seen = [one.summary() for one in found]
    if given.json:
        _print(json.dumps(seen, indent=2))
    else:
        _print("\n\n".join("\n".join(lines(summary)) for summary in seen))
    if any(summary["faults"] for summary in seen):
        sys.exit(1)


def _folder(name: str, data_dir: Path) -> Path:
    """A path, or the folder of a known set."""
    try:
        folder = to_path(name)
    except PathError as error:
        fail(f"{name}: {error}")
    if folder.exists() or name not in known_sets():
        return folder
    return data_dir / name


# cache and preview


def _cache(given: argparse.Namespace) -> None:
    from srexp.data import cache

    folder = cache.cache_of(given.data_dir).folder
    found = cache.entries(folder)
    if given.clear:
        cache.remove(folder)
    if not found:
        _print(f"nothing is kept in {folder}")
        return
    for _, what, size in found:
        _print(f"{size / 2**20:8.0f} MiB  {what}")
    removed = "removed from" if given.clear else "in"
    _print(f"{sum(size for *_, size in found) / 2**20:8.0f} MiB  {removed} {folder}")


def _preview(given: argparse.Namespace) -> None:
    from srexp.config.asked import ask
    from srexp.config.settings import experiment_of
    from srexp.data.cache import cache_of, caching
    from srexp.evaluation.preview import sheet_of
    from srexp.files import write_atomically
    from srexp.images.io import to_png
    from srexp.terminal.console import make_console
    from srexp.terminal.preparing import preparing

    output = given.output
    if output.suffix.lower() != ".png":
        fail(f"-o {given.output}: must end in .png")
    experiment = experiment_of(ask("train", given.overrides)[0])
    with (
        preparing(make_console()) as progress,
        caching(cache_of(experiment.paths.data_dir, progress)),
    ):
        train, _ = experiment.data.load()
    for remark in train.remarks:
        _print(f"note: {remark}")
    title, sheet = sheet_of(
        train, experiment.degradation, *next(iter(experiment.protocol.items())), given.images
    )
    try:
        write_atomically(output, to_png(sheet))
    except OSError as error:
        fail(f"{output}: cannot be written ({error.strerror})")
    _print(f"{output}: {title}")
