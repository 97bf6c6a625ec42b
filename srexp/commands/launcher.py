"""Hydra's launcher, with every job checked before the first starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, setup_globals
from omegaconf import open_dict

from srexp.commands.exit import CommandFailed
from srexp.config.settings import experiment_of, plain
from srexp.options import OptionError


class CheckedLauncher(BasicLauncher):
    """Runs jobs one after the other in this process, as Hydra's basic launcher does."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Check all jobs, then run them."""
        from srexp.commands.sweep import Sweep

        setup_globals()
        assert self.config is not None and self.task_function is not None
        try:
            checked = [self._checked(overrides) for overrides in job_overrides]
        except BaseException:
            if initial_job_idx == 0:
                _remove_empty_sweep(Path(str(self.config.hydra.sweep.dir)))
            raise
        guard = self.task_function
        with Sweep.begin(self.config, job_overrides, checked[0]) as sweep:
            self.task_function = partial(sweep.run, guard.task)  # type: ignore[attr-defined]
            try:
                returns = super().launch(job_overrides, initial_job_idx)
            finally:
                self.task_function = guard
        if sweep.failures:
            name, failure = sweep.failures[0]
            raise CommandFailed(
                f"{len(sweep.failures)} of {len(job_overrides)} jobs failed; first {name}: {failure}",
                1,
            )
        return returns

    def _checked(self, overrides: Sequence[str]) -> dict[str, Any]:
        assert self.config is not None and self.hydra_context is not None
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            del config["hydra"]
        try:
            values = plain(config)
            experiment_of(values)
        except OptionError as error:
            raise OptionError(f"{error} (in the job {' '.join(overrides)})") from None
        return values


def _remove_empty_sweep(folder: Path) -> None:
    """Hydra made the folder before we could check the jobs; nothing has run in it."""
    shutil.rmtree(folder, ignore_errors=True)
    for parent in (folder.parent, folder.parent.parent):
        if not parent.is_dir() or any(parent.iterdir()):
            return
        parent.rmdir()
