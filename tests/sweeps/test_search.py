"""The search: what is asked, told, stopped, killed and taken up, with Optuna and real storage."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from tests_environment import command_environment

from hydra_plugins.srexp_search.sweeper import SrexpSearch, distribution, typed
from srexp.options import OptionError
from srexp.sweeps.search import Search, SearchOptions, among, between

DEFAULTS: dict[str, Any] = {
    "n_trials": 20,
    "sampler": "tpe",
    "seed": 0,
    "pruner": "none",
    "n_startup_trials": 3,
    "warmup_steps": 0,
    "storage": None,
    "study_name": "s",
}
SPACE = {
    "x": between(-1.0, 1.0, log=False),
    "y": between(-1.0, 1.0, log=False),
    "act": among(["relu", "prelu"]),
}


def options(**changes: Any) -> SearchOptions:
    return SearchOptions(**{**DEFAULTS, **changes})


def run(search: Search, objective: Callable[[dict[str, Any]], float | None]) -> None:
    while trials := search.ask(2):
        for trial in trials:
            search.tell(trial, objective(trial.params))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("act=relu,prelu", CategoricalDistribution(("relu", "prelu"))),
        ("act=choice(relu,prelu)", CategoricalDistribution(("relu", "prelu"))),
        ("act=shuffle(relu,relu)", CategoricalDistribution(("relu",))),
        ("+data.dir='a b',null", CategoricalDistribution(("'a b'", "null"))),
        ("benchmark=[set5],[set5,set14]", CategoricalDistribution(("[set5]", "[set5,set14]"))),
        # As Hydra has it, a range ends before its stop.
        ("model.depth=range(3,9,2)", IntDistribution(3, 7, step=2)),
        ("model.depth=range(3,10,2)", IntDistribution(3, 9, step=2)),
        ("model.depth=range(9,3,-2)", IntDistribution(5, 9, step=2)),
        ("model.depth=shuffle(range(3,6))", IntDistribution(3, 5)),
        ("model.depth=range(3,4)", IntDistribution(3, 3)),
        ("model.depth=tag(log,range(1,65))", IntDistribution(1, 64, log=True)),
        ("trainer.ema=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("x=interval(0,1.5)", FloatDistribution(0.0, 1.5)),
        ("x=interval(2,8)", FloatDistribution(2.0, 8.0)),  # Hydra's grammar makes it floats
        ("x=int(interval(2,8))", IntDistribution(2, 8)),
        ("lr=tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("x=tag(log,int(interval(4,64)))", IntDistribution(4, 64, log=True)),
    ],
)
def test_every_kind_of_override(override: str, expected: BaseDistribution) -> None:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    assert distribution(parsed) == expected


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("x=interval(2,1)", "x=interval(2,1): 2 is above 1"),
        ("x=tag(log,interval(0,1))", "begins above 0, not at 0"),
        ("x=tag(log,range(1,9,2))", "use an interval"),
        ("x=tag(log,choice(1,2))", "goes with an interval or a range"),
        ("x=tag(exp,interval(1,2))", "the only tag is log"),
        ("x=range(3,3)", "the range is empty"),
    ],
)
def test_overrides_that_cannot_be_searched(override: str, told: str) -> None:
    (parsed,) = OverridesParser.create().parse_overrides([override])
    with pytest.raises(OptionError) as error:
        distribution(parsed)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "change",
    [{"sampler": "cmaes"}, {"pruner": "hyperband"}, {"n_trials": 0}, {"warmup_steps": -1}],
)
def test_options_out_of_range(change: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(change))):
        options(**change)


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_values_lie_in_the_space_on_its_steps(sampler: str, tmp_path: Path) -> None:
    space = {
        "ema": FloatDistribution(0.1, 0.4, step=0.1),
        "depth": IntDistribution(3, 7, step=2),
        "lr": FloatDistribution(1e-4, 1e-2, log=True),
    }
    search = Search(options(sampler=sampler, n_trials=25), space, tmp_path)
    run(search, lambda params: params["depth"])
    tried = [trial.params for trial in search.study.trials]
    assert {params["depth"] for params in tried} == {3, 5, 7}
    emas = {typed({"ema": params["ema"]})[0] for params in tried}
    assert emas == {"ema=0.1", "ema=0.2", "ema=0.3", "ema=0.4"}  # not 0.30000000000000004
    assert all(1e-4 <= params["lr"] <= 1e-2 for params in tried)
    if sampler == "random":  # as many below the geometric mean as above it, give or take
        assert 6 <= sum(params["lr"] < 1e-3 for params in tried) <= 19


def test_finds_the_maximum_of_a_parabola_better_than_chance(tmp_path: Path) -> None:
    def best(sampler: str) -> float:
        found = []
        for seed in range(5):
            folder = tmp_path / f"{sampler}{seed}"
            folder.mkdir()
            search = Search(options(sampler=sampler, seed=seed, n_trials=30), SPACE, folder)
            run(search, lambda p: -((p["x"] - 0.3) ** 2) - (p["y"] + 0.5) ** 2)
            found.append(search.summary()["best"]["value"])
        return sum(found) / len(found)

    assert best("random") < best("tpe") < 0


def test_same_seed_same_trials_even_if_interrupted(tmp_path: Path) -> None:
    def trials(folder: Path, *stops: int) -> list[Any]:
        folder.mkdir()
        for n_trials in stops:
            search = Search(options(n_trials=n_trials), SPACE, folder)
            run(search, lambda params: params["x"])
        return [trial.params for trial in search.study.trials]

    whole = trials(tmp_path / "whole", 16)
    assert trials(tmp_path / "parts", 4, 12, 16) == whole
    assert len({json.dumps(params) for params in whole}) == 16


def test_finished_trials_count(tmp_path: Path) -> None:
    run(Search(options(n_trials=6), SPACE, tmp_path), lambda params: params["x"])
    assert Search(options(n_trials=6), SPACE, tmp_path).ask(2) == []
    assert len(Search(options(n_trials=7), SPACE, tmp_path).ask(2)) == 1


def test_no_number_is_a_failure_and_the_search_goes_on(tmp_path: Path) -> None:
    results = iter([1.0, None, math.nan, math.inf, 2.0, 3.0])
    search = Search(options(n_trials=6), SPACE, tmp_path)
    run(search, lambda params: next(results))
    summary = search.summary()
    assert (summary["finished"], summary["failed"], summary["pruned"]) == (3, 3, 0)
    assert summary["best"]["value"] == 3.0


def test_stops_what_is_hopeless_and_keeps_what_is_not(tmp_path: Path) -> None:
    """Five runs end at 30 dB; of the later ones every other is 5 dB worse from the beginning."""
    search = Search(options(n_trials=15, pruner="median", warmup_steps=20), SPACE, tmp_path)
    stopped_at: dict[int, int | None] = {}
    while trials := search.ask(1):
        (trial,) = trials
        worse = 5.0 if trial.number >= 5 and trial.number % 2 else 0.0
        stopped_at[trial.number] = None
        for step in (10, 20, 30, 40):
            # Those not worse are better by a little each, so none is below the median.
            if search.evaluated(trial, step, 30 + step / 100 + trial.number / 1000 - worse):
                stopped_at[trial.number] = step
                break
        search.tell(trial, None if stopped_at[trial.number] else 1.0)
    hopeless = {number for number in range(15) if number >= 5 and number % 2}
    assert {number for number, step in stopped_at.items() if step} == hopeless
    assert {stopped_at[number] for number in hopeless} == {20}  # not while it warms up
    assert search.summary()["pruned"] == len(hopeless)
    assert search.summary()["failed"] == 0


def test_without_a_pruner_nothing_is_stopped(tmp_path: Path) -> None:
    search = Search(options(n_trials=8, n_startup_trials=0), SPACE, tmp_path)
    while trials := search.ask(1):
        assert not search.evaluated(trials[0], 10, -float(trials[0].number))
        search.tell(trials[0], 0.0)


def test_what_matters_ranks_above_what_does_not(tmp_path: Path) -> None:
    search = Search(options(sampler="random", n_trials=30), SPACE, tmp_path)
    run(search, lambda params: 3 * params["x"] + 0.1 * params["y"])
    importances = search.summary()["importances"]
    assert next(iter(importances)) == "x"
    assert importances["x"] > 0.8
    assert sum(importances.values()) == pytest.approx(1)


def test_no_importance_from_too_little(tmp_path: Path) -> None:
    search = Search(options(n_trials=3), SPACE, tmp_path)
    run(search, lambda params: params["x"])
    assert search.summary()["importances"] is None
    alone = Search(options(n_trials=9, study_name="t"), {"x": SPACE["x"]}, tmp_path)
    run(alone, lambda params: params["x"])
    assert alone.summary()["importances"] is None


def test_nothing_matters_where_all_results_are_equal(tmp_path: Path) -> None:
    search = Search(options(n_trials=6), SPACE, tmp_path)
    run(search, lambda params: 1.0)
    assert search.summary()["importances"] is None


# A process that finishes three trials, says what it tries as the fourth, and hangs there.
HANGS = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {here!r})
from test_search import SPACE, options
from srexp.sweeps.search import Search
search = Search(options(n_trials={n_trials}), SPACE, Path({folder!r}))
for number in range(3):
    (trial,) = search.ask(1)
    search.tell(trial, float(number))
trials = search.ask(2)
print(json.dumps([trial.params for trial in trials]), flush=True)
time.sleep(600)
"""


