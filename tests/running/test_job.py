"""Which of the runs that are the same training is a job's: whole, to go on with, or neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from srexp.running.job import Job, complete
from srexp.tracking.record import RunFolder, runs_of_identity

SWEEP = "this sweep"
Made = Callable[..., RunFolder]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(
        status: str = "FINISHED",
        ended: str = "done",
        limit: float | None = None,
        minutes: float = 3.0,
        sweep: str | None = SWEEP,
    ) -> RunFolder:
        config = {"trainer": {"max_minutes": limit}}
        run = RunFolder.create(tmp_path, "n", config, "", sweep=sweep, identity="i")
        run.set_status(status, ended=ended, progress={"seconds": 60 * minutes})  # type: ignore[arg-type]
        run.release()
        return run

    return make


def found(same: list[RunFolder], limit: float | None) -> tuple[str | None, str | None]:
    job = Job("a job", SWEEP)
    return tuple(  # type: ignore[return-value]
        run and run.id for run in (job.whole(same, limit), job.unfinished(same, limit))
    )


@pytest.mark.parametrize("limit", [None, 3.0, 5.0])
def test_what_was_trained_to_the_end_within_the_limit_is_whole(
    made: Made, limit: float | None
) -> None:
    run = made()
    assert found([run], limit) == (run.id, None)
    assert found([run], 2.9) == (None, None), "it took longer: it is no result of that limit"


@pytest.mark.parametrize("ended", ["done", "patience"])
def test_what_was_trained_to_the_end_under_the_same_limit_is_whole_however_long_it_took(
    made: Made, ended: str
) -> None:
    assert complete(made(limit=2.0, minutes=3.0, ended=ended), 2.0)  # it was taken up once
    assert not complete(made(limit=2.5, minutes=3.0, ended=ended), 2.0)


def test_what_its_time_ended_is_whole_for_that_limit_alone(made: Made) -> None:
    run = made(ended="max_minutes", limit=2.0)
    assert found([run], 2.0) == (run.id, None)
    for other in (1.0, 4.0):
        assert found([run], other) == (None, None)
    # Without a limit it is gone on with, but not where it is the result of another job.
    assert found([run], None) == (None, None)
    elsewhere = made(ended="max_minutes", limit=2.0, sweep="another sweep")
    assert found([run, elsewhere], None) == (None, elsewhere.id)
    assert found([elsewhere], 2.0) == (elsewhere.id, None)


@pytest.mark.parametrize("status", ["INTERRUPTED", "FAILED", "KILLED", "PRUNED", "RUNNING"])
def test_what_was_cut_off_is_gone_on_with_under_its_own_limit(made: Made, status: str) -> None:
    one, other = made(status, limit=2.0), made(status, limit=None)
    assert found([one, other], 2.0) == (None, one.id)
    assert found([one, other], None) == (None, other.id)
    assert found([one], None) == (None, None)
    assert found([one], 3.0) == (None, None)
    outside = made(status, limit=2.0, sweep=None)
    assert found([outside], None) == (None, outside.id)


def test_the_newest_one_counts_and_a_whole_one_before_another(made: Made, tmp_path: Path) -> None:
    made("FAILED")
    older, newer, cut = made(), made(), made("INTERRUPTED")
    same = runs_of_identity(tmp_path, "i")
    assert len(same) == 4 and runs_of_identity(tmp_path, "j") == []
    assert older.id != newer.id
    assert found(same, None) == (newer.id, cut.id)
