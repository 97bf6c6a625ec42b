"""A disk that is full, at every place where a run writes."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from reliability.test_mlflow import not_sent, sync
from reliability.typed import Typed

from srexp.tracking.record import RunFolder

pytestmark = pytest.mark.slow

STEPS = 400


@pytest.fixture
def disk() -> Iterator[Path]:
    """A disk of its own of a few megabytes."""
    folder = Path(tempfile.mkdtemp(prefix="srexp-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no tmpfs may be mounted here ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        folder.rmdir()


def fill(disk: Path) -> None:
    """Leave no page free, at once: pages are allotted, not written."""
    ballast = os.open(disk / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        while free := os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize:
            size = os.fstat(ballast).st_size
            try:
                os.posix_fallocate(ballast, size, free)
            except OSError:  # somebody else was quicker
                continue
    finally:
        os.close(ballast)


def empty(disk: Path) -> None:
    (disk / "ballast").unlink(missing_ok=True)


# What is to be hit -> the file before which the disk is filled.
AIMS = {
    "the curves": r"/metrics\.jsonl$",  # its first point: later ones may find room in its last page
    "a picture": r"/grids/.*\.part$",
    "a checkpoint": r"/checkpoints/\.step-.*\.part$",
    "run.json": r"/checkpoints/step-\d+\.npz$",  # an old one goes just before
    "model.keras": r"\.part\.keras$",
}
NAMES = {
    "a picture": r"/grids/", "a checkpoint": r"/checkpoints/", "the curves": r"metrics\.jsonl",
    "run.json": r"run\.json", "model.keras": r"\.keras", "a table": r"/evaluations/",
}  # fmt: skip


def _what(line: str) -> str:
    return next((what for what, name in NAMES.items() if re.search(name, line)), line)


@pytest.mark.fault("Disk full")
def test_full_wherever_it_writes(
    tmp_path: Path,
    disk: Path,
    quick: tuple[str, ...],
    straight: Callable[[int], Path],
    row: Row,
) -> None:
    first = ("train", *quick, f"trainer.steps={STEPS}", "tracking=none")
    hit: Counter[str] = Counter()
    lost = times = 0
    for what in [*list(AIMS)[:-1], *list(AIMS)[1:]]:
        run = next((path.parent for path in disk.glob("*/run.json")), None)
        arguments = ("train", "resume=latest") if run else first
        began = kept.saved_step(run) if run else 0
        typed = Typed(tmp_path, *arguments, f"paths.output_dir={disk}", stops_at=AIMS[what])
        assert typed.until_stopped(), typed.stdout + typed.stderr
        found = next(disk.glob("*/run.json")).parent
        fill(disk)
        typed.go_on()
        code = typed.wait()
        times += 1
        assert code == 1, typed.stdout + typed.stderr
        assert len(typed.stderr.splitlines()) <= 2, typed.stderr
        first_line, *advice = typed.stderr.splitlines()
        assert re.fullmatch(r"srexp: .*: No space left on device", first_line), first_line
        if advice:  # none before the run was taken up
            assert "To go on" in advice[0] or "before the first checkpoint" in advice[0]
        hit[_what(first_line)] += 1
        left = kept.left_behind(found)
        assert left == [], left
        saved, said = kept.saved_step(found), kept.info(found).get("progress", {}).get("step", 0)
        assert saved >= max(began, said)
        lost = max(lost, kept.last_step(found) - saved)
        empty(disk)
        RunFolder.open(found).settle()
        assert kept.info(found)["status"] in ("FAILED", "KILLED")
    typed = Typed(tmp_path, "train", "resume=latest", f"paths.output_dir={disk}")
    assert typed.wait() == 0, typed.stderr
    kept.assert_same(found, straight(STEPS))
    told = ", ".join(f"{what} {count}x" for what, count in sorted(hit.items()))
    print(hit)
    row(
        f"a tmpfs of 48 MB, filled while training; what could not be written: {told}",
        times,
        f"{lost} logged steps, computed again",
        "one clear line and exit code 1; with space again, bit for bit the same weights",
    )
    assert set(AIMS) <= set(hit), hit


@pytest.mark.fault("Disk full when all is trained, scored and written but the report")
@pytest.mark.parametrize("aim", [r"/samples/.*\.part$", r"/\.report\.html.*\.part$"])
def test_full_for_the_report(
    tmp_path: Path, disk: Path, quick: tuple[str, ...], row: Row, aim: str
) -> None:
    typed = Typed(
        tmp_path, "train", *quick, "trainer.steps=20", "tracking=none",
        f"paths.output_dir={disk}", stops_at=aim,
    )  # fmt: skip
    assert typed.until_stopped(), typed.stdout + typed.stderr
    fill(disk)
    typed.go_on()
    assert typed.wait() == 0, typed.stderr
    assert typed.stderr == ""
    assert "note: no report.html (No space left on device)" in typed.stdout
    (run,) = (path.parent for path in disk.glob("*/run.json"))
    assert kept.info(run)["status"] == "FINISHED"
    assert kept.left_behind(run) == []
    assert not (run / "report.html").exists()
    empty(disk)
    again = Typed(tmp_path, "report", str(run))
    assert again.wait() == 0, again.stderr
    assert (run / "report.html").stat().st_size > 1000
    what = "its pictures" if "samples" in aim else "the page"
    row(
        f"the tmpfs is filled before {what}",
        1,
        "the report; the run finishes and says so",
        "`srexp report RUN` makes it",
    )


@pytest.mark.fault("Disk full where MLflow's SQLite database is")
def test_full_for_the_database(
    tmp_path: Path,
    disk: Path,
    quick: tuple[str, ...],
    straight: Callable[[int], Path],
    row: Row,
) -> None:
    database = disk / "mlflow.db"
    typed = Typed(
        tmp_path, "train", *quick, f"trainer.steps={STEPS}", f"tracking.uri=sqlite:///{database}"
    )
    assert typed.until(lambda: next(tmp_path.glob("outputs/*/run.json"), None))
    run = kept.only_run(tmp_path)
    shown = kept.Shown(database, tmp_path / "outputs" / "mlartifacts")
    assert typed.until(lambda: shown.last_step(run) > 0)
    fill(disk)
    assert typed.wait() == 0, typed.stderr
    kept.assert_same(run, straight(STEPS))
    items = not_sent(typed)
    assert items > 0
    empty(disk)
    sync(run)
    shown.assert_once(run)
    row(
        "the tmpfs holds the database alone, and is filled",
        1,
        f"nothing; the run finishes, says that {items} items were not sent",
        "`srexp sync`'s way (Mirror: connect, send, finish): everything there, once",
    )
