"""The index says what the run folders say, whatever happened to it or to them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_scored import make_report, write_report

from srexp.comparison import index
from srexp.comparison.index import FORMAT, NAME, folder_size, indexed
from srexp.comparison.results import find_files, read_run
from srexp.comparison.summary import Summary, find_timing, summarize
from srexp.tracking.record import RunFolder, runs

GAINS = [0.5, 0.7, 0.2, 0.4, 0.9]
Make = Callable[..., RunFolder]


def truth(output: Path) -> dict[str, list[Summary]]:
    """Run -> its scores, from the run folders alone."""
    found = {}
    for run in runs(output):
        files = find_files(run.folder)
        found[run.id] = [
            summarize(evaluation, timing=find_timing(evaluation, files))
            for evaluation in read_run(run).evaluations.values()
        ]
    return found


def said(output: Path) -> dict[str, list[Summary]]:
    return {entry.run.id: entry.summaries for entry in indexed(output, scores=True)}


def rewrite(path: Path, old: str, new: str) -> None:
    """In place: the same inode."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_what_is_indexed_is_what_the_folders_say(make: Make, output: Path) -> None:
    run = make([make_report(GAINS), make_report(GAINS[:3], images="set14")], "trainer.steps=60")
    make([make_report([0.1, 0.2], scale=3)])
    for _ in range(2):  # made, and read
        assert said(output) == truth(output)
        (first, _) = indexed(output, scores=True, sizes=True)
        assert (first.run.id, first.run.info, first.steps) == (run.id, run.info, 60)
        assert first.bytes == sum(p.stat().st_size for p in run.folder.rglob("*") if p.is_file())
    set14, set5 = first.summaries
    assert (set5.task.name, set5.images, set5.psnr) == ("set5_x2/y_paper", 5, 32 + sum(GAINS) / 5)
    assert set14.gain.mean == pytest.approx(sum(GAINS[:3]) / 3, abs=1e-12)


