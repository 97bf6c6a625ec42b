"""Training in a run's folder; whatever happens, the run ends with a status that says it."""

from __future__ import annotations

import time
import traceback
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from srexp.config.identity import with_additions
from srexp.config.settings import experiment_of
from srexp.options import OptionError
from srexp.quiet import quiet_import
from srexp.running import remarks
from srexp.running.claim import Claim
from srexp.running.display import RunDisplay, Stop
from srexp.running.ends import RunFailed, RunInterrupted
from srexp.running.job import NEARLY
from srexp.running.plan import Plan
from srexp.running.report import write_report
from srexp.running.several_devices import plainly
from srexp.running.view import close_view, how_to_open, start_view
from srexp.tracking.record import Status, environment, write_json
from srexp.training import checkpoint
from srexp.words import count

if TYPE_CHECKING:
    from srexp.evaluation.samples import Sample
    from srexp.evaluation.scoring import Report
    from srexp.running.view import RunView
    from srexp.training.loop import Outcome, Window
    from srexp.training.session import Session

_AT_ONCE = "stopped at once"
# A job whose images take less lets the next one of its sweep read its own while it scores.
_BYTES_FOR_TWO = 1 << 30
# Seconds between two words to a sweep.
_TELL_SECONDS = 0.2


class Training:
    """A run that this process has, from its first step here to its end."""

    def __init__(self, plan: Plan, claim: Claim, display: RunDisplay, stop: Stop) -> None:
        self._plan, self._run, self._resume = plan, claim.run, claim.resume
        self._display, self._stop = display, stop
        self._view: RunView | None = None
        self._samples: list[Sample] = []
        self._status: Status = "FAILED"
        self._failure = ""

    def carry_out(self) -> float | None:
        """Train, score, keep, close.

        Returns:
            The gain that a sweeper may maximise (`TrainedRun.gain`).

        Raises:
            RunFailed, RunInterrupted, OptionError: As `train_run`.
        """
        from srexp.evaluation.scoring import NotFinite
        from srexp.training.checkpoint import CheckpointError
        from srexp.training.loop import Diverged

        run, stop = self._run, self._stop
        self._display.say(f"run {run.id}\n    in {run.folder}")
        try:
            return self._train()
        except RunInterrupted:
            raise
        except KeyboardInterrupt:
            raise self._stopped_at_once() from None
        except (Diverged, CheckpointError, NotFinite) as error:
            raise self._failed(str(error)) from None
        except OSError as error:
            place = error.filename or run.folder
            raise self._failed(f"{place}: {error.strerror or error}") from None
        except OptionError as error:
            self._failure = str(error)
            raise
        except Exception as error:
            if stop.raised:  # what a signal raises in TensorFlow may come out as anything
                raise self._stopped_at_once() from None
            if line := plainly(error, self._plan.experiment, run.id):
                raise self._failed(line) from None
            self._failure = f"{type(error).__name__}: {error}"
            text = traceback.format_exc().encode(errors="backslashreplace")
            (run.folder / "error.txt").write_bytes(text)
            raise
        finally:
            self._close()

    def _train(self) -> float | None:
        stop, job = self._stop, self._plan.job
        stop.let_go()
        with quiet_import():
            import tensorflow  # noqa: F401
        # From here on a signal waits for a good moment: inside TensorFlow an exception may be lost.
        stop.graceful = True
        session = self._prepare()
        if stop.asked:
            raise KeyboardInterrupt

        def asked_to_stop() -> str | None:
            if stop.asked:
                return "stopped"
            return job.asked_to_stop() if job else None

        try:
            with self._display:
                outcome = session.train(asked_to_stop)
        finally:
            stop.graceful = False
        if (seconds := outcome.train_seconds) != 0:
            self._display.say(
                f"trained for {seconds:.0f} s, {100 * outcome.data_wait_seconds / seconds:.1f} % "
                "of it waiting for data"
            )
        at = f"step {outcome.progress.step} of {self._plan.experiment.trainer.steps}"
        if outcome.reason == "stopped" or (stop.asked and outcome.reason != "pruned"):
            self._status = "INTERRUPTED"
            raise RunInterrupted(f"stopped at {at}, saved. {self._go_on}", stop.exit_code)
        if outcome.reason == "pruned":
            self._status = "PRUNED"
            self._display.say(f"stopped at {at}: the search found it hopeless")
            return None
        if job is not None and self._plan.materials.nbytes < _BYTES_FOR_TWO:
            job.tell(NEARLY, None)
        return self._score(session, outcome, at)

    def _prepare(self) -> Session:
        """Build the network, restore or begin, start showing it."""
        from srexp.training import devices
        from srexp.training.session import Session
        from srexp.training.strategy import Strategy
        from srexp.training.trained import scored_weights

        plan, run, say = self._plan, self._run, self._display.say
        experiment = plan.experiment
        weights = None
        if plan.source is not None and not checkpoint.exist(run.checkpoints):
            theirs = _as_here(plan)
            weights = scored_weights(plan.source.run or plan.source.id, theirs)
        strategy = plan.strategy or Strategy()
        told = _Told(self._display, plan, run.id)
        session = Session(experiment, plan.materials, run, told, strategy)
        if weights is not None and (anew := session.start_from(weights, theirs.degradation.scale)):
            self._display.note(
                f"init_from enlarges by {theirs.degradation.scale}: {', '.join(anew)} "
                f"{'starts' if len(anew) == 1 else 'start'} anew, the other layers from it"
            )
        for remark in session.go_on() if self._resume else ():
            self._display.note(remark)
        told.begin(session.progress.step)
        if (times := session.choose_xla(say)) is not None:
            say(str(times))
        settled = session.experiment.trainer
        surroundings = {
            **environment(),
            **devices.environment(),
            "jit_compile": settled.jit_compile,
            "steps_per_call": settled.steps_per_call,
        }
        write_json(run.folder / "environment.json", surroundings)
        run.update(cost=asdict(session.cost))
        gpus = ", ".join(surroundings["gpus"])
        say(
            f"{experiment.model.name}: {session.cost}; "
            f"{count(plan.materials.sampler.patch_count, 'patch', 'patches')} of "
            f"{count(len(plan.materials.train.images), 'image')}, "
            f"{remarks.passes(experiment, plan.materials):.3g} passes over the images; "
            f"on {gpus or surroundings['processor']}"
            + (f", {strategy.description}" if strategy.description else "")
        )
        session.view = self._view = start_view(
            plan, run, session.cost, fresh=not self._resume, say=say
        )
        return session

    def _score(self, session: Session, outcome: Outcome, at: str) -> float:
        run, experiment, say = self._run, self._plan.experiment, self._display.say
        reports = session.score()
        self._samples = session.samples
        self._display.scored(reports, session.cost)
        if session.no_mlflow_model:
            self._display.note(f"MLflow gets no model of this run ({session.no_mlflow_model})")
        say(f"\npictures: {run.folder / 'grids'}")
        say(f"per image: {run.folder / 'evaluations'}")
        if self._view is not None:
            say(how_to_open(self._view), whole=True)
        if outcome.reason == "max_minutes":
            say(f"stopped by trainer.max_minutes at {at}. {self._go_on}")
        if outcome.reason == "patience":
            patience = experiment.trainer.patience
            say(
                f"stopped at {at}: no better score in {count(patience or 0, 'evaluation')} "
                f"(trainer.patience). {self._go_on} trainer.patience=null"
            )
        self._status = "FINISHED"
        result = reports[-len(experiment.protocol)]
        run.update(
            ended=outcome.reason,
            gains={report.task.key: report.gain.mean for report in reports},
            result={
                "task": result.task.key,
                "gain": result.gain.mean,
                "psnr": result.mean(lambda row: row.score.psnr),
            },
        )
        return result.gain.mean

    @property
    def _go_on(self) -> str:
        return f"To go on: python -m srexp train {self._run.typed('resume')}"

    @property
    def _has_weights(self) -> bool:
        return any(self._run.checkpoints.glob("*.npz"))

    def _stopped_at_once(self) -> RunInterrupted:
        self._status, self._failure = "INTERRUPTED", _AT_ONCE
        left = "the last checkpoint stands" if self._has_weights else "before the first checkpoint"
        return RunInterrupted(f"{_AT_ONCE}, {left}. {self._go_on}", self._stop.exit_code)

    def _failed(self, failure: str) -> RunFailed:
        self._failure = failure
        run = self._run
        if not self._has_weights:
            advice = "it was before the first checkpoint; the run is marked FAILED"
        else:
            advice = (
                f"the weights of before are in {run.checkpoints}; the run is marked FAILED. To go "
                f"on with it: python -m srexp train {run.typed('resume')}"
            )
        return RunFailed(f"{failure}\n{advice}")

    def _close(self) -> None:
        run, stop = self._run, self._stop
        stop.hold()
        try:
            run.set_status(self._status, failure=self._failure)
        except OSError as error:  # a full disk: say it; the first error is the one that counts
            self._display.note(f"the status could not be written ({error.strerror})")
        if self._status == "FINISHED":
            self._show()
        if self._view is not None:
            close_view(self._view, run, self._display, stop)
        run.release()

    def _show(self) -> None:
        """Keep pictures and make the page; whatever comes of it, the run is finished."""
        from srexp.evaluation.samples import keep

        run = self._run
        try:
            keep(run.folder, self._samples)
            self._display.say(f"report: {write_report(run)}", whole=True)
        except Exception as error:
            why = error.strerror if isinstance(error, OSError) else None
            self._display.note(
                f"no report.html ({why or f'{type(error).__name__}: {error}'}). The run is "
                f"finished; to make it: python -m srexp report {run.typed()}"
            )


