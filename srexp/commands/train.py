"""`srexp train`: compose, check, train, report."""

from __future__ import annotations

import traceback
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from srexp.commands.evaluate import prepare_metrics
from srexp.commands.report import write_report
from srexp.commands.several_devices import join, plainly, work_along
from srexp.config import names
from srexp.config.identity import config_digest, sources, with_additions
from srexp.config.resume import AlreadyFinished, check_folders, initial_run, resumed
from srexp.config.settings import absolute_paths, experiment_of, plain
from srexp.files import remove_parts
from srexp.launching.other_launchers import job_of_hydra
from srexp.options import OptionError, flatten
from srexp.paths import checked
from srexp.quiet import quiet_import
from srexp.running.about_run import defaults
from srexp.running.job import Job
from srexp.sweeps.pool import NEARLY
from srexp.terminal import messages
from srexp.terminal.exit import CommandFailed, CommandInterrupted
from srexp.terminal.front import run_hydra
from srexp.terminal.interruption import Interruption
from srexp.tracking.record import (
    RunFolder,
    claims,
    environment,
    find_run,
    remember_store,
    runs_of_identity,
    write_json,
)
from srexp.tracking.remedy import remedy
from srexp.training import checkpoint
from srexp.training.materials import RESULTS_VERSION
from srexp.words import count

if TYPE_CHECKING:
    from rich.console import Console

    from srexp.evaluation.samples import Sample
    from srexp.tracking.mlflow_view import MlflowView
    from srexp.tracking.tensorboard_view import TensorBoardView
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials
    from srexp.training.strategy import Strategy


# What MLflow gets when a second signal says that it should end now.
_AT_ONCE_SECONDS = 5.0
_AT_ONCE = "stopped at once"
# A job whose images take less lets the next one of its sweep read its own while it scores.
_BYTES_FOR_TWO = 1 << 30


def main() -> None:
    """The command."""
    run_hydra("train", train)


@dataclass
class Training:
    """A run about to be trained.

    Attributes:
        experiment: Its options.
        values: Its resolved configuration, as plain data.
        materials: Its images.
        run: Where it is kept.
        resume: Whether it goes on.
        source: The run whose weights it starts from, or None.
        job: Its place in a sweep, or None.
        strategy: Its devices; None for one.
    """

    experiment: Experiment
    values: dict[str, Any]
    materials: Materials
    run: RunFolder
    resume: bool
    source: RunFolder | None
    job: Job | None
    strategy: Strategy | None


def train(config: DictConfig, job: Job | None = None) -> float | None:
    """One run, from a composed configuration.

    Returns:
        Mean PSNR gain over bicubic in dB on the last benchmark (or the validation images) under
        the first protocol; None for a dry run. Sweepers may maximise it.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was made.
        CommandFailed: Training failed or was stopped; the run says so.
    """
    from srexp.terminal.console import make_console

    values = absolute_paths(plain(config))
    console = make_console()
    run: RunFolder | None = None
    if values["resume"] is not None:
        try:
            run, values = _open_resumed(config, values)
        except AlreadyFinished as done:
            console.print(str(done), highlight=False, soft_wrap=True)
            return None
    source: RunFolder | None = None
    if run is None or not checkpoint.exist(run.checkpoints):
        source, values = initial_run(values)
    experiment = experiment_of(values)
    with Interruption() as interruption:
        try:
            # All images are read before TensorFlow is imported: bad ones are told at once.
            from srexp.training.materials import gather

            job = job or job_of_hydra()
            materials = (job and job.materials) or gather(experiment)
            prepare_metrics(experiment.metric)
            digest = config_digest(values)
            strategy = join(console, experiment, job, digest + materials.digest)
            if strategy is not None and not strategy.chief:
                work_along(experiment, materials, strategy, run, interruption)
                return None
            if experiment.trainer.dry_run:
                messages.describe(console, experiment, materials, values)
                return None
            for remark in materials.remarks:
                console.print(f"note: {remark}")
            messages.mention_short_schedule(console, experiment)
            interruption.hold()  # a run that is there must get a status
            resume = run is not None
            if run is not None:
                _take_up(run, materials, values)
            else:
                identity = materials.identity(digest)
                # Two sweeps may come to the same job at the same moment.
                with claims(experiment.paths.output_dir):
                    if job is not None:
                        same = runs_of_identity(experiment.paths.output_dir, identity)
                        limit = experiment.trainer.max_minutes
                        if (whole := job.whole(same, limit)) is not None:
                            return job.already_finished(whole)
                        run = job.unfinished(same, limit)
                    if run is not None:
                        assert job is not None
                        job.take_up(run)
                        _take_up(run, materials, values)
                        resume = True
                    else:
                        messages.mention_twin(console, experiment, identity)
                        run = _new_run(experiment, values, materials, identity, source, job)
        except KeyboardInterrupt:
            raise CommandInterrupted(
                "stopped before training began: nothing was made", interruption.exit_code
            ) from None
        training = Training(experiment, values, materials, run, resume, source, job, strategy)
        return _run(console, training, interruption)


