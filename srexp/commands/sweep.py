"""A multirun as one MLflow parent with child runs named by what was swept."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from srexp.commands.exit import CommandFailed, CommandInterrupted
from srexp.config.settings import experiment_of
from srexp.options import OptionError
from srexp.tracking.record import remember_store, write_json


def job_names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """What sets each job apart: `depth=3 act=relu`; short keys where they are unambiguous."""
    common = set(jobs[0]).intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    swept = [[override for override in job if override not in common] for job in jobs]
    keys = {override.split("=", 1)[0] for job in swept for override in job}
    last = [key.rsplit(".", 1)[-1] for key in keys]
    short = {key: key.rsplit(".", 1)[-1] for key in keys}
    return [
        " ".join(
            f"{short[key] if last.count(short[key]) == 1 else key}={value}"
            for key, value in (override.split("=", 1) for override in job if "=" in override)
        )
        or "all defaults"
        for job in swept
    ]


class Sweep:
    """Around the jobs of one launch: the parent run, the children's names, the summary."""

    def __init__(self, folder: Path, names: dict[str, str]) -> None:
        self.folder = folder
        self.names = names
        self.rows: list[tuple[str, str]] = []
        self.failures: list[tuple[str, Exception]] = []
        self.parent_run_id: str | None = None
        self._client: Any = None

    @classmethod
    def begin(
        cls, config: DictConfig, jobs: Sequence[Sequence[str]], values: dict[str, Any]
    ) -> Sweep:
        """Args:
        config: Hydra's, of the sweep.
        jobs: Overrides of each job.
        values: The composed configuration of the first job, for where to track.
        """
        names = {" ".join(job): name for job, name in zip(jobs, job_names(jobs), strict=True)}
        sweep = cls(Path(str(config.hydra.sweep.dir)).resolve(), names)
        sweep._start_parent(values, jobs)
        print(f"sweep of {len(jobs)} runs: {sweep.folder}")
        return sweep

    def __enter__(self) -> Sweep:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        from rich.table import Table

        from srexp.commands.console import make_console

        table = Table(title=f"sweep {self.folder.name}", title_justify="left")
        table.add_column("job")
        table.add_column("gain over bicubic in dB", justify="right")
        for name, result in self.rows:
            table.add_row(name, result)
        make_console().print(table)
        write_json(self.folder / "sweep.json", {"jobs": self.rows, "mlflow": self.parent_run_id})
        if self._client is not None:
            status = "KILLED" if kind else "FAILED" if self.failures else "FINISHED"
            try:
                for suffix in ("sweep.json", "multirun.yaml"):
                    self._client.log_artifact(self.parent_run_id, str(self.folder / suffix))
                self._client.set_terminated(self.parent_run_id, status)
            except Exception as error:  # MLflow must never hurt what was trained
                print(f"note: MLflow did not take the sweep's summary ({error})", file=sys.stderr)

    def run(self, task: Callable[..., Any], config: DictConfig) -> Any:
        """Run one job as a child."""
        from srexp.commands.train import Job

        name = self.names[" ".join(HydraConfig.get().overrides.task)]
        print(f"\njob {len(self.rows) + 1} of {len(self.names)}: {name}")
        try:
            gain = task(config, Job(name, self.parent_run_id, self.folder.name))
        except CommandInterrupted:
            self.rows.append((name, "stopped"))
            raise
        except Exception as error:
            # The others go on. Hydra would say it only after the last of them.
            self.failures.append((name, error))
            self.rows.append((name, "failed"))
            print(f"srexp: job {name}: {error}", file=sys.stderr)
            if not isinstance(error, (OptionError, CommandFailed)):
                traceback.print_exception(error)
            return None
        self.rows.append((name, "dry run" if gain is None else f"{gain:+.3f}"))
        return gain

    def _start_parent(self, values: dict[str, Any], jobs: Sequence[Sequence[str]]) -> None:
        from srexp.tracking.options import MlflowTracking

        experiment = experiment_of(values)
        tracking = experiment.tracking
        if not isinstance(tracking, MlflowTracking) or experiment.trainer.dry_run:
            return
        from srexp.tracking.mlflow_view import Target, create_run, quiet_client

        target = Target(
            uri=tracking.resolved_uri(experiment.paths.output_dir),
            experiment=tracking.experiment,
            artifact_root=experiment.paths.output_dir / "mlartifacts",
            run_name=f"sweep {time.strftime('%Y-%m-%d %H:%M')}: {len(jobs)} runs",
            timeout_seconds=tracking.timeout_seconds,
            tags={"srexp.sweep": self.folder.name, "srexp.jobs": str(len(jobs))},
        )
        try:
            self._client = quiet_client(target)
            _, self.parent_run_id = create_run(self._client, target)
            remember_store(target.uri)
        except Exception as error:
            self._client = None
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            print(f"note: no parent run in MLflow at {target.uri} ({first_line})", file=sys.stderr)
