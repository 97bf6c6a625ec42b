"""Results on disk and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict

import pytest

from srexp.sweeps.results import JobResult, from_json, to_json
from srexp.tracking.record import RunError

One = Callable[..., JobResult]


def test_what_is_written_reads_back_the_same(one: One) -> None:
    jobs = [one(1, {"act": "relu", "model.name": 'a "ü" \n\\'}, 1.25), one(2, {}, "failed")]
    assert from_json(json.loads(json.dumps(to_json(jobs)))) == jobs


def test_json_is_strict_whatever_the_numbers(one: One) -> None:
    jobs = [one(1, {}, math.nan), one(2, {}, math.inf, seconds=None), one(3, {}, -math.inf)]
    read = from_json(json.loads(json.dumps(to_json(jobs), allow_nan=False)))
    assert [str(asdict(job)) for job in read] == [str(asdict(job)) for job in jobs]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"format": 2, "jobs": []}, "format 2"), ({"jobs": []}, "format None"), ([], "format None"),
        ({"format": 1}, "damaged"), ({"format": 1, "jobs": [{"number": 1}]}, "damaged"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(data: object, said: str) -> None:
    with pytest.raises(RunError, match=said):
        from_json(data)


def test_an_unknown_state_is_refused(one: One) -> None:
    with pytest.raises(RunError, match="damaged"):
        from_json(to_json([one(1, {}, "exploded")]))


def test_only_finished_jobs_with_a_finite_gain_count(one: One) -> None:
    assert one(1, {}, 1.0).counts
    assert not one(1, {}, math.nan).counts
    assert not one(1, {}, math.inf).counts
    assert not one(1, {}, 1.0, state="pruned").counts
    assert not one(1, {}, "failed").counts
