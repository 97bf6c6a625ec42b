"""A run that Python trained, for several tests."""

from __future__ import annotations

from pathlib import Path

import pytest

import srexp

TINY = (
    "model.depth=2",
    "model.filters=4",
    "trainer.steps=6",
    "trainer.eval_every=3",
    "trainer.batch_size=2",
    "trainer.hr_patch_size=24",
    "trainer.sample_grids=0",
)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    return TINY


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> srexp.Run:
    folder: Path = tmp_path_factory.mktemp("library")
    return srexp.train(*TINY, "tracking=none", output_dir=folder)