def started(folder: Path, n_trials: int) -> subprocess.Popen[str]:
    code = HANGS.format(here=str(Path(__file__).parent), folder=str(folder), n_trials=n_trials)
    environment = command_environment(folder)
    tests = str(Path(__file__).parents[1])
    environment["PYTHONPATH"] = os.pathsep.join([tests, environment["PYTHONPATH"]])
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )


def hanging(folder: Path) -> tuple[subprocess.Popen[str], list[dict[str, Any]]]:
    process = started(folder, 6)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_killed_in_the_middle_of_trials_and_taken_up(tmp_path: Path) -> None:
    process, lost = hanging(tmp_path)
    with process:
        os.kill(process.pid, signal.SIGKILL)
    search = Search(options(n_trials=6), SPACE, tmp_path)
    again = search.ask(2)
    assert [trial.params for trial in again] == lost
    for trial in again:
        search.tell(trial, 1.0)
    run(search, lambda params: 0.0)
    summary = search.summary()
    assert (summary["finished"], summary["failed"]) == (6, 0)
    states = [trial["state"] for trial in summary["trials"]]
    assert states == ["COMPLETE"] * 3 + ["INTERRUPTED"] * 2 + ["COMPLETE"] * 3
    assert Search(options(n_trials=6), SPACE, tmp_path).ask(9) == []


