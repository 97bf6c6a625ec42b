"""`srexp sync`: send MLflow what it does not have yet of runs and sweeps."""

from __future__ import annotations

import re

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from srexp.config.compose import conf_dir
from srexp.config.settings import build_option
from srexp.options import OptionError
from srexp.sweeps.sending import Sync, write_events
from srexp.terminal.arguments import add_output_dir, make_parser
from srexp.terminal.console import make_console
from srexp.terminal.exit import fail
from srexp.tracking.options import MlflowTracking, TensorBoardTracking, place
from srexp.tracking.record import RunError, find_run, runs


def main() -> None:
    """The command."""
    parser = make_parser(
        "sync",
        "Send MLflow what it does not have yet of runs and sweeps: after a server was away, after\n"
        "a run was killed, after a store was lost.",
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN",
        help="folder, id, MLflow id, the start of one, or latest (default: all that are not "
        "complete)",
    )  # fmt: skip
    add_output_dir(parser)
    parser.add_argument(
        "--uri",
        help="a store or server to show them in from now on, those too that were trained without "
        "MLflow",
    )
    parser.add_argument(
        "--experiment", metavar="NAME", help="an MLflow experiment to show them in from now on"
    )
    parser.add_argument(
        "--tensorboard", action="store_true",
        help="instead of that write TensorBoard's event files",
    )  # fmt: skip
    given = parser.parse_args()
    output_dir = given.output_dir.resolve()
    try:
        tracking = None
        if given.uri is not None or given.experiment is not None:
            tracking = _tracking(given.uri, given.experiment)
        if given.tensorboard:
            if tracking is not None:
                raise OptionError("--tensorboard: is not for --uri or --experiment; leave it out")
            TensorBoardTracking(dir=None)  # it is installed
        place(output_dir, tracking)  # what the environment names can be a store
        named = [find_run(run, output_dir) for run in given.runs]
        if not output_dir.is_dir() and not named:
            raise RunError(f"--output-dir {given.output_dir}: no such folder")
    except (RunError, OptionError) as error:
        fail(str(error))
    console = make_console()
    found = named or runs(output_dir)
    if given.tensorboard:
        faults = 0
        for line, fault in write_events(found):
            console.print(line, soft_wrap=True)
            faults += fault
        raise SystemExit(1 if faults else 0)
    sync = Sync(output_dir, tracking, bool(named))
    shown = _Shown(console, sync)
    try:
        with shown.bar:
            sync.everything(found, shown)
    except KeyboardInterrupt:
        fail("stopped; to send the rest, type the same again", 130)
    for line in (sync.summary, *sync.remedies):
        console.print(line, soft_wrap=True)
    raise SystemExit(1 if sync.count["not sent"] else 0)


class _Shown:
    """A bar on a terminal, and lines."""

    def __init__(self, console: Console, sync: Sync) -> None:
        self._console = console
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Moved(sync),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self.bar.add_task("sync", total=None)

    def begins(self, name: str, total: int) -> None:
        self.bar.update(self._task, description=name, total=total)

    def ended(self, line: str) -> None:
        if line:
            self._console.print(line, soft_wrap=True)
        self.bar.advance(self._task)


class _Moved(ProgressColumn):
    """How much of the present run was sent."""

    max_refresh = 0.2

    def __init__(self, sync: Sync) -> None:
        super().__init__()
        self._sync = sync

    def render(self, task: Task) -> Text:
        return Text("" if self._sync.moved is None else f"{self._sync.moved:,} sent")


def _tracking(uri: str | None, experiment: str | None) -> MlflowTracking:
    """The default tracking, but for what was given."""
    node = yaml.safe_load((conf_dir() / "tracking" / "mlflow.yaml").read_text(encoding="utf-8"))
    node |= {"uri": uri, "experiment": experiment}
    try:
        tracking: MlflowTracking = build_option("tracking", node, "tracking")
    except OptionError as error:
        text = re.sub(r"^tracking\.(uri|experiment)(?=[=:])=?", r"--\1 ", str(error))
        raise OptionError(text.replace(" :", ":", 1)) from None
    return tracking
