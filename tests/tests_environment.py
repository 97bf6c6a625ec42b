"""The environment in which tests start srexp."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]


def command_environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's leaks in, nothing leaks out."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SREXP_", "MLFLOW_"))}
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**kept, "PYTHONPATH": path, "XDG_STATE_HOME": str(home / "state"), **more}
