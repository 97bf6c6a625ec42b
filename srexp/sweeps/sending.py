"""Runs and sweeps are sent to MLflow later: what it does not have of them yet."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from srexp.files import Lock
from srexp.sweeps import mlflow_run
from srexp.sweeps.results import JobResult, from_json
from srexp.tracking import sweep_view
from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_store import Store, ask, one_line
from srexp.tracking.options import MlflowTracking, TensorBoardTracking, place
from srexp.tracking.record import RunError, RunFolder, write_json
from srexp.tracking.remedy import remedy
from srexp.tracking.tensorboard_view import TensorBoardView
from srexp.training.shown import shown_later

# An answer may be lost between two that arrive.
_ATTEMPTS = 2


class SyncWatcher(Protocol):
    """Who is told of each run and sweep."""

    def begins(self, name: str, total: int) -> None:
        """One of so many."""
        ...

    def ended(self, line: str) -> None:
        """It is done; a line about it, or nothing."""
        ...


class PassedOver(Exception):
    """There is nothing to be done with it, and why."""


class Complete(PassedOver):
    """MLflow has everything of it."""


@dataclass
class Sync:
    """Everything is sent that is missing.

    Attributes:
        output_dir: Where runs and sweeps are.
        tracking: Where to show everything from now on; None for where each belongs.
        named: Whether the runs were asked for by name: also what was deleted in MLflow then.
        count: What became of how many.
        sent: Kind -> how many numbers, pictures and files were sent.
        remedies: What a person can do about what was not sent.
    """

    output_dir: Path
    tracking: MlflowTracking | None
    named: bool
    count: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    remedies: dict[str, None] = field(default_factory=dict)
    _away: dict[str, Exception | None] = field(default_factory=dict)  # store -> why it is
    _store: Store | None = None  # the one that was asked last
    _parents: dict[str, str] = field(default_factory=dict)  # sweep -> its MLflow run
    _mirror: Mirror | None = None

    def everything(self, found: Sequence[RunFolder], watcher: SyncWatcher) -> None:
        """The runs, and the sweeps that they are of."""
        folders = [
            path.parent
            for path in sorted((self.output_dir / "sweeps").glob("*/sweep.json"))
            if not self.named or path.parent.name in {run.info.get("sweep") for run in found}
        ]
        # A sweep's run is made before its jobs' runs, so that they can be put below it.
        sweeps = [SweepFolder(folder) for folder in folders]
        for sweep in sweeps:
            self._begin(sweep)
        total = len(found) + len(sweeps)
        for run in found:
            watcher.begins(run.id, total)
            watcher.ended(self._each(run.id, partial(self._run, run)))
        for sweep in sweeps:
            name = f"sweep {sweep.folder.name}"
            watcher.begins(name, total)
            watcher.ended(self._each(name, partial(self._sweep, sweep)))

    @property
    def summary(self) -> str:
        """What became of how many, and what was sent."""
        states = ", ".join(f"{number} {state}" for state, number in self.count.items())
        return f"{states or 'no runs'}: {_amount(self.sent)}"

    @property
    def moved(self) -> int | None:
        """How much of the present run was sent."""
        return self._mirror.moved if self._mirror is not None else None

    def _each(self, name: str, send: Callable[[], str]) -> str:
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
                self.remedies[remedy(error, store, self.output_dir)] = None
        self.count[state] += 1
        return f"{name}: {text}" if text else ""

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


def _amount(sent: dict[str, int]) -> str:
    parts = [f"{sent.get(kind, 0):,} {kind}" for kind in ("numbers", "pictures", "files")]
    return ", ".join(parts)


def write_events(found: Sequence[RunFolder]) -> Iterator[tuple[str, bool]]:
    """Write TensorBoard's event file of each run anew, where the run had it or in its own folder.

    Yields:
        What became of it, and whether that is a fault.
    """
    for run in found:
        if run.alive:
            yield f"{run.id}: passed over (a process trains it now)", False
            continue
        tracking = TensorBoardTracking(dir=run.config.get("tracking", {}).get("dir"))
        view = TensorBoardView(run, tracking.folder(run))
        view.close()
        text = f"not written ({view.error})" if view.error else f"written to {view.folder}"
        yield f"{run.id}: {text}", view.error is not None
