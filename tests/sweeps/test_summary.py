"""Means over seeds against SciPy, the ranking, and the tables."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Callable

import pytest
from rich.console import Console
from scipy import stats

from srexp.config.names import short_keys
from srexp.sweeps import summary
from srexp.sweeps.results import JobResult

Grid = Callable[..., list[JobResult]]
One = Callable[..., JobResult]

SEEDS = ["0", "1", "2"]
GAINS = {"relu": [1.10, 1.30, 1.20], "elu": [1.00, 1.90, 1.00]}


def by_seed(choices: dict[str, str]) -> float:
    return GAINS[choices["act"]][int(choices["seed"])]


def printed(jobs: list[JobResult]) -> str:
    console = Console(width=120, file=io.StringIO(), highlight=False)  # with markup
    console.print(summary.terminal(jobs, "sweep [red]x[/red]"))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_means_and_intervals_are_scipys(grid: Grid) -> None:
    found = summary.combinations(grid({"act": ["relu", "elu"], "seed": SEEDS}, by_seed))
    assert [combination.choices for combination in found] == [{"act": "elu"}, {"act": "relu"}]
    for combination in found:
        gains = GAINS[combination.choices["act"]]
        low, high = stats.t.interval(
            0.95, len(gains) - 1, loc=statistics.mean(gains), scale=stats.sem(gains)
        )
        assert combination.gain.n == 3
        assert combination.gain.mean == pytest.approx(statistics.mean(gains))
        assert (combination.gain.low, combination.gain.high) == pytest.approx((low, high))


def test_the_best_is_the_best_on_average_and_its_run_the_best_of_its_seeds(grid: Grid) -> None:
    # relu=1.2 on average; elu has the single best run and a lower mean.
    gains = {"relu": [1.10, 1.30, 1.20], "elu": [0.5, 1.90, 0.9]}
    jobs = grid({"act": ["elu", "relu"], "seed": SEEDS}, lambda c: gains[c["act"]][int(c["seed"])])
    winner = summary.best(jobs)
    assert winner is not None
    assert winner.best is not None
    assert winner.choices == {"act": "relu"}
    assert winner.best.choices == {"act": "relu", "seed": "1"}


def test_of_equal_means_more_seeds_come_first_then_the_earlier(one: One) -> None:
    jobs = [
        one(1, {"act": "elu", "seed": "0"}, 1.0),
        one(2, {"act": "relu", "seed": "0"}, 1.0), one(3, {"act": "relu", "seed": "1"}, 1.0),
        one(4, {"act": "tanh", "seed": "0"}, 1.0),
    ]  # fmt: skip
    for order in (jobs, jobs[::-1]):
        found = [combination.choices["act"] for combination in summary.combinations(order)]
        assert found == ["relu", "elu", "tanh"]


def test_a_negative_best_run_is_the_least_bad(one: One) -> None:
    jobs = [one(n, {"seed": str(n)}, gain) for n, gain in enumerate([-2.0, -1.0, -3.0], 1)]
    winner = summary.best(jobs)
    assert winner is not None
    assert winner.best is jobs[1]


def test_one_seed_has_no_interval_and_the_reader_is_told(grid: Grid) -> None:
    jobs = grid({"act": ["relu", "elu"]}, lambda c: len(c["act"]) / 10)
    assert all(math.isnan(c.gain.low) for c in summary.combinations(jobs))
    assert "±" not in "".join(summary.gain_text(c.gain) for c in summary.combinations(jobs))
    assert any("no intervals" in remark for remark in summary.remarks(jobs))
    assert "+0.400" in printed(jobs)


@pytest.mark.parametrize("gain", ["failed", "pruned", math.nan, math.inf])
def test_without_any_gain_there_is_no_best(grid: Grid, gain: float | str) -> None:
    jobs = grid({"act": ["relu", "elu"], "seed": SEEDS}, lambda _: gain)
    assert summary.best(jobs) is None
    assert summary.main_effects(jobs) == []
    assert all(c.gain.n == 0 for c in summary.combinations(jobs))
    assert "no job has a gain" in printed(jobs)
    assert summary.best([]) is None
    assert summary.count([]) == "0 jobs: none"


def test_what_is_not_finite_stays_out_of_the_mean_and_is_told(one: One) -> None:
    gains: list[float | str] = [1.0, math.nan, 2.0, math.inf, "failed"]
    jobs = [one(n, {"seed": str(n)}, gain) for n, gain in enumerate(gains, 1)]
    (only,) = summary.combinations(jobs)
    assert (only.gain.n, only.gain.mean, only.replicates) == (2, 1.5, "2 of 5")
    assert [job.number for job, _ in summary.without_gain(jobs)] == [2, 4, 5]
    text = printed(jobs)
    assert "no finite gain" in text
    assert "why it failed" in text
    assert "may flatter" in text


def test_main_effects_are_means_of_cell_means(grid: Grid) -> None:
    cell = {("3", "relu"): 1.0, ("3", "elu"): 2.0, ("5", "relu"): 4.0, ("5", "elu"): 7.0}
    jobs = grid(
        {"model.depth": ["5", "3"], "act": ["relu", "elu"], "seed": SEEDS},
        lambda c: cell[c["model.depth"], c["act"]] + 0.1 * int(c["seed"]),
    )
    jobs = jobs[1:]  # a combination with fewer seeds weighs the same
    effects = {(e.key, e.value): (e.gain, e.combinations) for e in summary.main_effects(jobs)}
    assert effects == {
        ("model.depth", "3"): (pytest.approx(1.6), 2),
        ("model.depth", "5"): (pytest.approx((4.15 + 7.1) / 2), 2),
        ("act", "relu"): (pytest.approx((1.1 + 4.15) / 2), 2),
        ("act", "elu"): (pytest.approx((2.1 + 7.1) / 2), 2),
    }


def test_an_incomplete_design_shows_no_main_effects(grid: Grid) -> None:
    keys = {"model.depth": ["3", "5"], "act": ["relu", "elu"]}
    jobs = grid(keys, lambda c: "failed" if c == {"model.depth": "3", "act": "elu"} else 1.0)
    assert summary.main_effects(jobs) == []
    assert summary.main_effects(grid(keys, lambda _: 1.0)[:3]) == []
    assert summary.main_effects(grid({"act": ["relu", "elu"]}, lambda _: 1.0)) == []


def test_values_stand_by_size_if_they_are_numbers() -> None:
    assert summary.ordered(["1e-3", "3e-4", "10", "1e-3"]) == ["3e-4", "1e-3", "10"]
    assert summary.ordered(["relu", "elu", "2"]) == ["relu", "elu", "2"]
    for text in ("nan", "inf", "1_0", "true", "", "[1]", "1e999"):
        assert summary.as_number(text) is None


def test_keys_are_short_where_that_is_clear() -> None:
    keys = ["model.depth", "data.name", "model.name"]
    assert list(short_keys(keys).values()) == ["depth", "data", "model"]
    keys = ["trainer.steps", "schedule.steps"]
    assert list(short_keys(keys).values()) == keys


def test_different_images_are_not_compared_in_silence(one: One) -> None:
    jobs = [one(1, {"a": "1"}, 1.0), one(2, {"a": "2"}, 2.0, task="set5_x3/rgb")]
    assert any("photos_x2/rgb, set5_x3/rgb" in remark for remark in summary.remarks(jobs))


def test_the_terminal_shows_names_as_they_are(one: One) -> None:
    text = printed(
        [one(1, {"model.act": "[bold]x[/bold]"}, 1.0), one(2, {"model.act": "[/]"}, "failed")]
    )
    for shown in ("[bold]x[/bold]", "[/]", "sweep [red]x[/red]"):
        assert shown in text


def test_markdown_rows_keep_their_columns_whatever_the_names(one: One) -> None:
    jobs = [
        one(1, {"data.train_dir": "a|b<script>_*"}, 1.0),
        one(2, {"data.train_dir": "c"}, "failed", note="line\nbreak | `x`"),
    ]
    lines = summary.markdown(jobs, "sweep x").splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 6
    assert r"a\|b\<script\>\_\*" in rows[2]
    assert "+1.000" in rows[2]
    assert r"line break \| \`x\`" in rows[5]
    bars = [row.replace(r"\|", "").count("|") for row in rows]
    assert bars == [5, 5, 5, 4, 4, 4]


def test_latex_has_the_same_rows(one: One) -> None:
    jobs = [one(1, {"data.train_dir": "a_b & c"}, 1.0), one(2, {"data.train_dir": "c"}, "failed")]
    text = summary.latex(jobs, "sweep x: 50 %")
    assert r"a\_b \& c & $+1.000$ & 1 \\" in text and r"\caption{sweep x: 50 \%" in text
    assert text.count(r"\begin{tabular}") == 2 and "2: " in text


def test_csv_has_every_job_in_full_precision(one: One) -> None:
    jobs = [
        one(1, {"model.depth": "3", "seed": "0"}, 0.1 + 0.2),
        one(2, {"model.depth": 'a,"b"', "seed": "0"}, "failed"),
    ]
    first, second = csv.DictReader(io.StringIO(summary.to_csv(jobs)))
    assert float(first["gain"]) == 0.1 + 0.2
    assert (second["gain"], second["state"], second["model.depth"]) == ("", "failed", 'a,"b"')
