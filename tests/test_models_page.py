"""docs/models.md is what scripts/models.py writes today."""

from __future__ import annotations

import importlib.util

import pytest
from tests_environment import ROOT


@pytest.mark.slow
def test_the_page_of_networks_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("models_page", ROOT / "scripts" / "models.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page()
