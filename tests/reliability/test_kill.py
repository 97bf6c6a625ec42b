"""A run that is killed again and again."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from reliability.typed import Typed

pytestmark = pytest.mark.slow

STEPS = 700
# Moments to aim at, as files (folder, name) that are there only while something is written; None
# for any moment.
AIMS = [None] * 10 + [("checkpoints", ".step-*.part")] * 4 + [("checkpoints", ".best*.part")] * 2
AIMS += [("", ".run.json.*.part"), ("grids/val_x2/rgb/0", ".*.part")]
AT_THE_END = [("evaluations/val_x2/rgb", "final.csv"), ("", ".*.part.keras")]


@pytest.mark.fault("SIGKILL (as by the out-of-memory killer)")
def test_killed_at_twenty_moments(
    tmp_path: Path, quick: tuple[str, ...], straight: Callable[[int], Path], row: Row
) -> None:
    chance = random.Random(1)
    first = ("train", *quick, f"trainer.steps={STEPS}")
    aims = chance.sample(AIMS, len(AIMS)) + AT_THE_END
    lost, begun_anew, in_writing, kills = 0, 0, 0, 0
    shown = kept.Shown.beside(tmp_path)
    ids = set()
    for aim in aims:
        run = next((p.parent for p in tmp_path.glob("outputs/*/run.json")), None)
        typed = Typed(tmp_path, *(("train", "resume=latest") if run else first))
        if aim is None:
            seconds = chance.uniform(0.05, 3.0)
            hit = typed.until(lambda t=typed, s=seconds: t.age > s)
        else:
            hit = typed.until_name(*aim, new=True)
        assert hit, f"ended before {aim}: {typed.stderr}"
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
    assert ids == {uid for uid, _ in shown.runs(run)}
    row(
        f"kill -9, {len(AIMS) - AIMS.count(None) + 2} times aimed at a file being written, else at "
        f"random; {in_writing} hit the writing",
        kills,
        f"{lost} logged steps (20 between checkpoints), computed again",
        "bit for bit the weights of the run without kills; each step once in metrics.jsonl and in "
        "the same MLflow run",
    )
