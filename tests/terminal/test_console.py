"""What is printed where nobody can read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests_environment import command_environment

_COMMAND = """
import time
from rich.progress import Progress
from srexp.terminal.console import make_console
from srexp.terminal.exit import fail

console = make_console()
with Progress(console=console) as bar:
    bar.add_task("", total=2)
    console.print("step 1")
    time.sleep(0.3)  # the bar is drawn by a thread of its own
open("done", "w").close()
fail("stopped", 129)
"""


def test_a_terminal_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    """As after `disown` and a closed window: no signal comes, each word is an error (EIO)."""
    ours, theirs = os.openpty()
    os.close(ours)
    ended = subprocess.run(
        [sys.executable, "-c", _COMMAND],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        env=command_environment(tmp_path, FORCE_COLOR="1"),
        check=False,
    )
    os.close(theirs)
    assert (tmp_path / "done").exists()
    assert ended.returncode == 129
