"""Which picture a sweep gets, and that there is one, whatever is missing or odd."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from srexp.sweeps import figures
from srexp.sweeps.results import JobResult

Grid = Callable[..., list[JobResult]]
One = Callable[..., JobResult]

ACTS = ["relu", "elu", "tanh"]
RATES = ["1e-5", "1e-4", "1e-3", "1e-2"]
SEEDS = ["0", "1", "2"]


def gain(choices: dict[str, str]) -> float:
    return 0.1 * len(str(sorted(choices.items()))) + 0.01 * float(choices.get("seed", 0))


def picture(jobs: list[JobResult]) -> np.ndarray:
    png = figures.png(jobs)
    assert png is not None
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] == 1350
    assert pixels.std() > 5
    return pixels


KINDS = [
    ({}, "dots"),
    ({"act": ACTS}, "dots"),
    ({"optimizer.learning_rate": RATES}, "line"),
    ({"model.depth": ["3", "5"]}, "line"),
    ({"model.depth": ["3", "5"], "act": ACTS}, "heat map"),
    ({"optimizer.learning_rate": RATES, "act": ACTS}, "lines"),
    ({"optimizer.learning_rate": RATES, "model.depth": ["1", "2", "3", "4"]}, "heat map"),
    ({"model.depth": ["3", "5"], "act": ACTS, "loss": ["mse", "mae"]}, "heat maps"),
    ({"a": ["3", "5"], "act": ACTS, "loss": ["mse", "mae"], "color": ["y", "rgb"]}, "scatter"),
    ({"model.depth": ["3"], "act": ACTS}, "dots"),  # a key of one value is none
]  # fmt: skip


@pytest.mark.parametrize(("keys", "kind"), KINDS)
@pytest.mark.parametrize("seeds", [SEEDS, ["0"]])
def test_what_was_swept_decides_the_kind(
    grid: Grid, keys: dict[str, list[str]], kind: str, seeds: list[str]
) -> None:
    jobs = grid({**keys, "seed": seeds}, gain)
    assert figures.kind(jobs) == kind
    picture(jobs)


def test_a_random_search_is_scattered(one: One) -> None:
    rng = np.random.default_rng(0)
    jobs = [
        one(n, {"optimizer.learning_rate": f"{10 ** rng.uniform(-5, -2):.4g}",
                "model.depth": str(rng.integers(3, 9))}, float(rng.normal()))
        for n in range(1, 21)
    ]  # fmt: skip
    assert figures.kind(jobs) == "scatter"
    picture(jobs)


@pytest.mark.parametrize(("keys", "kind"), KINDS)
def test_missing_failed_and_outlying_jobs_do_not_hinder_it(
    grid: Grid, keys: dict[str, list[str]], kind: str
) -> None:
    odd: list[float | str] = ["failed", float("nan"), "pruned", -25.0, float("inf"), "not started"]
    jobs = grid(
        {**keys, "seed": ["0", "1"]},
        lambda c: gain(c) if c["seed"] == "0" else odd[len(str(c)) % len(odd)],
    )
    picture(jobs)
    picture(grid({**keys, "seed": ["0"]}, lambda _: 1.0))  # all equal
    for states in (["failed"], ["failed", "pruned"]):
        assert figures.png(grid({**keys, "seed": ["0"]}, lambda _, s=states: s[-1])) is None
    worst = [job for job in jobs if job.number % 3]
    if any(job.counts for job in worst):
        picture(worst)
    assert figures.png([]) is None


@pytest.mark.filterwarnings("error")
def test_names_are_drawn_as_they_are(grid: Grid) -> None:
    names = ["$\\frac{x}$", "_hidden", "日本", "a" * 200, "<b>", "", "%s {0}"]
    for keys in ({"a.$b$": names}, {"_a": names, "b": ["$", "\\"]}, {"x": names, "y": RATES}):
        picture(grid({**keys, "seed": ["0", "1"]}, gain))


@pytest.mark.parametrize("means", [[0.2, 0.6, 1.0, -30.0], [1.1, 1.25, 1.3, 0.2]])
def test_a_run_gone_astray_leaves_the_colours_to_the_others(means: list[float]) -> None:
    """The others take a good part of the map, and only what is far off is cut."""
    norm, _, clipped = figures._colours(means)
    assert norm(means[2]) - norm(means[0]) > 0.1
    assert clipped == (min(means) == -30.0)
    assert clipped or norm(min(means)) == 0


def test_cells_hold_the_numbers(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean and half-width in each cell; the reason where there is none."""
    from matplotlib.axes import Axes

    written: list[str] = []
    text = Axes.text

    def noted(self: Axes, x: float, y: float, s: str, *args: object, **kwargs: object) -> object:
        written.append(s)
        return text(self, x, y, s, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Axes, "text", noted)
    keys = {"act": ["relu", "elu"], "loss": ["mse", "mae"], "seed": ["0", "1"]}
    jobs = grid(
        keys,
        lambda c: "failed" if (c["act"], c["loss"]) == ("elu", "mae") else 1 + int(c["seed"]) / 10,
    )
    picture([job for job in jobs if (job.choices["act"], job.choices["loss"]) != ("elu", "mse")])
    # t(0.975, 1) = 12.706; half-width 12.706 * 0.0707 / sqrt(2)
    assert sorted(written) == ["+1.05", "+1.05", "failed", "±0.64", "±0.64", "–"]


def test_pyplot_is_left_alone(grid: Grid) -> None:
    before = "matplotlib.pyplot" in sys.modules
    picture(grid({"act": ACTS}, gain))
    assert ("matplotlib.pyplot" in sys.modules) == before
