"""A run that is killed again and again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from reliability.typed import Typed

pytestmark = pytest.mark.slow

STEPS = 700
CHECKPOINT = r"/checkpoints/\.step-.*\.part$"
# Files that are there only while something is written.
WRITING = [CHECKPOINT] * 4 + [r"/checkpoints/\.best.*\.part$"] * 2
WRITING += [r"/\.run\.json\..*\.part$", r"/grids/val_x2/rgb/0/.*\.part$"]
AT_THE_END = [r"/evaluations/val_x2/rgb/final\.csv$", r"/\.\d+\.part\.keras$"]
# Chance moments: how long after the start, or after a checkpoint was begun (a file, seconds).
ANY: list[tuple[str | None, float]] = [(None, 1.5)] * 5 + [(CHECKPOINT, 0.1)] * 5


@pytest.mark.fault("SIGKILL (as by the out-of-memory killer)")
def test_killed_at_twenty_moments(
    tmp_path: Path, quick: tuple[str, ...], straight: Callable[[int], Path], row: Row
) -> None:
    chance = random.Random(1)
    first = ("train", *quick, f"trainer.steps={STEPS}")
    aims = [*ANY, *((file, 0.002) for file in WRITING)]
    chance.shuffle(aims)
    aims += [(file, 0.0) for file in AT_THE_END]
    lost, begun_anew, in_writing, kills = 0, 0, 0, 0
    shown = kept.Shown.beside(tmp_path)
    ids = set()
    for file, at_most in aims:
        run = next((p.parent for p in tmp_path.glob("outputs/*/run.json")), None)
        typed = Typed(tmp_path, *(("train", "resume=latest") if run else first), stops_at=file)
        if file is not None:
            assert typed.until_stopped(), f"ended before {file}: {typed.stderr}"
            typed.go_on()
        time.sleep(chance.uniform(0, at_most))
        assert not typed.ended, f"ended {at_most} s after {file}: {typed.stdout}"
        typed.kill()
        kills += 1
        if run is None:
            continue
        in_writing += bool(kept.left_behind(run))
        said, saved = kept.info(run).get("progress", {}).get("step", 0), kept.saved_step(run)
        assert saved >= said, "a checkpoint that was said to be there is not"
        lost = max(lost, kept.last_step(run) - saved)
        begun_anew += saved == 0
        if shown.database.exists():
            ids |= {uid for uid, _ in shown.runs(run)}
    typed = Typed(tmp_path, "train", "resume=latest")
    assert typed.wait() == 0, typed.stderr
    run = kept.only_run(tmp_path)
    kept.assert_same(run, straight(STEPS))
    shown.assert_once(run)
    # None where each kill came before MLflow was ready.
    assert ids <= {uid for uid, _ in shown.runs(run)}
    row(
        f"kill -9, {len(WRITING) + len(AT_THE_END)} times aimed at a file being written, else at "
        f"random; {in_writing} hit the writing",
        kills,
        f"{lost} logged steps (20 between checkpoints), computed again",
        "bit for bit the weights of the run without kills; each step once in metrics.jsonl and in "
        "the same MLflow run",
    )
