"""`srexp data`: the image sets that are known, getting them, and looking at them."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from srexp.data.known import KnownSet, known_set, known_sets
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

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

# Seconds between the lines that tell of a transfer where there is no terminal for a bar.
_TELL_EVERY = 30
# Files of a finding that are named.
_NAMED = 5


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


def _bar(console: Console, name: str, *columns: ProgressColumn) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn(name),
        BarColumn(bar_width=24),
        *columns,
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    bar.add_task("", total=None)
    return bar


# list


def _list(given: argparse.Namespace) -> None:
    rows = [_row(known, given.data_dir) for known in known_sets().values()]
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


def _row(known: KnownSet, data_dir: Path) -> dict[str, Any]:
    found = known.found(data_dir)
    return {
        "name": known.name,
        "use": known.use,
        "images": known.images,
        "source": known.source,
        "terms": known.terms,
        "address": known.address,
        "apply": known.apply,
        "checksums": bool(known.published),
        "folder": str((data_dir / known.name).resolve()),
        "found": found,
        "here": "no" if not found else "yes" if found == known.images else "incomplete",
    }


# fetch


def _fetch(given: argparse.Namespace) -> None:
    from srexp.data.download import FetchError
    from srexp.data.fetch import fetch

    sets = [known_set(name) for name in dict.fromkeys(given.names)]
    if len(sets) > 1 and (given.address or given.pick):
        fail("--from and --pick: are for one set; name one")
    data_dir = given.data_dir
    failed = False
    for known in sets:
        try:
            with _Transfer(known) as transfer:
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


class _Transfer:
    """A bar on a terminal; a line now and then elsewhere."""

    def __init__(self, known: KnownSet) -> None:
        self._name = known.name
        self._bar: Progress | None = None
        self._stage = ""
        self._spoke = 0.0

    def __enter__(self) -> _Transfer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, stage: str, done: int, total: int | None) -> None:
        """See `srexp.data.fetch.Progress`."""
        if stage != self._stage:
            self._begin(stage)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)
        elif time.monotonic() - self._spoke > _TELL_EVERY:
            self._spoke = time.monotonic()
            of = "" if total is None else f" of {total:,}"
            _print(f"{self._name}: {done:,}{of} {stage}")

    def _begin(self, stage: str) -> None:
        from rich.progress import (
            DownloadColumn,
            MofNCompleteColumn,
            TextColumn,
            TransferSpeedColumn,
        )

        from srexp.terminal.console import make_console

        self._stage = stage
        console = make_console()
        if not console.is_terminal:
            return
        if self._bar is not None:
            self._bar.stop()
        columns: list[ProgressColumn] = (
            [DownloadColumn(), TransferSpeedColumn()]
            if stage == "bytes"
            else [MofNCompleteColumn(), TextColumn(stage)]
        )
        name = f"{self._name}{', unpacking' if stage == 'images' else ''}"
        self._bar = _bar(console, name, *columns)
        self._bar.start()


# check


def _check(given: argparse.Namespace) -> None:
    from srexp.data.inspection import inspect

    data_dir = given.data_dir
    folders = list(dict.fromkeys(_folder(name, data_dir) for name in given.folders))
    with _counted(shown=not given.json) as progress:
        found = inspect(folders, data_dir, patch=_usual_patch(), progress=progress)
    seen = [one.summary() for one in found]
    if given.json:
        _print(json.dumps(seen, indent=2))
    else:
        _print("\n\n".join("\n".join(_lines(summary)) for summary in seen))
    if any(summary["faults"] for summary in seen):
        sys.exit(1)


def _usual_patch() -> int:
    import yaml

    from srexp.config.compose import conf_dir

    trainer = yaml.safe_load((conf_dir() / "trainer" / "default.yaml").read_text(encoding="utf-8"))
    return int(trainer["hr_patch_size"])


@contextmanager
def _counted(*, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar that counts pictures, on a terminal."""
    from srexp.terminal.console import make_console

    console = make_console()
    if not (shown and console.is_terminal):
        yield None
        return
    from rich.progress import MofNCompleteColumn, TextColumn

    with _bar(console, "check", MofNCompleteColumn(), TextColumn("pictures")) as bar:
        yield lambda done, total: bar.update(bar.task_ids[0], completed=done, total=total)


