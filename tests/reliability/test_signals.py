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


# Moment -> the file (folder, name) that tells that it has come, and whether training is asked to
# save first.
MOMENTS = {
    "making the run": ("", "run.json", False),
    "building the network": ("", "run.lock", False),
    "compiling the step": ("", "environment.json", False),
    "training": ("checkpoints", "step-0000040.npz", True),
    "evaluating": ("grids/val_x2/rgb/0", ".*.part", True),
    "scoring at the end": ("evaluations/val_x2/rgb", "final.csv", False),
}


@pytest.mark.fault("Ctrl-C or SIGTERM before a run begins")
def test_before_there_is_a_run(tmp_path: Path, quick: tuple[str, ...], row: Row) -> None:
    times = 0
    for number in NUMBERS:
        for seconds in (0.0, 0.05, 0.1, 0.15):
            folder = tmp_path / f"{number.name}-{seconds}"
            typed = Typed(folder, "train", *quick, f"trainer.steps={STEPS}")
            begun = folder / "stderr"
            typed.until(begun.exists)
            time.sleep(seconds)
            # Python may lose an exception, in a destructor say; then a person types it again.
            for _ in range(3):
                typed.signal(number)
                if typed.ends_within(5):
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
    row("within 0.15 s of the start", times, "nothing: nothing was made", "begins")


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
        for moment, (where_to_look, name, graceful) in MOMENTS.items():
            folder = tmp_path / f"{number.name} {moment}"
            typed = Typed(folder, "train", *quick, f"trainer.steps={STEPS}")
            assert typed.until_name(where_to_look, name), typed.stderr
            if moment in ("building the network", "compiling the step"):
                time.sleep(0.1)
            asked = time.monotonic()
            typed.signal(number)
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
        len(NUMBERS) * len(MOMENTS),
        f"{lost} logged steps",
        "bit for bit the weights of the run without it; until then INTERRUPTED, in MLflow KILLED"
        + (f" ({untold} times it still said RUNNING, and the command said so)" if untold else ""),
        fault=f"Ctrl-C or SIGTERM, {'twice' if twice else 'once'}",
    )
