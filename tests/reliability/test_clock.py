"""A clock that is set back, in the middle of a run and between runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from tests_forked import Process, ready

from srexp.tracking.record import find_run

pytestmark = pytest.mark.slow

STEPS = 600


# What a machine whose clock is set sees, to the process alone. (libfaketime moves the clock of
# TensorFlow's C++ as well, and crashes it.)
CLOCK = """
import sys, time
from pathlib import Path
if __name__ == "__main__":  # a job of a sweep looks at this too
    file = Path(sys.argv.pop(1))
    true, local, text = time.time, time.localtime, time.strftime
    time.time = lambda: true() + 3600 * float(file.read_text())
    time.localtime = lambda seconds=None: local(time.time() if seconds is None else seconds)
    time.strftime = lambda form, when=None: text(form, when or time.localtime())
    from srexp.cli import main
    main()
"""


class Clock:
    """What the time is, to the commands that are started with it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._program = folder / "program.py"
        self._program.write_text(CLOCK)
        self.set(0)

    def set(self, hours: int) -> None:
        """So many hours ahead of the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{hours}\n")
        new.replace(self._file)

    def start(self, folder: Path, *arguments: str) -> Process:
        return ready().start(folder, str(self._file), *arguments, program=(str(self._program),))


@pytest.mark.fault("The clock is set back in the middle of a run")
def test_in_the_middle(
    tmp_path: Path, quick: tuple[str, ...], straight: Callable[[int], Path], row: Row
) -> None:
    clock = Clock(tmp_path)
    process = clock.start(tmp_path, "train", *quick, f"trainer.steps={STEPS}")
    assert process.until(lambda: list(tmp_path.glob("outputs/*/checkpoints/step-0000100.npz")))
    clock.set(-3)
    assert process.wait() == 0, process.stderr
    run = kept.only_run(tmp_path)
    kept.assert_same(run, straight(STEPS))
    times = [point["time"] for point in kept.points(run)]
    back = max(a - b for a, b in pairwise(times))
    assert 2.9 < back / 3600 < 3.1, "the clock was not set back"
    shown = kept.Shown.beside(tmp_path)
    shown.assert_once(run)
    ((uid, _),) = shown.runs(run)
    newest = "select key, max(step) from metrics where run_uuid=? group by key"
    for key, step in shown.ask(newest, uid):
        latest = shown.ask("select step from latest_metrics where run_uuid=? and key=?", uid, key)
        assert latest == [(step,)], "MLflow's latest value is not that of the last step"
    row(
        "set back by 3 hours for Python",
        1,
        "nothing",
        "points in the order of steps, each once",
    )


@pytest.mark.fault("The clock is set back between runs")
def test_between_runs(tmp_path: Path, quick: tuple[str, ...], row: Row) -> None:
    clock = Clock(tmp_path)
    arguments = ("train", "-m", *quick, "trainer.steps=20", "seed=0,1", "tracking=none")
    runs = []
    for hours in (0, -30, -60):
        clock.set(hours)
        process = clock.start(tmp_path, *arguments)
        assert process.wait() == 0, process.stderr
        runs.append({path.parent.name for path in tmp_path.glob("outputs/*/run.json")})
    assert runs[0] == runs[1] == runs[2], "a job that was finished was trained again"
    assert len(list((tmp_path / "outputs" / "sweeps").iterdir())) == 1
    process = clock.start(tmp_path, "train", *quick, "trainer.steps=20", "seed=2")
    assert process.wait() == 0, process.stderr
    assert f"run {find_run('latest', tmp_path / 'outputs').id}\n" in process.stdout
    row(
        "a sweep typed three times, the clock 30 and 60 hours back; then one more run",
        3,
        "nothing",
        "the same sweep's folder, no job trained again; `latest` is the run begun last",
    )
