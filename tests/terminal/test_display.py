"""The screen of a training, in a terminal and elsewhere."""

from __future__ import annotations

import io

from rich.console import Console
from tests_scored import make_report

from srexp.terminal.display import TrainingDisplay


def drawn(display: TrainingDisplay) -> str:
    assert display._bar is not None
    return display._bar.tasks[0].fields["figures"]


def test_it_compiles_until_the_first_step() -> None:
    display = TrainingDisplay(Console(file=io.StringIO(), force_terminal=True))
    display.begin(40, 100)
    assert drawn(display) == "compiling"
    display.stepped(41)
    assert drawn(display) == ""


def test_worse_than_bicubic_is_below_it() -> None:
    screen = io.StringIO()
    display = TrainingDisplay(Console(file=screen, width=120))
    display.evaluated(50, [make_report([-9.74])])
    assert "dB, 9.74 dB below bicubic" in screen.getvalue()
