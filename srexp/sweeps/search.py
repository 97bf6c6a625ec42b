"""A search by Optuna's ask and tell: it can be killed and taken up, and stops hopeless runs.

The study lies in a journal, a file to which every change is appended. It needs no database, bears
several processes and shared file systems, and a process killed between two lines leaves it whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srexp.options import OptionError, Options, bounded, choice
from srexp.paths import checked
from srexp.tracking.record import is_alive, this_process

try:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
        distribution_to_json,
    )
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
    from optuna.trial import FrozenTrial, Trial, TrialState
except ModuleNotFoundError as error:
    if error.name != "optuna":
        raise
    raise OptionError(
        "hydra/sweeper=srexp_optuna: needs Optuna: pip install 'srexp[search]'"
    ) from None

# Fewer finished trials than this say nothing about which parameter matters.
_IMPORTANCE_TRIALS = 4


@dataclass(kw_only=True)
class SearchOptions(Options, name="srexp_optuna"):
    """How to search; the keys of `hydra.sweeper`."""

    n_trials: int = bounded(1)
    sampler: str = choice("tpe", "random")
    seed: int = bounded(0, 2**32 - 1)
    pruner: str = choice("median", "none")
    n_startup_trials: int = bounded(0)
    warmup_steps: int = bounded(0)
    storage: str | None
    study_name: str


def among(values: Iterable[str]) -> BaseDistribution:
    """One of the values, as they would be typed."""
    return CategoricalDistribution(tuple(dict.fromkeys(values)))


def stepped(values: Sequence[float], *, log: bool) -> BaseDistribution:
    """One of evenly spaced numbers, both ends included.

    Raises:
        OptionError: There are none, or a logarithmic scale of steps other than 1.
    """
    if not values:
        raise OptionError("the range is empty")
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    # 0.3 - 0.2 is 0.09999999999999998: not the step that was meant.
    step = float(f"{(high - low) / max(len(ordered) - 1, 1):.12g}") or 1.0
    if log and (step != 1 or not isinstance(low, int)):
        raise OptionError("a logarithmic range has whole numbers and steps of 1; use an interval")
    _check_log(low, log)
    if all(isinstance(value, int) for value in values):
        return IntDistribution(int(low), int(high), log, int(step))
    return FloatDistribution(low, high, step=step)


def between(low: float, high: float, *, log: bool) -> BaseDistribution:
    """A number from `low` to `high`, both included; a whole one if both are.

    Raises:
        OptionError: `low` is above `high`, or not positive on a logarithmic scale.
    """
    if not low <= high:
        raise OptionError(f"{low:g} is above {high:g}")
    _check_log(low, log)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log)
    return FloatDistribution(low, high, log)


def _check_log(low: float, log: bool) -> None:
    if log and low <= 0:
        raise OptionError(f"a logarithmic scale begins above 0, not at {low:g}")


def corners(space: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """The first and the last value of everything."""
    first, last = {}, {}
    for name, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            first[name], last[name] = distribution.choices[0], distribution.choices[-1]
        elif isinstance(distribution, (IntDistribution, FloatDistribution)):
            first[name], last[name] = distribution.low, distribution.high
    return [first, last]


class Search:
    """One study, driven batch by batch: `ask`, `evaluated` while it runs, then `tell` or `fail`.

    Several processes may drive the same study; together they may then run a few trials more than
    were asked for.

    Attributes:
        study: Optuna's.
        space: Parameter -> distribution.
    """

    def __init__(
        self,
        options: SearchOptions,
        space: Mapping[str, BaseDistribution],
        folder: Path,
        *,
        fixed: Sequence[str] = (),
        configuration: str = "",
    ) -> None:
        """Open the study, or begin it.

        Args:
            options: How to search.
            space: What to search.
            folder: Holds the study, unless `options.storage` names another place.
            fixed: What all trials share; a study goes on with these alone.
            configuration: Stands for what files say of all trials; likewise.

        Raises:
            OptionError: The storage cannot be used, or holds another search under this name.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.options = options
        self.space = dict(space)
        self._hopeless: set[int] = set()
        storage = options.storage or str(folder / "study.journal")
        try:
            self.study = optuna.create_study(
                storage=_storage(storage),
                study_name=options.study_name,
                direction="maximize",
                sampler=_sampler(options, 0),
                pruner=_pruner(options),
                load_if_exists=True,
            )
            self._same_search(fixed, configuration)
        except OptionError:
            raise
        except Exception as error:  # of a file, a database, its driver, or Optuna
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise OptionError(
                f"hydra.sweeper.storage={storage}: cannot be used ({what})"
            ) from error

    def ask(self, at_most: int) -> list[Trial]:
        """The next trials; none when `n_trials` are done.

        What a killed process left behind comes first, with the very same parameters.
        """
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            process = trial.user_attrs.get("process")
            if process is not None and is_alive(process) is False:
                self._again(trial)
        left = self.options.n_trials - self._taken()
        return [self._ask() for _ in range(min(at_most, left))]

    def evaluated(self, trial: Trial, step: int, psnr: float) -> bool:
        """Note an intermediate result; whether the trial is hopeless and should stop."""
        trial.report(psnr, step)
        if trial.should_prune():
            self._hopeless.add(trial.number)
        return trial.number in self._hopeless

    def tell(self, trial: Trial, value: float | None) -> TrialState:
        """How a trial ended: a number, or None for one that was stopped as hopeless.

        No number for any other reason, and one that is not finite, is a failure.
        """
        if value is not None and math.isfinite(value):
            return self._end(trial, TrialState.COMPLETE, value)
        hopeless = value is None and trial.number in self._hopeless
        return self._end(trial, TrialState.PRUNED if hopeless else TrialState.FAIL)

    def fail(self, trial: Trial) -> TrialState:
        """A trial that broke."""
        return self._end(trial, TrialState.FAIL)

    def abandon(self, trials: Iterable[Trial]) -> None:
        """Trials that were cut off, not finished: they come first when the search goes on."""
        numbers = {trial.number for trial in trials}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.number in numbers:
                self._again(trial)

    def summary(self) -> dict[str, Any]:
        """Best value and parameters, counts, importances, all trials: plain data."""
        trials = self.study.get_trials(deepcopy=False)
        repeated = _repeated(trials)
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
        counts = {
            "finished": len(complete),
            "pruned": sum(trial.state is TrialState.PRUNED for trial in trials),
            "failed": sum(
                trial.state is TrialState.FAIL and trial.number not in repeated for trial in trials
            ),
        }
        return {
            "study": self.study.study_name,
            "best": best and {"trial": best.number, "value": best.value, "params": best.params},
            **counts,
            "importances": self._importances([trial.value for trial in complete]),
            "trials": [_plain(trial, repeated) for trial in trials],
        }

    def _importances(self, values: list[float | None]) -> dict[str, float] | None:
        if len(values) < _IMPORTANCE_TRIALS or len(set(values)) == 1 or len(self.space) < 2:
            return None
        # fANOVA (Hutter et al., ICML 2014): the share of the variance that a parameter explains.
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.options.seed)
        return dict(optuna.importance.get_param_importances(self.study, evaluator=evaluator))

    def _ask(self) -> Trial:
        trial = self.study.ask()
        trial.set_user_attr("process", this_process())
        # Seeded by the trial, not once a process: a search that is taken up would otherwise draw
        # its first random points once more.
        self.study.sampler = _sampler(self.options, trial.number)
        for name, distribution in self.space.items():
            _suggest(trial, name, distribution)
        return trial

    def _end(self, trial: Trial, state: TrialState, value: float | None = None) -> TrialState:
        self.study.tell(trial, value, state)
        return state

    def _again(self, trial: FrozenTrial) -> None:
        """Queue the same parameters, then end what was cut off. In this order nothing is lost."""
        if trial.number not in _repeated(self.study.get_trials(deepcopy=False)):
            given = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
            self.study.enqueue_trial(given, user_attrs={"repeats": trial.number})
        try:
            self.study.tell(trial.number, state=TrialState.FAIL)
        except (RuntimeError, ValueError):  # another process was faster
            pass

    def _taken(self) -> int:
        """Trials that count: finished ones, and those that a living process is busy with."""
        trials = self.study.get_trials(deepcopy=False)
        repeated = _repeated(trials)
        return sum(
            bool(is_alive(trial.user_attrs.get("process", {})))
            if trial.state is TrialState.RUNNING
            else trial.state is not TrialState.WAITING and trial.number not in repeated
            for trial in trials
        )

    def _same_search(self, fixed: Sequence[str], configuration: str) -> None:
        now = {
            "space": {name: distribution_to_json(self.space[name]) for name in sorted(self.space)},
            "fixed": sorted(fixed),
            "configuration": configuration,
        }
        before = self.study.user_attrs.get("search")
        if before is None:
            self.study.set_user_attr("search", now)
        elif before != {key: now.get(key) for key in before}:  # an older one notes less
            raise OptionError(
                f"hydra.sweeper.study_name={self.study.study_name}: its storage holds a search of "
                "that name over other values, or with other overrides, files or code; choose "
                "another name"
            )


