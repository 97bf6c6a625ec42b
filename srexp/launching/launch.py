"""Launching a sweep's jobs: all checked first, then each in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from srexp.config.compose import prepare_hydra
from srexp.config.resume import source_of
from srexp.config.settings import experiment_of, plain
from srexp.config.sweeps import choices_of, names_of
from srexp.data.cache import Progress, cache_of, caching
from srexp.launching.sweep import Sweep
from srexp.options import OptionError
from srexp.paths import to_path
from srexp.running.job import Job
from srexp.sweeps.pool import Call, run_jobs, warm_up
from srexp.sweeps.results import JobResult
from srexp.sweeps.slots import slots
from srexp.terminal.console import make_console
from srexp.terminal.exit import CommandFailed, CommandInterrupted
from srexp.terminal.interruption import Interruption
from srexp.terminal.messages import describe_sweep
from srexp.terminal.preparing import preparing
from srexp.training.experiment import Experiment
from srexp.words import count

# What a job's process finds imported.
_PRELOAD = ("srexp.launching.preload",)


class Launch:
    """A sweep's launches: one, or with some sweepers many.

    Attributes:
        n_jobs: How many jobs run at the same time.
        on_evaluated: Told (number of the job within the launch, step, mean validation PSNR in
            dB); True stops that job.
        swept: The swept keys; None to find them by comparing the jobs of a launch.
        earlier: Number -> overrides of the jobs that a search had at earlier times: its sweep is of
            these too, every other one of the jobs that are launched now alone.
    """

    def __init__(
        self,
        context: HydraContext,
        task: TaskFunction,
        config: DictConfig,
        *,
        n_jobs: int | None,
        gpus: list[Any] | None,
        on_error: str,
    ) -> None:
        if on_error not in ("continue", "stop"):
            raise OptionError(f"hydra.launcher.on_error={on_error}: must be continue or stop")
        self._context, self._config = context, config
        self._task = getattr(task, "task", task)  # without our GuardedTask
        self._slots = slots(n_jobs, gpus)
        self._on_error = on_error
        self._sweep: Sweep | None = None
        self.n_jobs = len(self._slots)
        self.on_evaluated: Callable[[int, int, float], bool] | None = None
        self.swept: list[str] | None = None
        self.earlier: dict[int, list[str]] = {}

    def run(self, job_overrides: Sequence[Sequence[str]], first_index: int) -> list[JobReturn]:
        """Check all jobs, then run them.

        Raises:
            OptionError: A job's configuration cannot work; none was started.
            CommandInterrupted: A signal came; what was trained is saved.
        """
        if not all("trainer.dry_run=true" in job for job in job_overrides):
            warm_up(_PRELOAD)  # takes seconds, while the jobs are composed and checked
        setup_globals()
        plans = [self._plan(list(o), first_index + i) for i, o in enumerate(job_overrides)]
        folder = str(self._config.paths.output_dir)
        if any(plan.values["paths"]["output_dir"] != folder for plan in plans):
            raise OptionError("paths.output_dir: a sweep has one output folder, for its summary")
        experiments, remarks = _checked(plans)
        if all(experiment.trainer.dry_run for experiment in experiments):
            names = names_of(choices_of([plan.overrides for plan in plans], self.swept))
            describe_sweep(make_console(), names, experiments, remarks)
            return [_job_return(plan) for plan in plans]
        if self._sweep is None:  # a search comes here again and again
            for remark in remarks:
                make_console().print(f"note: {remark}")
        with Interruption() as interruption:
            interruption.graceful = True
            sweep = self._begin(plans, experiments[0])
            if self.on_evaluated is not None:
                told, first = self.on_evaluated, first_index + 1
                sweep.on_evaluated = lambda number, step, psnr: told(number - first, step, psnr)
            try:
                with sweep:
                    run_jobs(
                        [self._call(plan, sweep) for plan in plans],
                        self._slots,
                        sweep,
                        preload=_PRELOAD,
                        stop_asked=lambda: interruption.asked,
                    )
            except KeyboardInterrupt:
                pass  # asked for the second time; what is known is written all the same
        if interruption.asked:
            sweep.finish()
            raise CommandInterrupted(
                f"sweep {sweep.folder.name} was stopped, what was trained is saved. To go on, type "
                "the same again",
                interruption.exit_code,
            )
        return [_returned(plan, sweep) for plan in plans]

    def summarise(self) -> None:
        """Say what came of all launches, and keep it in the sweep's folder."""
        if self._sweep is not None:
            self._sweep.finish()

    def fail_if_any_did(self) -> None:
        """Raises CommandFailed: Some jobs failed."""
        sweep = self._sweep
        if sweep is not None and sweep.failed:
            number = next(iter(sweep.failed))
            job = sweep.results[number]
            failed = f"{len(sweep.failed)} of {count(len(sweep.results), 'job')} failed"
            # Bad input (a missing folder, say) is 2 here too; one real failure makes it 1.
            bad_input = all("OptionError" in end.error for end in sweep.failed.values())
            raise CommandFailed(
                f"{failed}; the first, {job.name}: {job.note}", 2 if bad_input else 1
            )

    def _plan(self, overrides: list[str], index: int) -> _Plan:
        config = self._context.config_loader.load_sweep_config(self._config, overrides)
        with open_dict(config):
            config.hydra.job.id = str(index)
            config.hydra.job.num = index
            # Resolved here: in the job's process it would be another sweep's.
            config.hydra.sweep.dir = str(to_path(str(config.hydra.sweep.dir)).resolve())
        job = config.copy()
        with open_dict(job):
            del job["hydra"]
        return _Plan(index + 1, overrides, config, plain(job))

    def _begin(self, plans: list[_Plan], experiment: Experiment) -> Sweep:
        choices = choices_of([plan.overrides for plan in plans], self.swept)
        names = names_of(choices)
        if self._sweep is None:
            folder = to_path(str(plans[0].config.hydra.sweep.dir))
            (folder / "logs").mkdir(parents=True, exist_ok=True)
            console = make_console()
            self._sweep = Sweep(
                folder, experiment, console, stop=self._on_error == "stop", earlier=self.earlier
            )
            at_once = f", {self.n_jobs} at a time" if self.n_jobs > 1 else ""
            console.print(f"sweep of {count(len(plans), 'run')}{at_once}: {folder}", soft_wrap=True)
        self._sweep.expect(
            [
                JobResult(
                    plan.number, name, choice, plan.overrides, "not started", "new",
                    None, None, None, "", None,
                )
                for plan, name, choice in zip(plans, names, choices, strict=True)
            ]
        )  # fmt: skip
        if self._sweep.parent_run_id is None:
            self._sweep.begin_view()
        return self._sweep

    def _call(self, plan: _Plan, sweep: Sweep) -> Call:
        job = Job(sweep.results[plan.number].name, sweep.folder.name, sweep.parent_run_id)
        work = _HydraJob(
            self._context, self._task, plan.config, plan.values, Singleton.get_state(), job
        )
        return Call(plan.number, work, sweep.log(plan.number))


