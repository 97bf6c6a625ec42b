"""Real stores: SQLite databases, and MLflow's own server with faults of ours."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests_mlflow import Server

from srexp.tracking.mlflow_store import Store, quiet_client


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client sets for its process is undone after each test."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT")
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")


@pytest.fixture
def store(migrated: Path, tmp_path: Path) -> Store:
    """A SQLite store of its own."""
    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    return Store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"), 5)


@pytest.fixture
def client(store: Store) -> Any:
    return quiet_client(store)


@pytest.fixture
def remote(server: Server, tmp_path: Path) -> Store:
    """The server as a store."""
    return Store(server.uri, "tests", str(tmp_path / "unused"), 2)
