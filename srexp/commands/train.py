"""`srexp train`: compose, check, train, report."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from srexp.commands.exit import CommandFailed, CommandInterrupted
from srexp.commands.front import run_hydra
from srexp.commands.interruption import Interruption
from srexp.commands.quiet import quiet_import
from srexp.config.resume import resumed
from srexp.config.settings import absolute_paths, config_digest, experiment_of, flatten, plain
from srexp.options import OptionError
from srexp.tracking.record import RunFolder, environment, find_run, remember_store, runs, write_json
from srexp.training import checkpoint

if TYPE_CHECKING:
    from rich.console import Console

    from srexp.evaluation.scoring import Report
    from srexp.tracking.mlflow_view import MlflowView
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials
    from srexp.training.strategy import Strategy


@dataclass(frozen=True)
class Job:
    """A run's place in a sweep.

    Attributes:
        name: What was swept: `depth=3 act=relu`.
        parent_run_id: Of the sweep's MLflow run, or None.
        sweep: Name of the sweep's folder.
    """

    name: str
    parent_run_id: str | None
    sweep: str


def main() -> None:
    """The command."""
    run_hydra("train", train)


def train(config: DictConfig, job: Job | None = None) -> float | None:
    """One run, from a composed configuration.

    Returns:
        Mean PSNR gain over bicubic in dB on the last benchmark (or the validation images) under
        the first protocol; None for a dry run. Sweepers may maximise it.

    Raises:
        OptionError, RunError: Bad input; nothing was made.
        CommandFailed: Training failed or was stopped; the run says so.
    """
    values = absolute_paths(plain(config))
    run: RunFolder | None = None
    if values["resume"] is not None:
        run, values = _open_resumed(config, values)
    experiment = experiment_of(values)
    from srexp.commands.console import make_console

    console = make_console()
    with Interruption() as interruption:
        try:
            # All images are read before TensorFlow is imported: bad ones are told at once.
            from srexp.training.materials import gather

            materials = gather(experiment)
            digest = config_digest(values)
            strategy = _join(console, experiment, job, digest + materials.digest)
            if strategy is not None and not strategy.chief:
                _work(experiment, materials, strategy, run, interruption)
                return None
            for remark in materials.remarks:
                console.print(f"note: {remark}")
            _mention_short_schedule(console, experiment)
            if experiment.trainer.dry_run:
                _describe(console, experiment, materials, values)
                return None
            if run is None:
                _mention_twin(console, experiment, digest, materials.digest)
                run = RunFolder.create(
                    experiment.paths.output_dir,
                    f"{experiment.model.name}-x{experiment.degradation.scale}",
                    values,
                    OmegaConf.to_yaml(OmegaConf.create(values)),
                    config_digest=digest,
                    images_digest=materials.digest,
                    title=job.name if job else None,
                    sweep=job.sweep if job else None,
                )
            else:
                _same_images(run, materials.digest)
                run.set_status("RUNNING")
                write_json(run.folder / "config.json", values)
        except KeyboardInterrupt:
            raise CommandInterrupted(
                "stopped before training began: nothing was made", interruption.exit_code
            ) from None
        return _run(console, experiment, materials, strategy, run, values, interruption, job)


def _join(
    console: Console, experiment: Experiment, job: Job | None, digest: str
) -> Strategy | None:
    """Find the devices of a step, with `multi_worker` all other processes; None for one device.

    Before the run folder is made, so that a cluster that cannot work leaves nothing behind.
    """
    trainer = experiment.trainer
    if trainer.strategy == "none" or trainer.dry_run:
        return None
    if trainer.strategy == "multi_worker" and job is not None:
        raise OptionError(
            "trainer.strategy=multi_worker: trains one run a process, so no sweep (-m); start "
            "each run by itself"
        )
    with quiet_import():
        import tensorflow
    from srexp.training import devices
    from srexp.training import strategy as strategies

    devices.configure(
        threads=trainer.threads, seed=experiment.seed, mixed_precision=trainer.mixed_precision
    )
    try:
        strategy = strategies.make(trainer, console.print)
        strategy.check_same(digest, "configuration, or other images,")
    except tensorflow.errors.OpError as error:
        line = _plainly(error, experiment) or f"the processes did not meet: {error.message}"
        raise CommandFailed(line, 1) from None
    return strategy


def _work(
    experiment: Experiment,
    materials: Materials,
    strategy: Strategy,
    run: RunFolder | None,
    interruption: Interruption,
) -> None:
    """Train along with the chief, who writes and reports."""
    from srexp.training.loop import Diverged
    from srexp.training.worker import work

    try:
        interruption.graceful = True
        outcome = work(
            experiment,
            materials,
            strategy,
            lambda: interruption.asked,
            checkpoints=run.checkpoints if run else None,
        )
    except (Diverged, checkpoint.CheckpointError) as error:
        raise CommandFailed(str(error), 1) from None
    except Exception as error:
        line = _plainly(error, experiment)
        if line is None:
            raise
        raise CommandFailed(line, 1) from None
    finally:
        interruption.graceful = False
    if interruption.asked:
        raise CommandInterrupted(f"stopped at step {outcome.progress.step}", interruption.exit_code)


def _plainly(error: Exception, experiment: Experiment, run: str = "RUN") -> str | None:
    """One line for what TensorFlow says at length, where there is one."""
    if "tensorflow" not in sys.modules:
        return None
    from srexp.training.memory import out_of_memory
    from srexp.training.strategy import lost_worker

    return out_of_memory(error, experiment) or lost_worker(error, experiment.trainer, run)


def _run(
    console: Console,
    experiment: Experiment,
    materials: Materials,
    strategy: Strategy | None,
    run: RunFolder,
    values: dict[str, Any],
    interruption: Interruption,
    job: Job | None,
) -> float:
    """Train in the run folder; whatever happens, the run ends with a status that says it."""
    from srexp.evaluation.scoring import NotFinite
    from srexp.training.checkpoint import CheckpointError
    from srexp.training.loop import Diverged

    resume = values["resume"] is not None
    view: MlflowView | None = None
    status, failure = "FAILED", ""
    console.print(f"run {run.id}\n    in {run.folder}")
    try:
        with quiet_import():
            import tensorflow  # noqa: F401
        from srexp.commands.display import TrainingDisplay
        from srexp.training import devices
        from srexp.training.session import Session
        from srexp.training.strategy import Strategy

        first = run.info.get("progress", {}).get("step", 0) if resume else 0
        display = TrainingDisplay(console, first, experiment.trainer.steps)
        strategy = strategy or Strategy()
        session = Session(experiment, materials, run, None, display, strategy)
        surroundings = {**environment(), **devices.environment()}
        write_json(run.folder / "environment.json", surroundings)
        gpus = ", ".join(surroundings["gpus"])
        console.print(
            f"{experiment.model.name}: {session.cost}; "
            f"{materials.sampler.patch_count:,} patches of {len(materials.train.images)} images; "
            f"on {gpus or surroundings['processor']}"
            + (f", {strategy.description}" if strategy.description else "")
        )
        view = session.view = _start_view(experiment, materials, run, values, session.cost, job)
        try:
            interruption.graceful = True
            with display:
                outcome = session.train(lambda: interruption.asked, resume=resume)
        finally:
            interruption.graceful = False
        _say_speed(console, outcome, experiment)
        if outcome.reason == "stopped":
            status = "INTERRUPTED"
            raise CommandInterrupted(
                f"stopped at step {outcome.progress.step} of {experiment.trainer.steps}, saved. "
                f"To go on: python -m srexp train resume={run.id}",
                interruption.exit_code,
            )
        reports = session.score()
        _say_reports(console, experiment, run, session, reports)
        if outcome.reason == "max_minutes":
            console.print(
                f"stopped by trainer.max_minutes at step {outcome.progress.step} of "
                f"{experiment.trainer.steps}. To go on: python -m srexp train resume={run.id}"
            )
        status = "FINISHED"
        run.update(gains={report.task.key: report.gain.mean for report in reports})
        return reports[-len(experiment.protocol)].gain.mean
    except KeyboardInterrupt:
        status, failure = "INTERRUPTED", "stopped at once"
        kept = any(run.checkpoints.glob("*.npz"))
        left = "the last checkpoint stands" if kept else "before the first checkpoint"
        raise CommandInterrupted(
            f"{failure}, {left}. To go on: python -m srexp train resume={run.id}",
            interruption.exit_code,
        ) from None
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
        if line := _plainly(error, experiment, run.id):
            failure = line
            raise CommandFailed(f"{failure}\n{_advice(run)}", 1) from None
        failure = f"{type(error).__name__}: {error}"
        (run.folder / "error.txt").write_text(traceback.format_exc())
        raise
    finally:
        _close(console, run, view, status, failure)


def _advice(run: RunFolder) -> str:
    if any(run.checkpoints.glob("*.npz")):
        return f"the weights of before are in {run.checkpoints}; the run is marked FAILED"
    return "it was before the first checkpoint; the run is marked FAILED"


def _close(
    console: Console, run: RunFolder, view: MlflowView | None, status: Any, failure: str
) -> None:
    try:
        run.set_status(status, failure=failure)
    except OSError as error:  # a full disk: say it, and let the first error be the one that counts
        console.print(f"note: the status could not be written ({error.strerror})")
    if view is None:
        return
    if failure:
        view.tags({"srexp.failure": failure[:500]})
    if view.busy:
        console.print("sending the last results to MLflow ...")
    view.close(status)
    if view.error is not None:
        console.print(
            f"note: MLflow at {view.target.uri} did not take everything ({view.error}): "
            f"{view.unsent} items were not sent. The run folder has them all.",
        )


def _open_resumed(config: DictConfig, values: dict[str, Any]) -> tuple[RunFolder, dict[str, Any]]:
    from hydra.core.hydra_config import HydraConfig

    given = list(HydraConfig.get().overrides.task)
    output_dir = Path(values["paths"]["output_dir"]).expanduser().resolve()
    run = find_run(str(values["resume"]), output_dir)
    checked = resumed(run, values, given)
    last = run.checkpoints / "last.npz"
    if last.exists():
        checkpoint.load(last)  # damaged: told now, before anything changes
    return run, checked


def _same_images(run: RunFolder, digest: str) -> None:
    from srexp.data.sets import DataError

    if run.info["images_digest"] != digest:
        raise DataError(
            f"resume={run.id}: the training or validation images are not what they were when it "
            "began, so it cannot go on as if they were; start a new run"
        )


def _mention_twin(console: Console, experiment: Experiment, digest: str, images: str) -> None:
    for other in reversed(runs(experiment.paths.output_dir)):
        same = (other.info.get("config_digest"), other.info.get("images_digest")) == (
            digest,
            images,
        )
        if same and other.info["status"] != "FINISHED":
            state = "is running now" if other.alive else "was not finished"
            console.print(
                f"note: run {other.id} with the same configuration {state}"
                + ("" if other.alive else f"; to go on with it: resume={other.id}")
            )
            return


def _mention_short_schedule(console: Console, experiment: Experiment) -> None:
    from srexp.training.schedules import Cosine

    schedule, steps = experiment.schedule, experiment.trainer.steps
    if isinstance(schedule, Cosine) and schedule.steps < steps:
        rate = experiment.optimizer.learning_rate * schedule.final_fraction
        console.print(
            f"note: the cosine ends at step {schedule.steps}; the steps after it, up to {steps}, "
            f"train at its final learning rate of {rate:.1e}"
        )


def _start_view(
    experiment: Experiment,
    materials: Materials,
    run: RunFolder,
    values: dict[str, Any],
    cost: Any,
    job: Job | None,
) -> MlflowView | None:
    from srexp.tracking.mlflow_view import MlflowView, Target
    from srexp.tracking.options import MlflowTracking

    tracking = experiment.tracking
    if not isinstance(tracking, MlflowTracking):
        return None
    uri = tracking.resolved_uri(experiment.paths.output_dir)
    before = run.info.get("mlflow", {})
    same = before.get("uri") == uri
    tasks = (*materials.validation, *materials.benchmarks)
    target = Target(
        uri=uri,
        experiment=tracking.experiment,
        artifact_root=experiment.paths.output_dir / "mlartifacts",
        run_name=run.info["title"] or f"{run.info['name']} {run.id[-4:]}",
        timeout_seconds=tracking.timeout_seconds,
        run_id=before.get("run_id") if same else None,
        parent_run_id=job.parent_run_id if job else None,
        sent=before.get("sent", {}) if same else {},
        tags={
            "mlflow.source.name": "srexp train",
            "mlflow.source.type": "LOCAL",
            "srexp.run": run.id,
            "srexp.folder": str(run.folder),
            "srexp.config_digest": run.info["config_digest"],
            "srexp.scale": str(experiment.degradation.scale),
            "srexp.degradation": experiment.degradation.label,
            "srexp.protocols": ", ".join(experiment.protocol),
            "srexp.images_digest": materials.digest,
            "srexp.parameters": str(cost.parameters),
            "srexp.multiply_adds_1280x720": str(cost.multiply_adds),
            **{f"srexp.task.{task.key}": task.label for task in tasks},
        },
    )
    view = MlflowView(
        target,
        flatten({key: value for key, value in values.items() if key not in ("paths", "resume")}),
        announce=lambda experiment_id, run_id: run.update(
            mlflow={
                "uri": uri,
                "experiment_id": experiment_id,
                "run_id": run_id,
                "sent": target.sent,
            }
        ),
        sent=lambda sent: run.update(mlflow={**run.info["mlflow"], "sent": sent}),
    )
    view.start()
    for name in ("config.yaml", "config.json", "environment.json"):
        view.artifact(run.folder / name)
    remember_store(uri)
    return view


def _describe(
    console: Console, experiment: Experiment, materials: Materials, values: dict[str, Any]
) -> None:
    with quiet_import():
        import tensorflow  # noqa: F401
    from srexp.evaluation import cost
    from srexp.training.session import build_network

    console.print(OmegaConf.to_yaml(OmegaConf.create(values)))
    network = build_network(experiment)
    measured = cost.measure(
        network, scale=experiment.degradation.scale, upsampling=experiment.model.upsampling
    )
    field = experiment.model.receptive_field
    console.print(f"{measured}; receptive field {field}x{field} input pixels")
    sampler, trainer = materials.sampler, experiment.trainer
    seen = trainer.steps * trainer.batch_size
    console.print(
        f"{len(materials.train.images)} training images with {sampler.patch_count:,} different "
        f"patches of {trainer.hr_patch_size}x{trainer.hr_patch_size}; "
        f"{trainer.steps:,} steps see {seen:,} patches"
    )
    for task in materials.validation:
        console.print(f"validation: {task.label}")
    for task in materials.benchmarks:
        console.print(f"benchmark: {task.label}")
    console.print("dry run: nothing was trained, nothing was written")


def _say_speed(console: Console, outcome: Any, experiment: Experiment) -> None:
    seconds = outcome.train_seconds
    if seconds:
        console.print(
            f"trained for {seconds:.0f} s, {100 * outcome.data_wait_seconds / seconds:.1f} % of it "
            "waiting for data"
        )


def _say_reports(
    console: Console, experiment: Experiment, run: RunFolder, session: Any, reports: list[Report]
) -> None:
    from srexp.evaluation.tables import caption, table

    for report in reports:
        console.print()
        console.print(table(report))
        console.print(caption(report, session.cost))
    console.print(f"\npictures: {run.folder / 'grids'}")
    console.print(f"per image: {run.folder / 'evaluations'}")
    if session.view is not None:
        console.print(f"MLflow: python -m srexp ui --uri {session.view.target.uri}")
