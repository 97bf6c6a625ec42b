"""`srexp sync`: send MLflow what it does not have yet of runs and sweeps."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from srexp.config.compose import conf_dir
from srexp.config.settings import build_option
from srexp.files import Lock
from srexp.options import OptionError
from srexp.sweeps import mlflow_run
from srexp.sweeps.results import JobResult, from_json
from srexp.terminal.arguments import add_output_dir, make_parser
from srexp.terminal.console import make_console
from srexp.terminal.exit import fail
from srexp.tracking import sweep_view
from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_store import Store, ask, one_line
from srexp.tracking.options import MlflowTracking, TensorBoardTracking, place
from srexp.tracking.record import RunError, RunFolder, find_run, runs, write_json
from srexp.tracking.remedy import remedy
from srexp.tracking.tensorboard_view import TensorBoardView
from srexp.training.shown import shown_later

# An answer may be lost between two that arrive.
_ATTEMPTS = 2


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
    if given.tensorboard:
        _write_events(make_console(), named or runs(output_dir))
        return
    sync = Sync(make_console(), output_dir, tracking, bool(named))
    try:
        sync.everything(named or runs(output_dir))
    except KeyboardInterrupt:
        fail("stopped; to send the rest, type the same again", 130)
    raise SystemExit(1 if sync.count["not sent"] else 0)


def _write_events(console: Console, found: Sequence[RunFolder]) -> None:
    """Write the event file of each run anew, where the run had it or in its own folder."""
    faults = False
    for run in found:
        if run.alive:
            text = "passed over (a process trains it now)"
        else:
            tracking = TensorBoardTracking(dir=run.config.get("tracking", {}).get("dir"))
            view = TensorBoardView(run, tracking.folder(run))
            view.close()
            faults |= view.error is not None
            text = f"not written ({view.error})" if view.error else f"written to {view.folder}"
        console.print(f"{run.id}: {text}", soft_wrap=True)
    raise SystemExit(faults)


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


class PassedOver(Exception):
    """There is nothing to be done with it, and why."""


class Complete(PassedOver):
    """MLflow has everything of it."""


@dataclass
class Sync:
    """One call of the command.

    Attributes:
        console: Where to print.
        output_dir: Where runs and sweeps are.
        tracking: Where to show everything from now on; None for where each belongs.
        named: Whether the runs were asked for by name: also what was deleted in MLflow then.
        count: What became of how many.
        sent: Kind -> how many numbers, pictures and files were sent.
    """

    console: Console
    output_dir: Path
    tracking: MlflowTracking | None
    named: bool
    count: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    _away: dict[str, Exception | None] = field(default_factory=dict)  # store -> why it is
    _remedies: dict[str, None] = field(default_factory=dict)
    _store: Store | None = None  # the one that was asked last
    _parents: dict[str, str] = field(default_factory=dict)  # sweep -> its MLflow run
    _mirror: Mirror | None = None

    def everything(self, found: Sequence[RunFolder]) -> None:
        """The runs and the sweeps that they are of; prints a line for each, and what it was."""
        sweeps = [
            path.parent
            for path in sorted((self.output_dir / "sweeps").glob("*/sweep.json"))
            if not self.named or path.parent.name in {run.info.get("sweep") for run in found}
        ]
        progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Moved(self),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        )  # fmt: skip
        with progress:
            task = progress.add_task("sync", total=len(found) + len(sweeps))

            def each(name: str, send: Callable[[], str]) -> None:
                progress.update(task, description=name)
                self._each(name, send)
                progress.advance(task)

            # A sweep's run is made before its jobs' runs, so that they can be put below it.
            open_sweeps = [SweepFolder(folder) for folder in sweeps]
            for sweep in open_sweeps:
                self._begin(sweep)
            for run in found:
                each(run.id, lambda run=run: self._run(run))  # type: ignore[misc]
            for sweep in open_sweeps:
                each(f"sweep {sweep.folder.name}", lambda s=sweep: self._sweep(s))  # type: ignore[misc]
        states = ", ".join(f"{number} {state}" for state, number in self.count.items())
        self.console.print(f"{states or 'no runs'}: {_amount(self.sent)}")
        for help in self._remedies:
            self.console.print(help, soft_wrap=True)

    def _each(self, name: str, send: Callable[[], str]) -> None:
        self._store = None
        try:
            state, text = "sent", send()
        except Complete as why:
            state, text = "complete", str(why) if self.named else ""
        except PassedOver as why:
            state, text = "passed over", f"passed over ({why})"
        except Exception as error:
            store = self._store
            where = f"{store.uri}: " if store is not None else ""
            state, text = "not sent", f"not sent ({where}{one_line(error)})"
            if store is not None:
                self._remedies[remedy(error, store, self.output_dir)] = None
        self.count[state] += 1
        if text:
            self.console.print(f"{name}: {text}", soft_wrap=True)

    def _run(self, run: RunFolder) -> str:
        if not run.info.get("mlflow") and self.tracking is None:
            raise PassedOver("trained without MLflow; --uri says where to show it")
        if self.tracking is None and run.copy_of is not None:
            raise PassedOver(f"a copy of {run.copy_of}; --uri says where to show it")
        if not run.claim():
            raise PassedOver("a process trains it now, and sends it itself")
        try:
            return self._claimed(run)
        finally:
            self._mirror = None
            run.release()

    def _claimed(self, run: RunFolder) -> str:
        if self.tracking is not None:
            before = run.info.get("mlflow") or {}
            store = place(self.output_dir, self.tracking, before)
            if (before.get("uri"), before.get("experiment")) != (store.uri, store.experiment):
                run.update(mlflow=shown_later(run, store))
        mirror = self._mirror = Mirror(run)
        self._reach(mirror.store)
        shown = run.info["mlflow"]
        parent = self._parents.get(run.info.get("sweep") or "")
        if shown.get("run_id"):
            there = mirror.look()
            if there == "deleted" and not self.named:
                raise PassedOver("deleted in MLflow; name it to show it again")
            if there == "there" and shown.get("complete"):
                if parent and shown.get("parent_run_id") != parent:
                    mirror.adopt(parent)
                    return "put below its sweep"
                raise Complete("MLflow has everything")
        if parent:
            run.update(mlflow={**shown, "parent_run_id": parent})
        try:
            self._again(mirror.store, lambda: self._send(mirror))
        finally:
            self.sent.update(mirror.sent)
        if mirror.refused is not None:
            raise RuntimeError(f"sent {_amount(mirror.sent)}, but MLflow refused {mirror.refused}")
        return f"sent {_amount(mirror.sent)}, {run.info['status']}"

    def _send(self, mirror: Mirror) -> None:
        try:
            mirror.connect(fresh=False)
            mirror.send()
            mirror.finish()
        except Exception:
            mirror.disconnect()
            raise

    def _begin(self, sweep: SweepFolder) -> None:
        """Make or find the sweep's run; what goes wrong is told when it is its turn."""
        try:
            sweep.read(self.tracking, self.output_dir)
            self._reach(sweep.store)
            shown = sweep.shown
            if not shown["run_id"] or sweep_view.gone(shown):
                shown = {**shown, "run_id": None, "complete": False}
            if not shown.get("complete"):
                shown = self._again(
                    sweep.store,
                    lambda: mlflow_run.begin(sweep.folder, shown, sweep.jobs, sweep.began),
                )
                sweep.write(shown)
            self._parents[sweep.folder.name] = shown["run_id"]
        except Exception as error:
            sweep.failure = error

    def _sweep(self, sweep: SweepFolder) -> str:
        if sweep.failure is not None:
            self._store = sweep.store if sweep.shown else None
            raise sweep.failure
        if sweep.shown.get("complete"):
            raise Complete("MLflow has everything")
        self._reach(sweep.store)
        done = self._again(
            sweep.store,
            lambda: mlflow_run.finish(
                sweep.folder, sweep.shown, sweep.jobs, sweep.began, sweep.ended
            ),
        )
        sweep.write(done)
        return "sent"

    def _reach(self, store: Store) -> None:
        """Ask each store once whether it is there: many runs would wait for a dead one."""
        self._store = store
        if store.uri not in self._away:
            self._away[store.uri] = _why_away(store)
        if (why := self._away[store.uri]) is not None:
            raise why

    def _again(self, store: Store, send: Callable[[], Any]) -> Any:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return send()
            except Exception:
                self._away[store.uri] = _why_away(store)
                if attempt == _ATTEMPTS or self._away[store.uri] is not None:
                    raise


