"""`srexp upscale`: pictures, larger."""

from __future__ import annotations

import argparse
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from srexp import __version__
from srexp.images.resize import MATLAB_INTERPOLATIONS
from srexp.pictures import writing
from srexp.terminal.arguments import RUN, add_output_dir, make_parser, path_type, whole_number
from srexp.terminal.exit import fail
from srexp.upscaling import bundled
from srexp.upscaling.files import (
    Made,
    NotDone,
    Settings,
    Source,
    enlarge_file,
    enlarge_stream,
    find,
)
from srexp.upscaling.method import Method
from srexp.upscaling.sizes import Wanted

_DESCRIPTION = """\
Enlarge pictures: PNG, JPEG, WebP, TIFF, BMP, AVIF, GIF; animations frame by frame. The result lies
beside the picture, as photo_x2.png, and loses nothing that was made: PNG, or TIFF or WebP for such.
Transparency, colour profile, EXIF, resolution and 16 bits are kept. What is done already is not
done again, and no picture is written over."""

_EXAMPLES = """\
  srexp upscale photo.jpg                      photo_x2.png, twice as large
  srexp upscale photo.jpg -s 4 -o large.jpg    four times as large, a JPEG
  srexp upscale holiday/ --width 3840 -o out/  a folder with all below it, 3840 pixels wide
  srexp upscale photo.jpg --kind web           a picture from the net, with JPEG's blocks
  srexp upscale photo.jpg --run latest         by a network of yours
  srexp upscale - < photo.png > large.png      from stdin to stdout
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    settings = _settings(given)
    if given.inputs == ["-"]:
        _stream(settings)
        return
    # As Ctrl-C: what is half written is taken away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        failed = _files(given.inputs, settings)
    except KeyboardInterrupt:
        fail("stopped; typed again, it goes on with what is not done", 130)
    if failed:
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("upscale", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("inputs", metavar="INPUT", nargs="+", help="files, folders, patterns; - for stdin")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("-s", "--scale", type=int, choices=(2, 3, 4, 8), default=None,
                      help="times as large (default: 2, or the run's)")  # fmt: skip
    for side in ("width", "height"):
        size.add_argument(f"--{side}", type=whole_number(1), metavar=side[0].upper(),
                          help="of the result, in pixels")  # fmt: skip
    by = parser.add_mutually_exclusive_group()
    told = "; ".join(f"{kind}: {what}" for kind, what in bundled.KINDS.items())
    by.add_argument("--kind", choices=tuple(bundled.KINDS), help="which of the networks that come "
                    f"with srexp. {told} (default: {bundled.USUAL})")  # fmt: skip
    by.add_argument("--run", help=f"by the network of a run: {RUN}")
    by.add_argument("--model", choices=MATLAB_INTERPOLATIONS, help="by a resampler")
    add(
        "-o", "--output", type=path_type, metavar="OUT", help="a folder, or the file of one picture"
    )
    add("--format", choices=tuple(writing.FORMATS), help="of the results (default: lossless, or as "
        "the name of -o ends)")  # fmt: skip
    add("--quality", type=whole_number(1, 100), metavar="1..100",
        help="of JPEG, WebP, AVIF (default: 95, lossless, 90)")  # fmt: skip
    add("--strip", action="store_true", help="leave out EXIF, colour profile and resolution")
    add("--overwrite", action="store_true", help="replace results that were made otherwise")
    add("--self-ensemble", action="store_true", help="the mean over the eight flips and rotations: "
        "slightly better, eight times as long")  # fmt: skip
    add("--compare", action="store_true", help="also NAME_compare.png: bicubic beside it")
    add_output_dir(parser)
    return parser


def _settings(given: argparse.Namespace) -> Settings:
    kind = writing.FORMATS[given.format] if given.format else None
    out: Path | None = given.output
    if out is not None and not out.is_dir():
        by_name = writing.format_of(out.suffix)
        if by_name and kind and by_name != kind:
            fail(f"-o {out}: ends as {by_name.name}, and --format is {kind.name}")
        if by_name and (len(given.inputs) != 1 or Path(given.inputs[0]).is_dir()):
            fail(f"-o {out}: is the file of one picture; for several give a folder")
        kind = kind or by_name
    if given.quality is not None and (kind is None or kind.quality is None):
        what = f"{kind.name} has none" if kind else "the results are lossless"
        fail(f"--quality {given.quality}: {what}; give --format jpeg, webp or avif")
    method = _method(given)
    scale = given.scale or (2 if 2 in method.scales or not method.scales else method.scales[0])
    if given.run and given.scale and method.steps(1, 1, (scale, scale)) != [scale]:
        made = "x".join(map(str, method.steps(1, 1, (scale, scale))))
        note = f"the run's network enlarges by {method.scales[0]}: -s {scale} is {made}, resized"
        print(f"note: {note}", file=sys.stderr)
    wanted = Wanted(None if given.width or given.height else scale, given.width, given.height)
    return Settings(
        method, wanted, out, kind, given.quality, given.strip, given.overwrite, given.compare,
        __version__,
    )  # fmt: skip


def _method(given: argparse.Namespace) -> Method:
    ensemble = given.self_ensemble
    if given.model:
        if ensemble:
            fail("--self-ensemble: belongs to a network, and a resampler has nothing to gain by it")
        return Method(given.model, "matlab", interpolation=given.model)
    if given.run:
        from srexp.options import OptionError
        from srexp.tracking.record import RunError, find_run
        from srexp.upscaling.of_run import method_of_run

        try:
            method = method_of_run(find_run(given.run, given.output_dir))
        except (RunError, OptionError) as error:
            fail(str(error))
    else:
        method = bundled.method(given.kind or bundled.USUAL)
    method.ensemble = ensemble
    return method


def _stream(settings: Settings) -> None:
    """From stdin to stdout, or to the file of -o."""
    content = sys.stdin.buffer.read()
    made = io.BytesIO()
    try:
        enlarge_stream(content, made, settings)
    except NotDone as error:
        fail(str(error))
    if settings.out is not None:
        from srexp.files import write_atomically

        try:
            write_atomically(settings.out, made.getvalue())
        except OSError as error:
            fail(f"-o {settings.out}: cannot be written ({error.strerror})")
        return
    if sys.stdout.isatty():
        fail("stdout is a terminal; give -o FILE, or > FILE")
    sys.stdout.buffer.write(made.getvalue())
    sys.stdout.buffer.flush()


def _files(inputs: Sequence[str], settings: Settings) -> int:
    """How many could not be done."""
    found = list(find(inputs))
    failed = done = skipped = own = 0
    taken: dict[Path, Path] = {}
    with _progress(found) as (say, advance):
        for one in found:
            if isinstance(one, NotDone):
                failed += 1
                say(f"srexp: {one}", error=True)
                continue
            began = time.monotonic()
            try:
                made = enlarge_file(one, settings, taken, advance(one))
            except NotDone as error:
                failed += 1
                say(f"srexp: {error}", error=True)
                continue
            if made.own:
                own += 1
            elif made.skipped:
                skipped += 1
                say(f"{made.target}: {'; '.join(made.remarks)}")
            else:
                done += 1
                say(_line(one, made, time.monotonic() - began))
    if len(found) > 1:
        passed_over = f"; {own} results of srexp were passed over" if own else ""
        print(f"{done} enlarged, {skipped} there already, {failed} not done{passed_over}")
    return failed


def _line(source: Source, made: Made, seconds: float) -> str:
    sizes = " to ".join(f"{width}x{height}" for width, height in (made.before, made.after))
    remarks = "".join(f"; {remark}" for remark in made.remarks)
    return f"{source.path} -> {made.target}  {sizes}, {seconds:.1f} s{remarks}"


@contextmanager
def _progress(
    found: Sequence[Source | NotDone],
) -> Iterator[tuple[Callable[..., None], Callable[[Source], Callable[[int, int], None]]]]:
    """How to say a line, and how each picture tells of its pixels. Bars on a terminal alone."""
    sizes = {one.path: _bytes(one.path) for one in found if isinstance(one, Source)}
    if not sys.stderr.isatty():

        def say(line: str, *, error: bool = False) -> None:
            print(line, file=sys.stderr if error else sys.stdout, flush=True)

        yield say, lambda source: lambda more, whole: None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from srexp.terminal.console import make_console

    console = make_console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as bar:
        # What is left to do is guessed by the files' sizes, which need no opening.
        task = bar.add_task("", total=sum(sizes.values()))

        def say_above(line: str, *, error: bool = False) -> None:
            bar.console.print(line, style="red" if error else None, soft_wrap=True)

        before = 0

        def advance(source: Source) -> Callable[[int, int], None]:
            nonlocal before
            start, size, pixels = before, sizes[source.path], 0
            before += size
            bar.update(task, completed=start, description=source.path.name[:40])

            def made(more: int, whole: int) -> None:
                nonlocal pixels
                pixels += more
                bar.update(task, completed=start + size * min(1, pixels / whole))

            return made

        yield say_above, advance


def _bytes(path: Path) -> int:
    try:
        return max(1, path.stat().st_size)
    except OSError:
        return 1