class _Told:
    """What a session tells, for a person and for the sweep that the run is a job of."""

    def __init__(self, display: RunDisplay, plan: Plan, run: str) -> None:
        self._display, self._run, self._job = display, run, plan.job
        self._last = plan.experiment.trainer.steps
        self._said = time.monotonic()

    def begin(self, first: int) -> None:
        self._display.begin(first, self._last)
        self._tell("run", self._run)
        self._tell("step", (first, self._last))

    def stepped(self, step: int) -> None:
        self._display.stepped(step)
        now = time.monotonic()
        if now - self._said >= _TELL_SECONDS or step == self._last:
            self._said = now
            self._tell("step", (step, self._last))

    def window(self, window: Window) -> None:
        self._display.window(window)

    def evaluated(self, step: int, reports: list[Report]) -> None:
        self._tell("evaluated", (step, reports[0].mean(lambda row: row.score.psnr)))
        self._display.evaluated(step, reports)

    def _tell(self, kind: str, value: Any) -> None:
        if self._job is not None:
            self._job.tell(kind, value)


def _as_here(plan: Plan) -> Any:
    """The experiment of what it starts from, in this process and with this machine's folders."""
    assert plan.source is not None
    theirs = with_additions(plan.source.config)
    trainer = {**theirs["trainer"], "threads": plan.experiment.trainer.threads}
    return experiment_of({**theirs, "paths": plan.values["paths"], "trainer": trainer})
