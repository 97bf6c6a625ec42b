"""The default configurations, composed once, and copies with a key changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from srexp.config.compose import compose

# Options whose keys the tests name, whatever the defaults of the day.
CHOSEN = (
    "data=photos", "degradation=bicubic", "act=leaky_relu", "model=deconv", "loss=mse",
    "optimizer=adam", "schedule=cosine", "protocol=rgb", "benchmark=photos", "tracking=mlflow",
)  # fmt: skip


@cache
def _composed(command: str, *overrides: str) -> dict[str, Any]:
    return compose(command, list(overrides))


@pytest.fixture(scope="session")
def composed() -> Callable[..., dict[str, Any]]:
    """`composed("train", "act=relu")`: plain data, one's own copy."""
    return lambda command="train", *overrides: copy.deepcopy(_composed(command, *overrides))


@pytest.fixture(scope="session")
def changed(composed: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """`changed("train", {"model.depth": 3})`: as if composed so, in no time."""

    def change(command: str, changes: dict[str, Any], *overrides: str) -> dict[str, Any]:
        values = composed(command, *(CHOSEN if command == "train" else ()), *overrides)
        for dotted, value in changes.items():
            *path, last = dotted.split(".")
            node = values
            for key in path:
                node = node[key]
            node[last] = value
        return values

    return change
