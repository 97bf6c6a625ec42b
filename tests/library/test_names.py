"""`import srexp`: its names, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import srexp


def test_importing_costs_nothing_heavy() -> None:
    code = (
        "import sys, srexp; dir(srexp);"
        "print(*sorted({m.split('.')[0] for m in sys.modules}"
        " & {'numpy', 'hydra', 'omegaconf', 'keras', 'tensorflow', 'mlflow', 'rich', 'PIL'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_listed_name_is_there_and_documented() -> None:
    assert set(srexp.__all__) <= set(dir(srexp))
    for name in set(srexp.__all__) - {"__version__"}:
        assert getattr(srexp, name).__doc__, name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        srexp.trian  # noqa: B018
