"""What stands for a reboot, which no test can make: the order in which things reach the disk."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from reliability import kept
from reliability.conftest import Row
from tests_environment import command_environment

pytestmark = pytest.mark.slow

_CALL = re.compile(r"^\d+ +(fsync|rename)\((.*)\) += 0$")


def _calls(log: Path, folder: Path) -> list[tuple[str, str, str]]:
    """(call, path, new path), paths relative to the run; those of other places left out."""
    found = []
    for line in log.read_text().splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        paths = re.findall(r"<([^>]*)>" if call[1] == "fsync" else r'"([^"]*)"', call[2])
        paths = [path.removeprefix(str(folder)) for path in paths if path.startswith(str(folder))]
        if paths:
            found.append((call[1], *[path.lstrip("/") for path in [*paths, ""][:2]]))
    return found


@pytest.mark.fault("Power cut, reboot")
def test_everything_reaches_the_disk_before_it_is_named(
    tmp_path: Path, quick: tuple[str, ...], row: Row
) -> None:
    if shutil.which("strace") is None:
        pytest.skip("no strace (Debian: apt install strace)")
    log = tmp_path / "calls"
    done = subprocess.run(
        ["strace", "-f", "-y", "--seccomp-bpf", "-e", "trace=fsync,rename", "-s", "4096", "-o",
         str(log), sys.executable, "-m", "srexp", "train", *quick, "trainer.steps=60",
         "tracking=none"],
        cwd=tmp_path, env=command_environment(tmp_path), capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, timeout=400,
    )  # fmt: skip
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here ({done.stderr.splitlines()[0]})")
    assert done.returncode == 0, done.stderr
    run = kept.only_run(tmp_path)
    calls = _calls(log, run)
    names = [name for call, _, name in calls if call == "rename"]
    for name in ("step-0000020.npz", "best.npz"):
        assert f"checkpoints/{name}" in names
    assert {"run.json", "config.json", "model.keras"} <= set(names)
    for at, (call, beside, name) in enumerate(calls):
        if call != "rename":
            continue
        assert ("fsync", beside, "") in calls[:at], f"{name} was named before it was on the disk"
        folder = "" if "/" not in name else name.rpartition("/")[0]
        assert calls[at + 1] == ("fsync", folder, ""), f"the name {name} was not flushed"
    saved = [at for at, (_, _, name) in enumerate(calls) if name.startswith("checkpoints/step")]
    assert len(saved) == 3
    for before, at in zip([0, *saved], saved, strict=False):
        assert ("fsync", "metrics.jsonl", "") in calls[before:at], "points not before a checkpoint"
    whole = _calls(log, run.parent)
    assert ("fsync", "", "") in whole, "the run's own name was not flushed"
    row(
        "strace of a run: each file is flushed, renamed, its folder flushed, in this order; the "
        "points of a checkpoint before it; the reboot itself cannot be made here",
        len(names),
        "what a disk that obeys fsync keeps: all that was said to be saved",
        "as after kill -9",
        fault="Power cut, reboot: what stands for it",
    )
