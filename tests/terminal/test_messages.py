"""What `srexp train` says besides its progress."""

from __future__ import annotations

import io
import re

from rich.console import Console

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.terminal.messages import describe_sweep


def test_a_sweep_is_described_by_a_line_a_job() -> None:
    tiny = ["model.filters=4", "trainer.batch_size=2", "trainer.hr_patch_size=12"]
    jobs = ["model.depth=2", "model.depth=4", "model.depth=3 trainer.steps=20"]
    experiments = [experiment_of(compose(overrides=[*tiny, *job.split()])) for job in jobs]
    screen = io.StringIO()
    console = Console(file=screen, width=80)
    describe_sweep(console, jobs, experiments, ["two pictures were passed over"])
    text = screen.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    rows = [line.split("│")[1:-1] for line in text.splitlines() if line.startswith("│")]
    cells = [[cell.strip() for cell in row] for row in rows if row[0].strip()]
    # 3 to 4 channels and back, between them 4 to 4; kernels of 9.
    assert [row[2] for row in cells] == ["223", "519", "371"]
    assert [row[4] for row in cells] == ["500", "500", "20"]
    times = [row[5] for row in cells]
    assert all(re.fullmatch(r"~?\d+:\d\d", time) for time in times)
    assert [time.startswith("~") for time in times] == [False, False, True]
    assert "note: two pictures were passed over" in text
    assert "3 runs, about" in text and "one after the other" in text