def test_an_untouched_run_is_not_read_again(make: Make, output: Path) -> None:
    table = make(GAINS).folder / "evaluations/set5_x2/y_paper/final.csv"
    before, stat = said(output), table.stat()
    rewrite(table, "image4", "image5")
    os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    rewrite(table, "y_paper", "y_other")  # would be a fault
    os.utime(table, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert said(output) == before  # cannot be known
    os.utime(table)
    (entry,) = indexed(output, scores=True)
    assert entry.summaries == [] and len(entry.faults) == 1


def _evaluate(run: RunFolder) -> None:
    write_report(run, make_report([1.0] * 5), "deconv_2099-01-01_00-00-00.csv")


def _time(run: RunFolder) -> None:
    path = run.folder / "evaluations/set5_x2/y_paper/deconv_2099-01-01_00-00-00.json"
    path.write_text(
        '{"method": "deconv", "created": 9, "timing": {"ms_per_megapixel": 7.5, "device": "cpu"}}'
    )


def _replace(run: RunFolder) -> None:
    """By a file of the same size and time, as on a disk whose clock is coarse."""
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    stat, beside = path.stat(), path.with_name("beside")
    beside.write_text(path.read_text().replace("step 60", "step 90"))
    os.utime(beside, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(beside, path)


def _other_set(run: RunFolder) -> None:
    write_report(run, make_report([1.0] * 3, images="set14"))


CHANGES = (
    _evaluate,
    _time,
    _replace,
    _other_set,
    lambda run: rewrite(run.folder / "evaluations/set5_x2/y_paper/final.csv", "5", "6"),
    lambda run: (run.folder / "evaluations/set5_x2/y_paper/final.csv").unlink(),
    lambda run: run.update(gains={}, status="FAILED"),
    lambda run: shutil.rmtree(run.folder),
)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(make: Make, output: Path, change: Callable[..., Any]) -> None:
    run, other = make(GAINS), make([0.1, 0.2])
    before = said(output)
    change(run)
    assert said(output) == truth(output)
    assert said(output)[other.id] == before[other.id]
    assert [e.run.info for e in indexed(output)] == [r.info for r in runs(output)]


def test_a_newer_timing_counts(make: Make, output: Path) -> None:
    run = make(GAINS)
    _time(run)
    older = run.folder / "evaluations/set5_x2/y_paper/deconv_2098-01-01_00-00-00.json"
    older.write_text(
        '{"method": "deconv", "created": 8, "timing": {"ms_per_megapixel": 9, "device": "cpu"}}'
    )
    for name, text in (("2099-02-01", '{"method": "deconv", "timing": null}'),
                       ("2099-03-01", '{"method": "deconv+", "timing": {"ms_per_megapixel": 1, '
                        '"device": "cpu"}}'), ("2099-04-01", '{"method"')):  # fmt: skip
        older.with_name(f"x_{name}_00-00-00.json").write_text(text)
    ((scores,),) = said(output).values()
    assert scores.timing is not None
    assert (scores.timing.ms_per_megapixel, scores.timing.device) == (7.5, "cpu")


def _flip(content: bytes) -> bytes:
    """Another digit in a number: still an index by its looks."""
    at = content.index(b'"mean":0.') + 9
    return content[:at] + (b"1" if content[at : at + 1] != b"1" else b"2") + content[at + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: b"",
        lambda c: c[: len(c) // 2],
        lambda c: c[:-1],
        _flip,
        lambda c: b"no index\n",
        lambda c: b"\xff\xfe" + c,
        lambda c: b"[]\n" + c.split(b"\n", 1)[1],
        lambda c: c.replace(f'"format": {FORMAT}'.encode(), b'"format": 0', 1),
        lambda c: c.replace(b'"srexp": "', b'"srexp": "9', 1),
    ],
)
def test_a_damaged_index_is_made_anew(
    make: Make, output: Path, damage: Callable[[bytes], bytes]
) -> None:
    make(GAINS)
    before = said(output)
    index = output / NAME
    sound = index.read_bytes()
    index.write_bytes(damage(sound))
    assert index.read_bytes() != sound
    assert said(output) == before
    assert index.read_bytes() == sound


def test_an_index_with_other_fields_has_another_number() -> None:
    """Whoever changes what a line holds changes `FORMAT` too: an older index would be misread."""
    assert (FORMAT, [field.name for field in fields(Summary)]) == (
        2,
        ["task", "method", "weights", "images", "infinite", "gain", "psnr", "ssim", "psnr_bicubic",
         "ssim_bicubic", "timing"],
    )  # fmt: skip


def test_where_it_cannot_be_written_there_is_none(make: Make, output: Path) -> None:
    make(GAINS)
    expected = truth(output)
    (output / NAME).mkdir()  # nobody may write a file there, root included
    assert said(output) == expected == said(output)
    assert [path.name for path in output.iterdir() if path.name.startswith(".")] == [NAME]
    (output / NAME).rmdir()
    if os.geteuid():
        output.chmod(0o555)
        try:
            assert said(output) == expected
            assert not (output / NAME).exists()
        finally:
            output.chmod(0o755)


def test_no_folder_and_an_empty_one_stay_as_they_are(tmp_path: Path) -> None:
    assert indexed(tmp_path / "none", scores=True, sizes=True) == []
    assert indexed(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_is_marked_so(make: Make, output: Path) -> None:
    run = make(GAINS)
    run.update(status="RUNNING")
    for _ in range(2):
        assert [entry.run.info["status"] for entry in indexed(output)] == ["KILLED"]


def test_the_size_of_a_running_run_is_that_of_now(make: Make, output: Path) -> None:
    run = make(GAINS)
    run.update(status="RUNNING")
    with run.lock:
        before = indexed(output, sizes=True)[0].bytes
        (run.checkpoints / "step-0000001.npz").write_bytes(bytes(1000))
        after = indexed(output, sizes=True)[0].bytes
    assert before is not None and after == before + 1000 == folder_size(run.folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda run: shutil.rmtree(run.folder / "grids"),
        lambda run: (run.checkpoints / "step-0000001.npz").unlink(),
        lambda run: (run.folder / "report.html").write_bytes(bytes(300)),
        lambda run: shutil.rmtree(run.folder / "grids" / "set5_x2"),
    ],
)
def test_the_size_is_that_after_something_came_or_went(
    make: Make, output: Path, change: Callable[[RunFolder], Any]
) -> None:
    run = make(GAINS)
    (run.folder / "grids" / "set5_x2").mkdir(parents=True)
    (run.folder / "grids" / "set5_x2" / "a.png").write_bytes(bytes(1000))
    (run.checkpoints / "step-0000001.npz").write_bytes(bytes(1000))
    (before,) = indexed(output, sizes=True)
    change(run)
    (after,) = indexed(output, sizes=True)
    assert before.bytes != after.bytes == folder_size(run.folder)


def test_the_size_is_measured_once(
    make: Make, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(GAINS)
    (before,) = indexed(output, sizes=True)
    monkeypatch.setattr(index, "folder_size", lambda folder: pytest.fail("measured again"))
    assert indexed(output, sizes=True)[0].bytes == before.bytes


def test_several_processes_at_once(make: Make, output: Path, tmp_path: Path) -> None:
    """While runs come, change and go, and somebody deletes the index."""
    lasting = [make([0.1 * i, 0.2]) for i in range(1, 4)]
    code = (
        "import sys; from pathlib import Path; from srexp.comparison.index import NAME, indexed\n"
        "output, ids = Path(sys.argv[1]), set(sys.argv[2:])\n"
        "for turn in range(40):\n"
        "    if turn % 10 == 9: (output / NAME).unlink(missing_ok=True)\n"
        "    entries = indexed(output, scores=True, sizes=turn % 2 == 0)\n"
        "    assert ids <= {e.run.id for e in entries}\n"
        "    assert all(s.images == 2 for e in entries for s in e.summaries)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(output), *(run.id for run in lasting)],
            env=command_environment(tmp_path), stderr=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    while any(process.poll() is None for process in processes):
        run = make([0.3, 0.4])
        _other = write_report(run, make_report([1.0, 2.0], images="set14"))
        shutil.rmtree(run.folder)
    for process in processes:
        _, error = process.communicate()
        assert process.returncode == 0, error
    assert said(output) == truth(output)
    assert not list(output.glob(".*.part"))


def test_an_index_without_scores_gets_them_when_they_are_asked_for(
    make: Make, output: Path
) -> None:
    make(GAINS)
    (entry,) = indexed(output)
    assert entry.scores is None and entry.bytes is None
    assert said(output) == truth(output)
    (entry,) = indexed(output, sizes=True)
    assert entry.bytes == folder_size(entry.run.folder)
    lines = (output / NAME).read_text().splitlines()
    assert len(lines) == 2
    assert {"scores", "bytes"} <= json.loads(lines[1]).keys()