@dataclass
class _Plan:
    """A job to come: its number, its overrides, its configuration with and without Hydra's."""

    number: int
    overrides: list[str]
    config: DictConfig
    values: dict[str, Any]


@dataclass
class _HydraJob:
    """What a job's process does."""

    context: HydraContext
    task: Callable[..., Any]
    config: DictConfig
    values: dict[str, Any]
    state: Any
    job: Job

    def prepare(self) -> None:
        from srexp.training.materials import gather

        setup_globals()
        prepare_hydra()
        experiment = experiment_of(source_of(self.values)[1])
        self.job = replace(self.job, materials=gather(experiment))

    def __call__(self, tell: Any, asked_to_stop: Any) -> Any:
        setup_globals()
        prepare_hydra()
        Singleton.set_state(self.state)
        job = replace(self.job, tell=tell, asked_to_stop=asked_to_stop)
        done = run_job(
            hydra_context=self.context,
            task_function=partial(self.task, job=job),
            config=self.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        return done.return_value  # or raises what the task raised


def _checked(plans: list[_Plan]) -> tuple[list[Experiment], list[str]]:
    """The jobs' experiments, once all of them are known to work, and remarks on their images."""
    experiments, seen, remarks = [], set(), dict[str, None]()
    for plan in plans:
        values = plan.values
        try:
            if values.get("resume") is not None:
                raise OptionError(f"resume={values['resume']}: goes on with one run, without -m")
            experiment = experiment_of(source_of(values)[1])
            images = json.dumps([values["data"], values.get("benchmark")], default=str)
            if images not in seen:  # read, and forgotten: a job's process reads its own
                with preparing(make_console()) as progress:
                    remarks |= dict.fromkeys(_remarks(experiment, progress))
            seen.add(images)
        except OptionError as error:
            raise OptionError(f"{error} (in the job {' '.join(plan.overrides)})") from None
        experiments.append(experiment)
    return experiments, list(remarks)


def _remarks(experiment: Experiment, progress: Progress) -> Iterator[str]:
    """Of the images of an experiment; what is large is in the cache from then on."""
    with caching(cache_of(experiment.paths.data_dir, progress)):
        for part in experiment.data.load():
            yield from part.remarks
        for name, option in experiment.benchmark.items():
            yield from option.load(name).remarks


def _job_return(plan: _Plan) -> JobReturn:
    """Of a job that gave nothing yet."""
    with open_dict(plan.config):
        hydra = plan.config.pop("hydra")
    done = JobReturn(plan.overrides, plan.config, OmegaConf.create({"hydra": hydra}))
    done.working_dir, done.task_name = str(Path.cwd()), "train"
    done.status, done.return_value = JobStatus.COMPLETED, None
    return done


def _returned(plan: _Plan, sweep: Sweep) -> JobReturn:
    job = sweep.results[plan.number]
    done = _job_return(plan)
    done.return_value = job.gain
    if plan.number in sweep.failed:
        done.status, done.return_value = JobStatus.FAILED, CommandFailed(job.note, 1)
    return done