def _storage(place: str) -> Any:
    if "://" in place:
        return place
    path = checked("hydra.sweeper.storage", place)
    lock = JournalFileOpenLock(str(path))
    if path.exists():
        _mend(path, lock)
    return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock))


def _mend(path: Path, lock: JournalFileOpenLock) -> None:
    """Drop a last line that a full disk or a power cut left unfinished."""
    lock.acquire()
    try:
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _pruner(options: SearchOptions) -> optuna.pruners.BasePruner:
    if options.pruner == "none":
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(
        n_startup_trials=options.n_startup_trials, n_warmup_steps=options.warmup_steps
    )


def _sampler(options: SearchOptions, number: int) -> optuna.samplers.BaseSampler:
    seed = int(np.random.SeedSequence([options.seed, number]).generate_state(1)[0])
    if options.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    # Each parameter by itself: the sampler's seed is set when the trial has its number, and
    # multivariate sampling would be over by then.
    return optuna.samplers.TPESampler(seed=seed, multivariate=False)


def _suggest(trial: Trial, name: str, distribution: BaseDistribution) -> None:
    d = distribution
    if isinstance(d, CategoricalDistribution):
        trial.suggest_categorical(name, d.choices)
    elif isinstance(d, IntDistribution):
        trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
    elif isinstance(d, FloatDistribution):
        trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)


def _repeated(trials: Iterable[FrozenTrial]) -> set[int]:
    """Numbers of the trials that were cut off and queued again."""
    return {trial.user_attrs["repeats"] for trial in trials if "repeats" in trial.user_attrs}


def _plain(trial: FrozenTrial, repeated: set[int]) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": "INTERRUPTED" if trial.number in repeated else trial.state.name,
        "value": trial.value if trial.state is TrialState.COMPLETE else None,
        "params": trial.params,
        "psnr": {str(step): psnr for step, psnr in trial.intermediate_values.items()},
    }