def _new_run(
    experiment: Experiment,
    values: dict[str, Any],
    materials: Materials,
    identity: str,
    source: RunFolder | None,
    job: Job | None,
) -> RunFolder:
    name = _name(values, job)
    return RunFolder.create(
        experiment.paths.output_dir,
        names.slug(name),
        values,
        OmegaConf.to_yaml(OmegaConf.create(values)),
        config_digest=config_digest(values),
        images_digest=materials.digest,
        identity=identity,
        results_version=RESULTS_VERSION,
        sources=sources(values),
        init_from=source.id if source else None,
        title=name,
        typed=" ".join(o for o in _given() if not o.startswith(("paths.", "tracking")))[:200],
        sweep=job.sweep if job else None,
    )


def _given() -> list[str]:
    """What was typed; nothing where it was no command line that composed the run."""
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []


def _name(values: dict[str, Any], job: Job | None) -> str:
    """What the run is called: what was typed, or what sets it apart from the default run."""
    from hydra.core.hydra_config import HydraConfig

    if job is not None:
        return names.job_name(job.name, _given())
    if HydraConfig.initialized():
        return names.as_name(names.typed_words(_given()))
    found = names.names_of([names.comparable(defaults()), names.comparable(flatten(values))])[1]
    return found or names.DEFAULTS


def _take_up(run: RunFolder, materials: Materials, values: dict[str, Any]) -> None:
    _same_images(run, materials.digest)
    if not run.claim():
        raise OptionError(f"resume={run.id}: it is running now")
    remove_parts(run.folder)
    (run.folder / "report.html").unlink(missing_ok=True)  # it would show what was
    # With more steps it is another run to a sweep that looks for it.
    digest = config_digest(values)
    run.set_status(
        "RUNNING",
        config_digest=digest,
        identity=materials.identity(digest),
        results_version=RESULTS_VERSION,
        sources=sources(values),
    )
    run.write_config(values)


