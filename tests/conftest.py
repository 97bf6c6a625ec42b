"""Fixtures for all tests."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests_forked import Finished, Forks, light, ready
from tests_mlflow import Server
from tests_scored import scored_run

from srexp.tracking.mlflow_store import Store, quiet_client
from srexp.tracking.record import RunFolder

ROOT = Path(__file__).parents[1]

# A shell has what it starts in the background ignore it, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Likewise nohup.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Somebody's own settings of MLflow would send what the tests make to his server.
for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
    del os.environ[name]


def _shared() -> Path:
    return Path(os.environ.get("SREXP_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder that holds set5, set14, t91 and bsds200."""
    folder = _shared()
    if not (folder / "set5").is_dir():
        pytest.skip(f"no image sets in {folder} (set SREXP_TEST_DATA)")
    return folder


@pytest.fixture(scope="session")
def forks() -> Forks:
    """Commands start at once: TensorFlow and all that a training needs is imported already."""
    return ready()


@pytest.fixture(scope="session")
def command(forks: Forks) -> Callable[..., Finished]:
    """`command(folder, "train", ...)`: run it there, to its end."""

    def run(folder: Path, *arguments: str, timeout: int = 300) -> Finished:
        process = forks.start(folder, *arguments, timeout=timeout)
        code = process.wait()
        return Finished(folder, process.stdout, process.stderr, code)

    return run


@pytest.fixture(scope="session")
def light_forks() -> Forks:
    """Commands of which it matters that they import nothing heavy."""
    return light()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder, not there yet."""
    return tmp_path / "outputs"


@pytest.fixture
def make(output: Path) -> Callable[..., RunFolder]:
    """`make([0.5, 0.6], "seed=1")`: a finished run with these gains on set5, or these reports."""
    return partial(scored_run, output)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database; making it takes seconds, copying it does not."""
    path = tmp_path_factory.mktemp("store") / "deep" / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_DISABLE_TELEMETRY"):
            patch.setenv(name, "1")
        quiet_client(Store(f"sqlite:///{path}", "tests", str(path.parent), 5))
    return path


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(migrated, folder / "server.db")
    server = Server(folder)
    yield server
    server.close()


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """MLflow's own server, at work."""
    running_server.reset()
    yield running_server
    running_server.reset()