def test_killed_twice_over_the_same_trials(tmp_path: Path) -> None:
    process, lost = hanging(tmp_path)
    with process:
        os.kill(process.pid, signal.SIGKILL)
    search = Search(options(n_trials=6), SPACE, tmp_path)
    search.abandon(search.ask(2))
    again = Search(options(n_trials=6), SPACE, tmp_path).ask(9)
    assert [trial.params for trial in again[:2]] == lost
    assert len(again) == 3


def test_a_living_process_keeps_its_trials(tmp_path: Path) -> None:
    process, held = hanging(tmp_path)
    with process:
        try:
            search = Search(options(n_trials=6), SPACE, tmp_path)
            (mine,) = search.ask(9)  # of six, three are done and two in its hands
            assert mine.params not in held
        finally:
            process.kill()


def test_two_processes_begin_at_once(tmp_path: Path) -> None:
    both = [started(tmp_path, 20) for _ in range(2)]
    for process in both:
        assert process.stdout is not None and len(json.loads(process.stdout.readline())) == 2
    for process in both:
        with process:
            process.kill()
    trials = Search(options(), SPACE, tmp_path).study.trials
    assert [trial.number for trial in trials] == list(range(10))
    assert len({json.dumps(trial.params) for trial in trials}) == len(trials)


def test_interrupted_in_this_process(tmp_path: Path) -> None:
    search = Search(options(n_trials=2), SPACE, tmp_path)
    trials = search.ask(2)
    search.tell(trials[0], 1.0)
    search.abandon(trials)
    (again,) = search.ask(2)
    assert again.params == trials[1].params


def test_half_a_line_at_the_end_is_dropped(tmp_path: Path) -> None:
    run(Search(options(n_trials=4), SPACE, tmp_path), lambda params: params["x"])
    journal = tmp_path / "study.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"wor')
    run(Search(options(n_trials=6), SPACE, tmp_path), lambda params: params["x"])
    assert journal.read_bytes().startswith(whole)
    assert Search(options(n_trials=6), SPACE, tmp_path).summary()["finished"] == 6


def test_sqlite_as_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    run(Search(options(n_trials=3, storage=url), SPACE, tmp_path), lambda params: params["x"])
    search = Search(options(n_trials=3, storage=url), SPACE, tmp_path)
    assert search.summary()["finished"] == 3 and search.ask(1) == []


@pytest.mark.parametrize("storage", ["nowhere/at/all", "nosql://here", "sqlite:////nowhere/s.db"])
def test_storage_that_cannot_be_used(storage: str, tmp_path: Path) -> None:
    where = storage if "://" in storage else str(tmp_path / storage)
    with pytest.raises(OptionError, match=r"hydra\.sweeper\.storage=") as error:
        Search(options(storage=where), SPACE, tmp_path)
    assert "\n" not in str(error.value)


def test_another_search_under_the_same_name(tmp_path: Path) -> None:
    Search(options(), SPACE, tmp_path, fixed=["seed=1"])
    Search(options(n_trials=30), SPACE, tmp_path, fixed=["seed=1"])
    for space, fixed in (({"x": SPACE["x"]}, ["seed=1"]), (SPACE, ["seed=2"])):
        with pytest.raises(OptionError, match="choose another name"):
            Search(options(), space, tmp_path, fixed=fixed)
    Search(options(study_name="other"), {"x": SPACE["x"]}, tmp_path)