def _run(console: Console, training: Training, interruption: Interruption) -> float | None:
    """Train in the run folder; whatever happens, the run ends with a status that says it."""
    from srexp.evaluation.scoring import NotFinite
    from srexp.training.checkpoint import CheckpointError
    from srexp.training.loop import Diverged

    run = training.run
    view: MlflowView | TensorBoardView | None = None
    samples: list[Sample] = []
    status, failure = "FAILED", ""
    console.print(f"run {run.id}\n    in {run.folder}")
    try:
        interruption.let_go()
        with quiet_import():
            import tensorflow  # noqa: F401
        # From here on a signal waits for a good moment: inside TensorFlow an exception may be lost.
        interruption.graceful = True
        session = _prepare(console, training)
        view = session.view
        if interruption.asked:
            raise KeyboardInterrupt

        def asked_to_stop() -> str | None:
            if interruption.asked:
                return "stopped"
            return training.job.asked_to_stop() if training.job else None

        try:
            with session.display:
                outcome = session.train(asked_to_stop)
        finally:
            interruption.graceful = False
        messages.say_speed(console, outcome)
        steps = f"step {outcome.progress.step} of {training.experiment.trainer.steps}"
        go_on = f"To go on: python -m srexp train {run.typed('resume')}"
        stopped_late = interruption.asked and outcome.reason != "pruned"
        if outcome.reason == "stopped" or stopped_late:
            status = "INTERRUPTED"
            raise CommandInterrupted(f"stopped at {steps}, saved. {go_on}", interruption.exit_code)
        if outcome.reason == "pruned":
            status = "PRUNED"
            console.print(f"stopped at {steps}: the search found it hopeless")
            return None
        if training.job is not None and training.materials.nbytes < _BYTES_FOR_TWO:
            training.job.tell(NEARLY, None)
        reports = session.score()
        samples = session.samples
        messages.say_reports(console, run, session, reports)
        if outcome.reason == "max_minutes":
            console.print(f"stopped by trainer.max_minutes at {steps}. {go_on}")
        if outcome.reason == "patience":
            patience = training.experiment.trainer.patience
            console.print(
                f"stopped at {steps}: no better score in {count(patience or 0, 'evaluation')} "
                f"(trainer.patience). {go_on} trainer.patience=null"
            )
        status = "FINISHED"
        result = reports[-len(training.experiment.protocol)]
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
    except KeyboardInterrupt:
        status, failure = "INTERRUPTED", _AT_ONCE
        raise _stopped_at_once(run, interruption) from None
    except (Diverged, CheckpointError, NotFinite) as error:
        failure = str(error)
        raise CommandFailed(f"{failure}\n{_advice(run)}", 1) from None
    except OSError as error:
        failure = f"{error.filename or run.folder}: {error.strerror or error}"
        raise CommandFailed(f"{failure}\n{_advice(run)}", 1) from None
    except CommandFailed:
        raise
    except OptionError as error:
        failure = str(error)
        raise
    except Exception as error:
        if interruption.raised:  # what a signal raises in TensorFlow may come out as anything
            status, failure = "INTERRUPTED", _AT_ONCE
            raise _stopped_at_once(run, interruption) from None
        if line := plainly(error, training.experiment, run.id):
            failure = line
            raise CommandFailed(f"{failure}\n{_advice(run)}", 1) from None
        failure = f"{type(error).__name__}: {error}"
        text = traceback.format_exc().encode(errors="backslashreplace")
        (run.folder / "error.txt").write_bytes(text)
        raise
    finally:
        _close(console, run, view, status, failure, samples, interruption)


def _stopped_at_once(run: RunFolder, interruption: Interruption) -> CommandInterrupted:
    kept = any(run.checkpoints.glob("*.npz"))
    left = "the last checkpoint stands" if kept else "before the first checkpoint"
    go_on = f"To go on: python -m srexp train {run.typed('resume')}"
    return CommandInterrupted(f"{_AT_ONCE}, {left}. {go_on}", interruption.exit_code)


def _prepare(console: Console, training: Training) -> Any:
    """Build the network, restore or begin, start showing it."""
    from srexp.terminal.display import TrainingDisplay
    from srexp.training import devices
    from srexp.training.session import Session
    from srexp.training.strategy import Strategy
    from srexp.training.trained import scored_weights

    experiment, run = training.experiment, training.run
    weights = None
    if training.source is not None and not checkpoint.exist(run.checkpoints):
        weights = scored_weights(training.source, _as_here(training))
    display = TrainingDisplay(console, experiment.trainer.steps, training.job)
    strategy = training.strategy or Strategy()
    session = Session(experiment, training.materials, run, display, strategy)
    if weights is not None:
        session.start_from(weights)
    for remark in session.go_on() if training.resume else ():
        console.print(f"note: {remark}")
    display.begin(run.id, session.progress.step)
    surroundings = {**environment(), **devices.environment()}
    write_json(run.folder / "environment.json", surroundings)
    run.update(cost=asdict(session.cost))
    gpus = ", ".join(surroundings["gpus"])
    console.print(
        f"{experiment.model.name}: {session.cost}; "
        f"{count(training.materials.sampler.patch_count, 'patch', 'patches')} of "
        f"{count(len(training.materials.train.images), 'image')}, "
        f"{messages.passes(experiment, training.materials):.3g} passes over the images; "
        f"on {gpus or surroundings['processor']}"
        + (f", {strategy.description}" if strategy.description else "")
    )
    session.view = _start_view(console, training, session.cost)
    return session


def _as_here(training: Training) -> Experiment:
    """The experiment of the run to start from, in this process and with this machine's folders."""
    assert training.source is not None
    theirs = with_additions(training.source.config)
    threads = {"threads": training.experiment.trainer.threads}
    trainer = {**theirs["trainer"], **threads}
    return experiment_of({**theirs, "paths": training.values["paths"], "trainer": trainer})


