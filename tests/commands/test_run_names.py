"""A run is called by what was typed, wherever it is shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from mlflow import MlflowClient

from srexp.config.compose import compose
from srexp.running.claim import name_of
from srexp.running.job import Job


def test_a_trained_run_has_one_name(trained: Any, command: Any) -> None:
    name = "depth=3 filters=8 steps=60 hr_patch_size=24 …"
    info = trained.info()
    assert info["title"] == name and info["name"] == "depth-3_hr_patch_size-24"
    assert re.fullmatch(r"[\d_-]{20}depth-3_hr_patch_size-24_[0-9a-f]{4}", trained.run.name)
    assert f"<title>{name}</title>" in (trained.run / "report.html").read_text()
    shown = MlflowClient(f"sqlite:///{trained.folder}/outputs/mlflow.db").get_run(
        info["mlflow"]["run_id"]
    )
    assert shown.info.run_name.startswith(name)
    listed = command(trained.folder, "runs", "list").stdout
    assert trained.run.name in listed and name in listed


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "defaults"),
        (["model.depth=5", "trainer.steps=60", "tracking=none"], "depth=5 steps=60"),
        (["act=prelu", "seed=3"], "act=prelu seed=3"),
    ],
)
def test_without_a_command_line_a_run_is_called_by_what_differs(
    overrides: list[str], name: str
) -> None:
    assert name_of(compose(overrides=overrides), None, None) == name


def test_a_job_of_a_sweep_is_called_by_what_was_swept() -> None:
    assert name_of(compose(), None, Job("depth=3 seed=1", "a sweep")) == "depth=3 seed=1"
