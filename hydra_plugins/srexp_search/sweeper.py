"""Hydra's side of the search: its override grammar, its launchers.

Every Hydra program on the machine imports this module when it starts, so Optuna and srexp are
imported when a search begins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_plugins.srexp_launcher.launcher import SrexpLauncher

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

    from srexp.sweeps.search import Search


class SrexpSearch(Sweeper):
    """Asks Optuna what to try, has the launcher train it, tells Optuna the gain.

    A launcher with an attribute `n_jobs` gets so many jobs at once. One with an attribute
    `on_evaluated` is given `on_evaluated(job, step, psnr) -> bool`, to be called with the job's
    place in the batch whenever it was scored on the validation images; where that returns True the
    launcher stops the job and returns None for it.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.launcher: Launcher | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Keep what Hydra gives, make the launcher."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Search until `n_trials` are done.

        Args:
            arguments: Overrides as typed, those with several values among them.

        Raises:
            OptionError: What was typed cannot work; nothing was made.
            CommandFailed: No trial gave a result.
        """
        from srexp.config.settings import typed_option
        from srexp.options import OptionError
        from srexp.paths import to_path
        from srexp.sweeps.search import Search, SearchOptions

        settings = OmegaConf.to_container(OmegaConf.create(self.settings), resolve=True)
        assert isinstance(settings, dict)
        params = settings.pop("params") or {}
        values = {str(key): value for key, value in settings.items()}
        options = typed_option(SearchOptions, values, "hydra.sweeper")
        space, fixed = self._read([f"{key}={value}" for key, value in params.items()] + arguments)
        if not space:
            raise OptionError(
                "hydra/sweeper=srexp_optuna: nothing to search; give several values, as in "
                "model.depth=3,5 or 'optimizer.learning_rate=tag(log, interval(1e-4, 1e-2))'"
            )
        configuration = self._check(space, fixed)
        assert self.config is not None
        folder = to_path(str(self.config.hydra.sweep.dir)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        search = Search(options, space, folder, fixed=fixed, configuration=configuration)
        if options.pruner != "none" and not hasattr(self.launcher, "on_evaluated"):
            print(
                "note: this launcher cannot stop hopeless runs; all of them are trained to the end"
            )
        self._search(search, fixed)
        self._report(search, folder)

    def _read(self, arguments: Sequence[str]) -> tuple[dict[str, BaseDistribution], list[str]]:
        """What to search, and the overrides that all jobs share; the last of a key counts."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = {o.get_key_element(): o for o in parser.parse_overrides(list(arguments))}
        space = {k: distribution(o) for k, o in overrides.items() if o.is_sweep_override()}
        fixed = [str(o.input_line) for o in overrides.values() if not o.is_sweep_override()]
        return space, fixed

    def _check(self, space: dict[str, BaseDistribution], fixed: list[str]) -> str:
        """Compose the two ends of what is searched: if neither works, the command is wrong.

        So it is where a group of one choice is to take a list.

        Returns:
            A digest of the first end: of all that the files say beside what is searched.
        """
        from optuna.distributions import CategoricalDistribution

        from srexp.config.identity import config_digest
        from srexp.options import OptionError
        from srexp.sweeps.search import corners

        first, _ = corners(space)
        for key, among in space.items():
            for value in among.choices if isinstance(among, CategoricalDistribution) else ():
                if "." not in key and str(value).startswith("["):
                    self._checked([*fixed, *typed({**first, key: value})])
        errors, digests = [], []
        for corner in corners(space):
            try:
                digests.append(config_digest(self._checked([*fixed, *typed(corner)])))
            except OptionError as error:
                errors.append(error)
        if not digests:
            raise errors[0]
        return digests[0]

    def _checked(self, overrides: list[str]) -> dict[str, Any]:
        from srexp.config.settings import experiment_of, plain
        from srexp.options import OptionError

        assert self.config is not None and self.hydra_context is not None
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        with open_dict(config):
            del config["hydra"]
        values = plain(config)
        for key, why in (("resume", "goes on with one run"), ("trainer.dry_run", "has no result")):
            value = OmegaConf.select(config, key)
            if value:
                raise OptionError(f"{key}={value}: {why}, a search needs new ones")
        experiment_of(values)
        return values

    def _search(self, search: Search, fixed: list[str]) -> None:
        assert self.config is not None
        n_jobs = _n_jobs(self.launcher, self.config)
        if isinstance(self.launcher, SrexpLauncher):
            trials = search.study.get_trials(deepcopy=False)
            known = {trial.number: [*fixed, *typed(trial.params)] for trial in trials}
            self.launcher.begin_search(list(search.space), known)
        while asked := search.ask(n_jobs):
            try:
                possible = [trial for trial in asked if self._possible(search, trial, fixed)]
                if possible:
                    self._launch(search, possible, fixed)
            except BaseException:
                search.abandon(asked)
                raise

    def _possible(self, search: Search, trial: Trial, fixed: list[str]) -> bool:
        """Some values may not go together: such a trial has failed, the search goes on."""
        from srexp.options import OptionError

        try:
            self._checked([*fixed, *typed(trial.params)])
        except OptionError as error:
            print(f"trial {trial.number}: {error} ({' '.join(typed(trial.params))})")
            search.fail(trial)
            return False
        return True

    def _launch(self, search: Search, trials: list[Trial], fixed: list[str]) -> None:
        assert self.launcher is not None
        if hasattr(self.launcher, "on_evaluated"):
            self.launcher.on_evaluated = lambda job, step, psnr: search.evaluated(
                trials[job], step, psnr
            )
        batch = [[*fixed, *typed(trial.params)] for trial in trials]
        returns: Sequence[JobReturn] = self.launcher.launch(batch, initial_job_idx=trials[0].number)
        for trial, job in zip(trials, returns, strict=True):
            if job.status is not JobStatus.COMPLETED:
                search.fail(trial)
            else:
                search.tell(trial, job.return_value)

    def _report(self, search: Search, folder: Path) -> None:
        from srexp.terminal.exit import CommandFailed
        from srexp.tracking.record import write_json
        from srexp.words import beside_bicubic, count

        summary = search.summary()
        write_json(folder / "search.json", summary)
        if isinstance(self.launcher, SrexpLauncher):
            self.launcher.jobs.summarise()
        best, importances = summary["best"], summary["importances"]
        print(
            f"\nsearch {folder.name}: {count(summary['finished'], 'trial')} finished, "
            f"{summary['pruned']} stopped as hopeless, {summary['failed']} failed"
        )
        if best is None:
            raise CommandFailed(f"no trial gave a result; see {folder / 'search.json'}", 1)
        print(f"best: {beside_bicubic(best['value'], 3)}, trial {best['trial']}")
        print(f"    {' '.join(typed(best['params']))}")
        if importances:
            print("share of the variance that each explains (fANOVA):")
            for name, share in importances.items():
                print(f"    {share:6.1%}  {name}")
        print(f"all trials: {folder / 'search.json'}")


