"""Where scored runs go."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests_scored import scored_run

from srexp.tracking.record import RunFolder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "outputs"


@pytest.fixture
def make(output: Path) -> Callable[..., RunFolder]:
    """`make([0.5, 0.6], "seed=1")`: a finished run with these gains on set5, or these reports."""
    return partial(scored_run, output)
