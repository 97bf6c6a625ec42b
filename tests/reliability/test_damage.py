"""Checkpoints that are cut short or altered."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from reliability.typed import Typed

from srexp.training import checkpoint

pytestmark = pytest.mark.slow

STEPS = 140
WHICH = {
    "the newest": ["newest"],
    "the best": ["best"],
    "the newest and the best": ["newest", "best"],
    "all": ["newest", "older", "best"],
}


@pytest.fixture(scope="module")
def stopped(quick: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that was stopped half-way."""
    folder = tmp_path_factory.mktemp("stopped")
    typed = Typed(
        folder, "train", *quick, f"trainer.steps={STEPS}", "tracking=none",
        stops_at=r"/checkpoints/step-0000100\.npz$",
    )  # fmt: skip
    assert typed.until_stopped()
    typed.signal(signal.SIGTERM)
    typed.go_on()
    assert typed.wait() == 143
    return folder


def _files(run: Path) -> dict[str, Path]:
    newest, older = checkpoint.newest(run / "checkpoints")
    return {"newest": newest, "older": older, "best": run / "checkpoints" / "best.npz"}


def _cut(path: Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def _flip(path: Path, chance: random.Random) -> None:
    """One bit, where the file says something: not in a field of a zip that nobody reads."""
    content = bytearray(path.read_bytes())
    while True:
        at, bit = chance.randrange(len(content)), 1 << chance.randrange(8)
        content[at] ^= bit
        path.write_bytes(content)
        try:
            checkpoint.load(path)
        except checkpoint.CheckpointError:
            return
        content[at] ^= bit


@pytest.mark.parametrize("which", WHICH)
@pytest.mark.parametrize("damage", [_cut, _flip])
@pytest.mark.fault("A damaged checkpoint")
def test_damaged(
    tmp_path: Path,
    stopped: Path,
    straight: Callable[[int], Path],
    row: Row,
    damage: Callable[[Path, random.Random], None],
    which: str,
) -> None:
    chance, times, lost = random.Random(3), 2, 0
    for number in range(times):
        folder = tmp_path / str(number)
        shutil.copytree(stopped, folder)
        run = kept.only_run(folder)
        files, before = _files(run), kept.saved_step(run)
        for name in WHICH[which]:
            damage(files[name], chance)
        info = (run / "run.json").read_bytes()
        typed = Typed(folder, "train", "resume=latest")
        code = typed.wait()
        if which == "all":
            assert code == 2
            (line,) = typed.stderr.splitlines()
            assert all(str(files[name]) in line for name in ("newest", "older"))
            assert (run / "run.json").read_bytes() == info
            continue
        assert code == 0, typed.stderr
        if "newest" in WHICH[which]:
            assert f"{files['newest']}: " in typed.stdout
            lost = max(lost, before - int(files["older"].stem[5:]))
        kept.assert_same(run, straight(STEPS))
    how = "cut short at random" if damage is _cut else "one bit flipped at random"
    row(
        how,
        times,
        f"{lost} steps, computed again" if which != "all" else "the run",
        "one line that names the files, exit code 2, nothing changed"
        if which == "all"
        else "says so, goes on from an older one; bit for bit the same weights at the end",
        fault=f"A damaged checkpoint: {which}",
    )