def distribution(override: Override) -> BaseDistribution:
    """Optuna's distribution of one override with several values.

    Raises:
        OptionError: It has no such form.
    """
    from srexp.options import OptionError
    from srexp.sweeps.search import among, between, stepped

    sweep = override.value()
    tags = set(getattr(sweep, "tags", ()))
    try:
        if tags - {"log"}:
            raise OptionError(f"tag({', '.join(sorted(tags))}): the only tag is log")
        if isinstance(sweep, IntervalSweep):
            assert sweep.start is not None and sweep.end is not None
            return between(sweep.start, sweep.end, log="log" in tags)
        if isinstance(sweep, RangeSweep):
            return stepped(list(sweep.range()), log="log" in tags)
        if tags:
            raise OptionError("tag(log, ...) goes with an interval or a range")
        return among(override.sweep_string_iterator())
    except OptionError as error:
        raise OptionError(f"{override.input_line}: {error}") from None


def typed(params: dict[str, Any]) -> list[str]:
    """Parameters as overrides; 12 digits of a float, which 0.1 + 0.2 needs to be 0.3."""
    return [
        f"{key}={value:.12g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in params.items()
    ]


def _n_jobs(launcher: Any, config: DictConfig) -> int:
    """Jobs at once: the launcher's own word, else its configuration; as joblib, -1 is all cores."""
    wanted = getattr(launcher, "n_jobs", None) or config.hydra.launcher.get("n_jobs") or 1
    return int(wanted) if int(wanted) > 0 else os.cpu_count() or 1
