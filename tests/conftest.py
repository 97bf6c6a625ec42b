"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _shared() -> Path:
    return Path(os.environ.get("SREXP_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that holds set5, set14, t91 and bsds200."""
    folder = _shared()
    if not (folder / "set5").is_dir():
        pytest.skip(f"no image sets in {folder} (set SREXP_TEST_DATA)")
    return folder