def _folder(name: str, data_dir: Path) -> Path:
    """A path, or the folder of a known set."""
    try:
        folder = to_path(name)
    except PathError as error:
        fail(f"{name}: {error}")
    if folder.exists() or name not in known_sets():
        return folder
    return data_dir / name


def _lines(summary: dict[str, Any]) -> list[str]:
    lines = [f"{summary['folder']}: {count(summary['images'], 'image')}"]
    if summary["images"]:

        def span(name: str) -> str:
            low, high = summary[name]
            return str(low) if low == high else f"{low} to {high}"

        def counted(name: str, unit: str = "") -> str:
            return ", ".join(f"{count} {value}{unit}" for value, count in summary[name].items())

        lines += [
            f"    {span('width')} wide, {span('height')} high; {summary['megapixels']:.1f} "
            f"megapixels, {summary['bytes'] / 1e6:.1f} MB",
            f"    {counted('format')}; {counted('mode')}; {counted('bits', '-bit')}",
        ]
    lines += [f"    note: {_text(note)}" for note in summary["notes"]]
    lines += [f"    wrong: {_text(fault)}" for fault in summary["faults"]]
    return [re.sub(r"[\x00-\x1f\x7f]", lambda m: repr(m[0])[1:-1], line) for line in lines]


def _text(finding: dict[str, Any]) -> str:
    files = finding["files"]
    if not files or finding["what"] == "unreadable":  # its text names the file
        return str(finding["text"])
    more = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return f"{', '.join(files[:_NAMED])}{more}: {finding['text']}"


# preview


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
    from srexp.config.settings import experiment_of
    from srexp.data.cache import cache_of, caching
    from srexp.evaluation.preview import degrade, preview
    from srexp.files import write_atomically
    from srexp.images.io import to_png
    from srexp.terminal.console import make_console
    from srexp.terminal.preparing import preparing

    output = given.output
    if output.suffix.lower() != ".png":
        fail(f"-o {given.output}: must end in .png")
    experiment = experiment_of(_composed(given.overrides))
    with (
        preparing(make_console()) as progress,
        caching(cache_of(experiment.paths.data_dir, progress)),
    ):
        train, _ = experiment.data.load()
    for remark in train.remarks:
        _print(f"note: {remark}")
    protocol_name, protocol = next(iter(experiment.protocol.items()))
    degradation = experiment.degradation
    train.check_scale(degradation.scale)
    names = [n for n, s in train.images.shapes.items() if min(s[:2]) >= degradation.scale]
    if not names:
        fail(f"degradation.scale={degradation.scale}: all training images are smaller")
    step = max(1, len(names) // given.images)  # from the whole set, not its beginning
    shown = names[::step][: given.images]
    samples = [degrade(name, train, degradation, protocol) for name in shown]
    part = f"{len(shown)} of {count(len(names), 'image')}"
    made = degradation.label if train.lr is None else f"x{degradation.scale} LR as given"
    title = f"{made}, protocol {protocol_name}, {part}"
    sheet = preview(samples, scale=degradation.scale, title=title)
    try:
        write_atomically(output, to_png(sheet))
    except OSError as error:
        fail(f"{output}: cannot be written ({error.strerror})")
    _print(f"{output}: {title}")


def _composed(overrides: list[str]) -> dict[str, Any]:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from srexp.config.catalogue import catalogue
    from srexp.config.compose import compose
    from srexp.config.errors import readable

    try:
        return compose("train", overrides)
    except OptionError:
        raise
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        fail(readable(error, catalogue("train")))
