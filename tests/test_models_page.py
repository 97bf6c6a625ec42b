"""docs/models.md is what scripts/models.py writes today, and what it says of learning is so."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from tests_environment import ROOT


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_page_of_networks_is_up_to_date() -> None:
    module = script("models")
    assert module.PAGE.read_text(encoding="utf-8") == module.page()


def recorded() -> list[dict[str, str]]:
    with (ROOT / "docs" / "results" / "rungs.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_network_was_tried_and_as_the_script_says() -> None:
    module = script("rungs")
    typed = {(row["model"], row["settings"], int(row["steps"])) for row in recorded()}
    assert typed == {(m, " ".join(settings), module.STEPS) for m, settings in module.trials()}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["srexp_tiny", "espcn"])
def test_a_network_learns_as_it_is_recorded(name: str, tmp_path: Path) -> None:
    """Better than bicubic, or not yet; on another machine the digits may differ, by little."""
    wanted = {row["image"]: float(row["psnr_gain"]) for row in recorded() if row["model"] == name}
    got = script("rungs").gains(name, [], str(tmp_path))
    assert got == pytest.approx(wanted, abs=0.25)
