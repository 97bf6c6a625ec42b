"""`srexp export`: a run's network as a file for other programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from srexp.options import OptionError
from srexp.terminal.arguments import RUN, add_output_dir, make_parser, path_type, whole_number
from srexp.terminal.exit import fail
from srexp.upscaling import bundled
from srexp.upscaling.formats import KINDS

_DESCRIPTION = """\
A finished run's network, or a bundled one, as a file for other programs: LR in, SR in [0, 1] out,
of any height and width, whatever enlarging it needs inside. The file is run by its own runtime and
compared with what is scored; what is known of it is written into it."""

_EXAMPLES = """\
  srexp export latest --format litert                  RUN_x2.tflite, float16 weights
  srexp export latest --format litert --weights int8   smaller, with its loss in dB
  srexp export RUN --format keras -o network.keras     loads where srexp is not installed
  srexp export RUN --format onnx                       pip install 'srexp[onnx]'
  srexp export RUN --format html                       a page that enlarges, in one file
  srexp export bundled --kind web -s 4 --format onnx   what comes with srexp
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    from srexp.tracking.record import RunError, find_run
    from srexp.training.checkpoint import CheckpointError
    from srexp.upscaling.export_file import export_bundled, export_run

    options = {
        "path": given.output, "weights": given.weights, "overwrite": given.overwrite,
        "licence": given.licence,
    }  # fmt: skip
    ours = given.run == "bundled"
    if not ours and (given.kind or given.scale):
        fail(
            f"{'--kind' if given.kind else '-s'}: is for srexp export bundled; a run is of one kind"
        )
    try:
        if ours:
            kind, scale = given.kind or bundled.USUAL, given.scale or 2
            done = export_bundled(kind, scale, given.format, **options)
        else:
            done = export_run(find_run(given.run, given.output_dir), given.format, **options)
    except (RunError, OptionError, CheckpointError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or given.output}: cannot be written ({error.strerror or error})")
    if given.json:
        print(json.dumps(done.facts, indent=1))
        return
    parity = done.parity
    print(f"{done.path}: {done.nbytes / 1e6:.2f} MB, {done.weights} weights")
    if parity is None:
        print("not tried: no Chromium, Chrome or Edge here runs it")
        return
    sizes = ", ".join(f"{height}x{width}" for height, width in parity.sizes)
    print(
        f"run by itself on LR of {sizes}: largest difference {parity.largest:.1e}, "
        f"{parity.psnr:.1f} dB beside what is scored"
    )


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("export", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("run", metavar="RUN", help=f"{RUN}; or bundled, a network that comes with srexp")
    add("--kind", choices=tuple(bundled.KINDS), help=f"of bundled (default: {bundled.USUAL})")
    add("-s", "--scale", type=whole_number(2, 8), help="of bundled (default: 2)")
    add("--format", choices=tuple(KINDS), required=True, help="what kind of file")
    add("-o", "--output", type=path_type, metavar="FILE",
        help="the file, or the folder of a SavedModel (default: RUN_xSCALE, here)")  # fmt: skip
    add("--weights", choices=("float16", "float32", "int8"),
        help="how they are kept (default: float16 for litert, html; else float32)")  # fmt: skip
    add("--licence", default="", metavar="TEXT", help="of the weights, to be written into the file")
    add("--overwrite", action="store_true", help="replace what is there")
    add("--json", action="store_true", help="print what is written into the file")
    add_output_dir(parser)
    return parser