class Batch:
    """A launcher of the kind that can stop its jobs: each reports one PSNR."""

    n_jobs = 2

    def __init__(self, psnr: Callable[[list[str]], float]) -> None:
        self.on_evaluated: Callable[[int, int, float], bool] = lambda job, step, psnr: False
        self.psnr = psnr
        self.seen: list[tuple[int, list[str]]] = []

    def launch(self, job_overrides: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
        returns = []
        for place, overrides in enumerate(job_overrides):
            self.seen.append((initial_job_idx + place, overrides))
            psnr = self.psnr(overrides)
            stopped = self.on_evaluated(place, 10, psnr)
            returns.append(JobReturn(status=JobStatus.COMPLETED))
            returns[-1].return_value = None if stopped else psnr - 30
        return returns


def test_a_launcher_that_can_stop_its_jobs(tmp_path: Path) -> None:
    search = Search(
        options(n_trials=12, pruner="median", sampler="random"), {"act": SPACE["act"]}, tmp_path
    )
    sweeper = SrexpSearch()
    launcher = Batch(lambda overrides: 33.0 if "act=relu" in overrides else 31.0)
    sweeper.launcher = launcher  # type: ignore[assignment]
    while trials := search.ask(launcher.n_jobs):
        sweeper._launch(search, trials, ["seed=1"])
    assert [number for number, _ in launcher.seen] == list(range(12))
    assert all(overrides[0] == "seed=1" for _, overrides in launcher.seen)
    for trial in search.study.trials:
        if trial.params["act"] == "relu":
            assert (trial.state.name, trial.value) == ("COMPLETE", 3.0)
    states = {t.number: t.state.name for t in search.study.trials if t.params["act"] == "prelu"}
    assert "PRUNED" in states.values() and "FAIL" not in states.values()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "srexp", "train", "-m", "hydra/sweeper=srexp_optuna", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env=command_environment(folder),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing to search"),
        (("act=relu",), "nothing to search"),
        (("model.dpth=3,5",), "model.dpth: no such key; did you mean model.depth?"),
        (("model.depth=-3,-1",), "model.depth=-3: must be"),
        (("act=relu,prelu", "hydra.sweeper.n_trials=0"), "hydra.sweeper.n_trials=0: must be"),
        (("act=relu,prelu", "hydra.sweeper.n_trials=x"), "hydra.sweeper.n_trials"),
        (("act=relu,prelu", "hydra.sweeper.sampler=cmaes"), "must be one of tpe, random"),
        (("act=relu,prelu", "trainer.dry_run=true"), "trainer.dry_run=True: has no result"),
        (("seed=0,1", "act=tanh,[relu,prelu],elu"), "act=[relu,prelu]: takes one option"),
        (("seed=interval(2,1)",), "seed=interval(2,1): 2 is above 1"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_without_optuna(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    environment = command_environment(tmp_path)
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "train", "-m", "hydra/sweeper=srexp_optuna", "seed=1,2"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().endswith("needs Optuna: pip install 'srexp[search]'")


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    """Fixed overrides reach every job; the same study goes on when more trials are wanted."""
    arguments = [
        "trainer.steps=10", "trainer.eval_every=10", "trainer.batch_size=2", "model.filters=4",
        "trainer.hr_patch_size=24", "trainer.sample_grids=0", "tracking=none", "model.depth=2,3",
        "optimizer.learning_rate=tag(log, interval(1e-4, 1e-2))",
        f"hydra.sweeper.storage={tmp_path / 'study'}",
    ]  # fmt: skip
    done = command(tmp_path, *arguments, "hydra.sweeper.n_trials=2")
    assert done.returncode == 0, done.stderr
    done = command(tmp_path, *arguments, "hydra.sweeper.n_trials=4")
    assert done.returncode == 0, done.stderr
    assert "4 trials finished, 0 stopped as hopeless, 0 failed" in done.stdout
    runs = [json.loads(p.read_text()) for p in sorted(tmp_path.glob("outputs/*/config.json"))]
    assert [config["trainer"]["steps"] for config in runs] == [10] * 4
    newest = max(tmp_path.glob("outputs/sweeps/*/search.json"), key=lambda p: p.stat().st_mtime)
    summary = json.loads(newest.read_text())
    tried = {
        f"{t['params']['model.depth']} {t['params']['optimizer.learning_rate']:.9g}"
        for t in summary["trials"]
    }
    assert tried == {f"{c['model']['depth']} {c['optimizer']['learning_rate']:.9g}" for c in runs}
    gains = [
        json.loads(path.read_text())["gains"]["photos_x2/rgb"]
        for path in tmp_path.glob("outputs/*/run.json")
    ]
    assert sorted(t["value"] for t in summary["trials"]) == sorted(gains)
    assert summary["best"]["value"] == max(gains)
    assert set(summary["importances"]) == {"model.depth", "optimizer.learning_rate"}
