"""A comparison's numbers, against the same done by hand with NumPy and SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from tests_scored import make_report

from srexp.comparison import tables
from srexp.comparison.methods import group
from srexp.comparison.results import read_run
from srexp.comparison.tables import TaskTable, make_table
from srexp.comparison.tasks import common_tasks
from srexp.evaluation.statistics import holm
from srexp.tracking.record import RunError, RunFolder


def table_of(*runs: RunFolder, metric: Any = "psnr") -> TaskTable:
    results = [read_run(run) for run in runs]
    (task,), _ = common_tasks(results)
    return make_table(task, group(results)[0], metric)


def test_means_and_gains_are_those_of_the_run(make: Any) -> None:
    report = make_report([0.4, 0.1, -0.2, 0.6])
    (bicubic, row) = table_of(make([report])).rows
    assert bicubic.name == "bicubic" and bicubic.gain is None
    assert bicubic.psnr == pytest.approx(report.mean(lambda r: r.bicubic.psnr), abs=1e-12)
    assert row.psnr == pytest.approx(report.mean(lambda r: r.score.psnr), abs=1e-12)
    assert row.ssim == pytest.approx(report.mean(lambda r: r.score.ssim), abs=1e-12)
    assert row.gain is not None
    got, expected = row.gain.difference, report.gain
    assert (got.mean, got.low, got.high) == pytest.approx(
        (expected.mean, expected.low, expected.high), abs=1e-12
    )
    assert (row.gain.wins, row.gain.ties, row.gain.losses) == (3, 0, 1)
    assert row.over_seeds is None and math.isnan(row.seed_spread)


def test_of_very_many_methods_each_stands_beside_the_best(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains = np.random.default_rng(0).normal(np.linspace(0.2, 0.6, 5)[:, None], 0.05, (5, 7))
    runs = [make(row.tolist(), f"model.depth={3 + i}") for i, row in enumerate(gains)]
    whole = {(pair.second, pair.first): pair.result.p for pair in table_of(*runs).pairs}
    monkeypatch.setattr(tables, "EVERY_TWO", 4)
    table = table_of(*runs)
    best = f"depth={3 + int(gains.mean(axis=1).argmax())}"
    assert [(pair.first, pair.second) for pair in table.pairs] == [
        (best, f"depth={3 + i}") for i in range(5) if best != f"depth={3 + i}"
    ]
    for pair in table.pairs:
        assert pair.result.p == whole[pair.first, pair.second]
        assert pair.p_holm == min(1, 10 * pair.result.p)  # ten pairs that there are
    assert table.smallest_p_holm == 10 * 2**-6


def test_pairs_are_paired_and_corrected_together(make: Any) -> None:
    gains = np.random.default_rng(0).normal([[0.2], [0.5], [0.3]], 0.2, (3, 7))
    runs = [make(row.tolist(), f"model.depth={3 + i}") for i, row in enumerate(gains)]
    table = table_of(*runs)
    assert [(pair.first, pair.second) for pair in table.pairs] == [
        ("depth=3", "depth=4"), ("depth=3", "depth=5"), ("depth=4", "depth=5"),
    ]  # fmt: skip
    p = []
    for pair, (i, j) in zip(table.pairs, ((0, 1), (0, 2), (1, 2)), strict=True):
        t_test = scipy.stats.ttest_rel(gains[i], gains[j])
        assert (pair.result.difference.low, pair.result.difference.high) == pytest.approx(
            tuple(t_test.confidence_interval()), abs=1e-9
        )
        exact = scipy.stats.permutation_test(
            (gains[i], gains[j]), lambda a, b: np.mean(a - b), permutation_type="samples"
        )
        assert pair.result.p == pytest.approx(exact.pvalue, abs=1e-12)
        assert pair.result.wins == np.sum(gains[i] > gains[j])
        p.append(pair.result.p)
    assert [pair.p_holm for pair in table.pairs] == pytest.approx(holm(p))
    assert table.smallest_p == 2 / 2**7
    assert table.smallest_p_holm == 3 * 2 / 2**7


def test_replicates_are_one_method(make: Any) -> None:
    """An image's score is the mean over seeds; the interval over seeds is of the mean gains."""
    gains = np.array([[0.1, 0.5, 0.3], [0.2, 0.9, 0.1], [0.3, 0.4, 0.5]])
    runs = [make(row.tolist(), f"seed={seed}") for seed, row in enumerate(gains)]
    row = table_of(*runs).rows[1]
    assert row.method is not None and list(row.method.seeds) == [0, 1, 2]
    assert row.gain is not None and row.over_seeds is not None
    assert row.gain.difference.mean == pytest.approx(gains.mean(), abs=1e-12)
    low, high = scipy.stats.t.interval(
        0.95, 2, loc=gains.mean(), scale=scipy.stats.sem(gains.mean(axis=0))
    )
    assert (row.gain.difference.low, row.gain.difference.high) == pytest.approx((low, high))
    of_seeds = gains.mean(axis=1)
    assert row.seed_spread == pytest.approx(of_seeds.std(ddof=1), abs=1e-12)
    low, high = scipy.stats.t.interval(
        0.95, 2, loc=of_seeds.mean(), scale=scipy.stats.sem(of_seeds)
    )
    assert (row.over_seeds.low, row.over_seeds.high) == pytest.approx((low, high))


