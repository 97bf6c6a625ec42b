"""A sweep: its jobs' results as they come, its screen, and what is left of it in its folder."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from srexp.config.sweeps import given_config_dir
from srexp.files import Lock, write_atomically
from srexp.options import OptionError
from srexp.running.job import ALREADY
from srexp.sweeps import best, figures, mlflow_run, report, summary
from srexp.sweeps.pool import Ended
from srexp.sweeps.results import JobResult, from_json, to_json
from srexp.terminal.sweep_screen import SweepScreen
from srexp.tracking import sweep_view
from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_store import one_line
from srexp.tracking.options import MlflowTracking, place
from srexp.tracking.record import RunError, RunFolder, remember_store, write_json
from srexp.tracking.remedy import remedy
from srexp.training.experiment import Experiment
from srexp.words import beside_bicubic

# What ends a job without a fault of the program: its message says everything.
_EXPECTED = {"OptionError", "CommandFailed", "RunError", "CheckpointError"}


class Sweep:
    """Told by the pool how the jobs go (`pool.PoolWatcher`).

    Attributes:
        folder: `OUTPUT_DIR/sweeps/...`.
        results: Number -> what is known of that job.
        on_evaluated: Told (number, step, mean validation PSNR in dB); True stops that job.
    """

    def __init__(
        self,
        folder: Path,
        experiment: Experiment,
        console: Console,
        stop: bool,
        earlier: Mapping[int, Sequence[str]],
    ) -> None:
        """Args:
        folder: Where the sweep is kept.
        experiment: Of the first job: where runs and their view go.
        console: Where to draw.
        stop: Whether the first failure ends it.
        earlier: Number -> overrides of the jobs of earlier times that are still part of it.
        """
        self.folder = folder
        self.output_dir = experiment.paths.output_dir
        self.results: dict[int, JobResult] = {}
        self.failed: dict[int, Ended] = {}
        self.on_evaluated: Callable[[int, int, float], bool] | None = None
        self._console = console
        self._screen = SweepScreen(console)
        self._stop = stop
        self._tracking = experiment.tracking
        self._mlflow: dict[str, Any] | None = None
        self._created = time.time()
        self._restore(earlier)

    @property
    def parent_run_id(self) -> str | None:
        """Of the sweep's MLflow run."""
        return self._mlflow["run_id"] if self._mlflow else None

    def expect(self, jobs: Sequence[JobResult]) -> None:
        """Say which jobs are to come."""
        self.results.update({job.number: job for job in jobs})
        self._screen.expect(len(self.results))
        self.save()

    def begin_view(self) -> None:
        """Make the parent run in MLflow; without one, `srexp sync` makes it."""
        if not isinstance(self._tracking, MlflowTracking):
            return
        store = place(self.output_dir, self._tracking)
        self._mlflow = sweep_view.shown(store)
        jobs = list(self.results.values())
        try:
            self._mlflow = mlflow_run.begin(self.folder, self._mlflow, jobs, self._created)
            remember_store(store.uri)
        except Exception as error:
            self._console.print(
                f"note: no parent run in MLflow at {store.uri} ({one_line(error)}); when the sweep "
                f"is over, {remedy(error, store, self.output_dir)}",
                soft_wrap=True,
            )
        self.save()

    def __enter__(self) -> Sweep:
        self._screen.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.stop()

    # What the pool tells:

    def started(self, number: int) -> None:
        """A job's process has been started."""
        self._screen.started(number, self.results[number].name)

    def told(self, number: int, kind: str, value: Any) -> str | None:
        """News of a job."""
        job = self.results[number]
        if kind == "run":
            self._note(number, run=value)
            self._screen.begun(number, f"{job.name}): {job.note}, {value}")
        elif kind == "taken":
            same = [other.number for other in self.results.values() if other.run == value]
            first = min(same, default=number)
            self._note(number, run=value, note=ALREADY if first >= number else f"as job {first}")
        elif kind == "elsewhere":
            self._note(number, run=value, note=f"as {value}")
        elif kind == "note":
            self._note(number, note=value)
        elif kind == "step":
            self._screen.stepped(number, *value)
        elif kind == "evaluated":
            step, psnr = value
            self._screen.evaluated(number, step, psnr)
            if self.on_evaluated is not None and self.on_evaluated(number, step, psnr):
                return "pruned"
        return None

    def ended(self, number: int, end: Ended) -> bool:
        """A job has ended."""
        run = self._run(number)
        known = dict(run.info.get("result") or {}) if run else {}
        if run is not None:
            known["seconds"] = run.info.get("progress", {}).get("seconds")
        if end.state == "returned":
            pruned = run is not None and run.info["status"] == "PRUNED"
            self._note(number, state="pruned" if pruned else "finished", **known)
        elif "RunningElsewhere" in end.error:
            self._note(number, state="running elsewhere")
        elif end.state == "interrupted":
            self._note(number, state="stopped", note=end.message.splitlines()[0])
        else:
            self.failed[number] = end
            first = (end.message.splitlines() or [end.error[0]])[0]
            self._note(number, state="failed", note=first, seconds=known.get("seconds"))
            self._tell_failure(number, end)
        job = self.results[number]
        self._screen.ended(number, _line(job))
        self.save()
        return not (self._stop and number in self.failed)

    def tick(self) -> None:
        """A moment has passed."""

    def save(self) -> None:
        """Write what is known to sweep.json."""
        content = {
            **to_json(self.results[number] for number in sorted(self.results)),
            "command": shlex.join(["srexp", "train", *sys.argv[1:]]),
            "created": self._created,
            "updated": time.time(),
            "mlflow": self._mlflow,
        }
        with Lock(self.folder / ".lock"):  # two sweeps may share the folder
            write_json(self.folder / "sweep.json", content)

    def finish(self) -> None:
        """Print the summary, write tables, picture, report and best configuration, show them."""
        self._look_again()
        self.save()
        jobs = [self.results[number] for number in sorted(self.results)]
        heading = f"sweep {self.folder.name}: {summary.count(jobs)}"
        self._console.print()
        self._console.print(summary.terminal(jobs, heading))
        self._write(jobs)
        self._console.print(f"report: {self.folder / 'report.html'}", soft_wrap=True)
        if self._mlflow is None:
            return
        self._show_the_dead()
        try:
            self._adopt()
            self._mlflow = mlflow_run.finish(self.folder, self._mlflow, jobs, self._created)
            self.save()
        except Exception as error:  # MLflow must never hurt what was trained
            store = sweep_view.store_of(self._mlflow)
            self._console.print(
                f"note: MLflow did not take the sweep's summary ({one_line(error)}); "
                f"{remedy(error, store, self.output_dir)}",
                soft_wrap=True,
            )

    def _write(self, jobs: list[JobResult]) -> None:
        """The files that are left for people."""
        folder = self.folder
        write_atomically(folder / "jobs.csv", summary.to_csv(jobs).encode())
        table = summary.latex(jobs, f"Sweep {folder.name}: {summary.count(jobs)}")
        write_atomically(folder / "summary.tex", table.encode())
        config_dir = given_config_dir(sys.argv)
        try:
            experiment = best.best_experiment(jobs, folder, config_dir)
        except OptionError as error:
            experiment = None
            self._console.print(f"note: the best configuration cannot stand in a file: {error}")
        png = figures.png(jobs)
        best_yaml = folder / "conf" / "experiment" / "best.yaml"
        for path, content in (
            (best_yaml, experiment.encode() if experiment is not None else None),
            (folder / "summary.png", png),
        ):
            if content is None:
                path.unlink(missing_ok=True)  # of the jobs that it had before
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        about = report.AboutSweep(
            name=folder.name,
            command=shlex.join(["python", "-m", "srexp", "train", *sys.argv[1:]]),
            when=f"{_clock(self._created)} to {_clock(time.time())}",
            rerun=shlex.join(["python", "-m", "srexp", "train", *sys.argv[1:]]),
        )
        page = report.html(
            about,
            jobs,
            png=png,
            best_yaml=experiment,
            best_command=best.command(folder, config_dir) if experiment is not None else None,
        )
        write_atomically(folder / "report.html", page.encode())

    def _show_the_dead(self) -> None:
        """Jobs that were killed could not send their last points and their end."""
        for number in (number for number, end in self.failed.items() if end.state == "died"):
            run = self._run(number)
            if run is None or "mlflow" not in run.info or not run.lock.acquire():
                continue
            mirror = Mirror(run)
            try:
                mirror.connect(fresh=False)
                mirror.send()
                mirror.finish()
            except Exception:
                pass  # `srexp sync` sends it
            finally:
                run.release()

    def _adopt(self) -> None:
        """Put the runs that MLflow has below another run of this sweep below its present one."""
        for job in self.results.values():
            run = self._run(job.number)
            shown = (run.info.get("mlflow") or {}) if run is not None else {}
            other = shown.get("run_id") and shown.get("parent_run_id") != self.parent_run_id
            if run is None or not other or run.info.get("sweep") != self.folder.name:
                continue
            if run.claim():
                try:
                    Mirror(run).adopt(str(self.parent_run_id))
                finally:
                    run.release()

    def _note(self, number: int, **changes: Any) -> None:
        known = {key: value for key, value in changes.items() if value is not None}
        self.results[number] = replace(self.results[number], **known)

    def _run(self, number: int) -> RunFolder | None:
        run = self.results[number].run
        if run is None:
            return None
        try:
            found = RunFolder.open(self.output_dir / run)
        except RunError:
            return None
        found.settle()
        return found

    def _look_again(self) -> None:
        """What ran elsewhere may have ended meanwhile."""
        for number, job in self.results.items():
            run = self._run(number) if job.state == "running elsewhere" else None
            if run is not None and run.info["status"] == "FINISHED":
                self._note(
                    number, state="finished", note="finished elsewhere", **run.info["result"]
                )

    def _tell_failure(self, number: int, end: Ended) -> None:
        job = self.results[number]
        text = end.message or end.error[0]
        if end.traceback and not _EXPECTED & set(end.error):
            text = end.traceback.rstrip()
        self._screen.say(f"srexp: job {number} ({job.name}) failed: {text}")
        self._screen.say(f"    what it printed: {self.log(number)}")

    def log(self, number: int) -> Path:
        """The file of what a job prints."""
        return self.folder / "logs" / f"{number:04d}.log"

    def _restore(self, earlier: Mapping[int, Sequence[str]]) -> None:
        """When a sweep is typed again, it began when it was typed first."""
        try:
            content = json.loads((self.folder / "sweep.json").read_text(encoding="utf-8"))
            jobs, self._created = from_json(content), float(content["created"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        self.results = {
            job.number: job
            for job in jobs
            if sorted(job.overrides) == sorted(earlier.get(job.number, ()))
        }


def _line(job: JobResult) -> str:
    gain = "" if job.gain is None else f", {beside_bicubic(job.gain)}"
    note = f" ({job.note})" if job.note not in ("", "new") and job.state != "failed" else ""
    return f"job {job.number} ({job.name}): {job.state}{gain}{note}"


def _clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
