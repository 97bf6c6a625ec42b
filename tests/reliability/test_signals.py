"""Ctrl-C and SIGTERM, once and twice, wherever a run is."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from reliability.typed import Typed

from srexp.tracking.record import RunFolder

pytestmark = pytest.mark.slow

STEPS = 60
NUMBERS = (signal.SIGTERM, signal.SIGINT)


# Moment -> the file at which it begins, how many seconds later it is, and whether training saves
# first.
MOMENTS = {
    "making the run": (r"/run\.json$", 0.0, False),
    "building the network": (r"/run\.lock$", 0.1, False),
    "compiling the step": (r"/environment\.json$", 0.1, False),
    "training": (r"/checkpoints/step-0000040\.npz$", 0.01, True),
    "evaluating": (r"/grids/val_x2/rgb/0/.*\.part$", 0.0, True),
    "scoring at the end": (r"/evaluations/val_x2/rgb/final\.csv$", 0.0, False),
}


@pytest.mark.fault("Ctrl-C or SIGTERM before a run begins")
def test_before_there_is_a_run(tmp_path: Path, quick: tuple[str, ...], row: Row) -> None:
    times = lost = 0
    for number in NUMBERS:
        for seconds in (0.0, 0.05, 0.1, 0.15):
            folder = tmp_path / f"{number.name}-{seconds}"
            typed = Typed(folder, "train", *quick, "trainer.steps=100000")
            typed.until_begun()
            time.sleep(seconds)
            # Python may lose an exception, in a destructor say; then a person types it again.
            for again in range(5):
                typed.signal(number)
                if typed.ends_within(2):
                    lost += again
                    break
            code = typed.wait()
            assert code == 128 + number, typed.stderr
            assert "Traceback" not in typed.stderr
            runs = list(folder.glob("outputs/*/run.json"))
            if runs:  # it came later than this test wanted
                assert kept.info(runs[0].parent)["status"] == "INTERRUPTED"
            else:
                assert len(typed.stderr.splitlines()) <= 1
            times += 1
    typed_again = f"; {lost} had to be typed again: Python lost the first" if lost else ""
    row(f"within 0.15 s of the start{typed_again}", times, "nothing: nothing was made", "begins")


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.fault("Ctrl-C or SIGTERM")
def test_in_a_run(
    tmp_path: Path,
    quick: tuple[str, ...],
    straight: Callable[[int], Path],
    row: Row,
    twice: bool,
) -> None:
    lost, untold, slowest = 0, 0, 0.0
    for number in NUMBERS:
        # Each moment with one of the signals, once and twice: their handlers are the same.
        for moment in list(MOMENTS)[NUMBERS.index(number) ^ twice :: 2]:
            file, seconds, graceful = MOMENTS[moment]
            folder = tmp_path / f"{number.name} {moment}"
            typed = Typed(folder, "train", *quick, f"trainer.steps={STEPS}", stops_at=file)
            assert typed.until_stopped(), typed.stderr
            asked = time.monotonic()
            if seconds:
                typed.go_on()
                time.sleep(seconds)
            typed.signal(number)
            typed.go_on()
            if twice:
                time.sleep(0.02)
                if not typed.ended:
                    typed.signal(number)
            code = typed.wait()
            slowest = max(slowest, time.monotonic() - asked)
            where = f"{number.name} {moment}: {typed.stdout} {typed.stderr}"
            assert code == 128 + number, where
            assert "Traceback" not in typed.stderr, where
            run = kept.only_run(folder)
            assert kept.info(run)["status"] == "INTERRUPTED", where
            assert not RunFolder.open(run).alive
            assert kept.left_behind(run) == [], where
            shown = kept.Shown.beside(folder)
            states = shown.runs(run) if shown.database.exists() else []
            if {state for _, state in states} - {"KILLED"}:
                assert twice, where
                assert "did not take everything" in typed.stdout, where
                untold += 1
            if graceful and not twice:
                assert "saved. To go on" in typed.stderr, where
            before = kept.saved_step(run)
            assert before >= kept.info(run).get("progress", {}).get("step", 0)
            lost = max(lost, kept.last_step(run) - before)
            again = Typed(folder, "train", "resume=latest")
            assert again.wait() == 0, where + again.stderr
            kept.assert_same(run, straight(STEPS))
            shown.assert_once(run)
    row(
        f"{'two signals 20 ms apart' if twice else 'one signal'} while {', '.join(MOMENTS)}; the "
        f"command had ended within {slowest:.1f} s with 130 or 143",
        len(MOMENTS),
        f"{lost} logged steps",
        "bit for bit the weights of the run without it; until then INTERRUPTED, in MLflow KILLED"
        + (f" ({untold} times it still said RUNNING, and the command said so)" if untold else ""),
        fault=f"Ctrl-C or SIGTERM, {'twice' if twice else 'once'}",
    )