def test_by_ssim(make: Any) -> None:
    row = table_of(make([1.0, 2.0]), metric="ssim").rows[1]
    assert row.gain is not None and row.gain.difference.mean == pytest.approx(0.015, abs=1e-12)


def test_an_infinite_psnr_leaves_the_table_for_all(make: Any) -> None:
    one = make([0.1, math.inf, 0.3, 0.4], "model.depth=3")
    other = make([0.2, 0.2, 0.5, 0.4], "model.depth=5")
    for metric in ("psnr", "ssim"):
        table = table_of(one, other, metric=metric)
        assert table.left_out == ("image1",)
        assert table.images == ("image0", "image2", "image3")
        assert {row.gain.difference.n for row in table.rows if row.gain} == {3}
        assert table.pairs[0].result.difference.n == 3
    assert table.rows[0].psnr == pytest.approx((30 + 32 + 33) / 3)
    assert (table.pairs[0].result.wins, table.pairs[0].result.ties) == (0, 1)


def test_where_every_image_is_left_out_there_is_no_number(make: Any) -> None:
    one, other = make([math.inf] * 2, "model.depth=3"), make([0.1, 0.2], "model.depth=5")
    table = table_of(one, other)
    assert len(table.left_out) == 2 and math.isnan(table.rows[1].psnr)
    assert math.isnan(table.pairs[0].p_holm) and math.isnan(table.smallest_p_holm)


def test_an_order_of_its_own_does_not_matter(make: Any) -> None:
    one, other = make([0.1, 0.2, 0.3], "model.depth=3"), make([0.1, 0.2, 0.4], "model.depth=5")
    path = other.folder / "evaluations/set5_x2/y_paper/final.csv"
    header, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *reversed(rows)]))
    result = table_of(one, other).pairs[0].result
    assert (result.wins, result.ties, result.losses) == (0, 2, 1)


@pytest.mark.parametrize(
    ("bicubic", "gains", "reason"),
    [
        ([30.0, 31.5], [0.1, 0.2], "one of them was altered"),
        (None, [0.1, 0.2, 0.3], "image image2 is missing"),
    ],
)
def test_tables_of_one_digest_must_agree(make: Any, bicubic: Any, gains: Any, reason: str) -> None:
    one = make([0.1, 0.2], "model.depth=3")
    other = make([make_report(gains, bicubic=bicubic)], "model.depth=5")
    path = other.folder / "evaluations/set5_x2/y_paper/final.csv"
    digest = read_run(one).evaluations.popitem()[0].digest
    path.write_text(path.read_text().replace(make_report(gains).task.digest, digest))
    with pytest.raises(RunError, match=reason):
        table_of(one, other)


def test_weights_of_different_kinds_are_told_apart(make: Any) -> None:
    one, other = make([0.1, 0.2], "model.depth=3"), make([0.1, 0.2], "model.depth=5")
    path = other.folder / "evaluations/set5_x2/y_paper/final.csv"
    path.write_text(path.read_text().replace("(step 60)", "(step 40)"))
    assert len({row.weights for row in table_of(one, other).rows[1:]}) == 1
    path.write_text(path.read_text().replace("best on val (step 40)", "last (step 40)"))
    assert [row.weights for row in table_of(one, other).rows[1:]] == [
        "best on val, raw", "last, raw",
    ]  # fmt: skip