def _why_away(store: Store) -> Exception | None:
    try:
        ask(store)
    except Exception as error:
        return error
    return None


class SweepFolder:
    """What `sweep.json` says.

    Attributes:
        folder: Of the sweep.
        failure: What went wrong with it so far.
        shown: Of MLflow.
        jobs: And what came of them.
        began: In seconds since 1970.
        ended: As far as is known.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure: Exception | None = None
        self.shown: dict[str, Any] = {}
        self.jobs: list[JobResult] = []
        self.began = self.ended = 0.0

    @property
    def store(self) -> Store:
        """Where it is shown."""
        return sweep_view.store_of(self.shown)

    def read(self, tracking: MlflowTracking | None, output_dir: Path) -> None:
        """Read the file.

        Raises:
            PassedOver: It runs now, or is not to be shown.
            RunError: Damaged.
        """
        path = self.folder / "sweep.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if "format" not in content:
                raise PassedOver("of an srexp that showed sweeps as they went")
            self.began, self.ended = float(content["created"]), float(content["updated"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}: cannot be read ({error})") from None
        self.jobs = from_json(content)
        self.shown = content.get("mlflow") or {}
        if tracking is not None or self.shown:
            store = place(output_dir, tracking, self.shown)
            self.shown = sweep_view.shown(store, self.shown, output_dir)
        if not self.shown:
            raise PassedOver("without MLflow; --uri says where to show it")
        if tracking is None and any(
            self._is_copy(output_dir / job.run) for job in self.jobs if job.run
        ):
            raise PassedOver("a copy; --uri says where to show it")
        if any(self._alive(output_dir / job.run) for job in self.jobs if job.run):
            raise PassedOver("it runs now, and sends it itself")

    def write(self, shown: dict[str, Any]) -> None:
        """Note in the file what MLflow has."""
        self.shown = shown
        path = self.folder / "sweep.json"
        with Lock(self.folder / ".lock"):
            write_json(path, {**json.loads(path.read_text(encoding="utf-8")), "mlflow": shown})

    def _is_copy(self, folder: Path) -> bool:
        try:
            return RunFolder.open(folder).copy_of is not None
        except RunError:
            return False

    def _alive(self, folder: Path) -> bool:
        return (folder / "run.json").exists() and RunFolder(folder, {}).alive


class _Moved(ProgressColumn):
    """How much of the present run was sent."""

    max_refresh = 0.2

    def __init__(self, sync: Sync) -> None:
        super().__init__()
        self._sync = sync

    def render(self, task: Task) -> Text:
        mirror = self._sync._mirror
        return Text(f"{mirror.moved:,} sent" if mirror else "")


def _amount(sent: dict[str, int]) -> str:
    parts = [f"{sent.get(kind, 0):,} {kind}" for kind in ("numbers", "pictures", "files")]
    return ", ".join(parts)