def _start_view(
    console: Console, training: Training, cost: Any
) -> MlflowView | TensorBoardView | None:
    from srexp.tracking.mlflow_view import MlflowView
    from srexp.tracking.options import TensorBoardTracking
    from srexp.tracking.tensorboard_view import TensorBoardView
    from srexp.training.shown import shown

    tracking = training.experiment.tracking
    if isinstance(tracking, TensorBoardTracking):
        return TensorBoardView(training.run, tracking.folder(training.run))
    parent = training.job.parent_run_id if training.job else None
    what = shown(training.experiment, training.materials, training.run, cost, parent)
    if what is None:
        return None
    training.run.update(mlflow=what)
    view = MlflowView(training.run, fresh=not training.resume)
    console.print(f"MLflow: {view.mirror.store}", soft_wrap=True)
    view.start()
    view.wake()
    remember_store(what["uri"])
    return view


def _advice(run: RunFolder) -> str:
    if any(run.checkpoints.glob("*.npz")):
        return (
            f"the weights of before are in {run.checkpoints}; the run is marked FAILED. To go on "
            f"with it: python -m srexp train {run.typed('resume')}"
        )
    return "it was before the first checkpoint; the run is marked FAILED"


def _close(
    console: Console,
    run: RunFolder,
    view: MlflowView | TensorBoardView | None,
    status: Any,
    failure: str,
    samples: list[Sample],
    interruption: Interruption,
) -> None:
    from srexp.tracking.tensorboard_view import TensorBoardView

    interruption.hold()
    try:
        run.set_status(status, failure=failure)
    except OSError as error:  # a full disk: say it, and let the first error be the one that counts
        console.print(f"note: the status could not be written ({error.strerror})")
    if status == "FINISHED":
        _show(console, run, samples)
    if isinstance(view, TensorBoardView):
        view.close()
        if view.error is not None:
            console.print(f"note: TensorBoard's event file is not whole ({view.error})")
    elif view is not None:
        try:
            interruption.let_go()
            view.close(lambda: console.print("sending the last results to MLflow ..."))
        except KeyboardInterrupt:
            view.stop(_AT_ONCE_SECONDS)
        if view.error is not None:
            store = view.mirror.store
            help = remedy(view.cause, store, run.folder.parent, run.id)
            console.print(
                f"note: MLflow at {store.uri} did not take everything ({view.error}): "
                f"{count(view.unsent(), 'item was', 'items were')} not sent. The run folder has "
                f"them all; {help}",
                soft_wrap=True,
            )
        elif view.mirror.refused is not None:
            console.print(f"note: MLflow refused a part of it ({view.mirror.refused})")
    run.release()


def _show(console: Console, run: RunFolder, samples: list[Sample]) -> None:
    """Keep pictures and make the page; whatever comes of it, the run is finished."""
    from srexp.evaluation.samples import keep

    try:
        keep(run.folder, samples)
        console.print(f"report: {write_report(run)}", soft_wrap=True)
    except Exception as error:
        why = error.strerror if isinstance(error, OSError) else None
        console.print(
            f"note: no report.html ({why or f'{type(error).__name__}: {error}'}). The run is "
            f"finished; to make it: python -m srexp report {run.typed()}"
        )


def _open_resumed(config: DictConfig, values: dict[str, Any]) -> tuple[RunFolder, dict[str, Any]]:
    from hydra.core.hydra_config import HydraConfig

    given = list(HydraConfig.get().overrides.task)
    output_dir = checked("paths.output_dir", values["paths"]["output_dir"]).resolve()
    run = find_run(str(values["resume"]), output_dir)
    going_on = resumed(run, values, given)
    check_folders(run, going_on)
    if checkpoint.exist(run.checkpoints):
        checkpoint.load_newest(run.checkpoints)  # all damaged: told now, before anything changes
    return run, going_on


def _same_images(run: RunFolder, digest: str) -> None:
    from srexp.data.sets import DataError

    if run.info["images_digest"] != digest:
        raise DataError(
            f"resume={run.id}: the training or validation images are not what they were when it "
            "began, so it cannot go on as if they were; start a new run"
        )
