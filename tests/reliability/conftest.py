"""The table of docs/reliability.md, written by the tests that it tells of."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reliability import kept
from reliability.typed import Typed

from srexp.tracking.record import processor

# Trains in seconds on a single core, with what a run can have: pictures, tables, curves, MLflow.
QUICK = (
    "model.depth=2", "model.filters=4", "trainer.eval_every=20", "trainer.batch_size=2",
    "trainer.hr_patch_size=24", "trainer.sample_grids=1", "trainer.threads=1",
    "trainer.jit_compile=false", "benchmark=[]", "data=folder",
)  # fmt: skip
HEADINGS = ("Fault", "How it was made", "Times", "Lost at most", "The next start")
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"

_rows: dict[str, list[tuple[str, ...]]] = {}
_faults: dict[str, str] = {}

Row = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reliability-table", type=Path, help="the document whose table is to be measured anew"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(name): what a test of reliability makes happen")
    config.addinivalue_line("markers", "elsewhere: a test of another folder, here for the table")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--reliability-table", None) is None:
        items[:] = [item for item in items if item.get_closest_marker("elsewhere") is None]
    for item in items:
        marker = item.get_closest_marker("fault")
        if marker is not None:
            _faults[item.nodeid] = marker.args[0]


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """Note what was measured: how, times tried, what was lost, what the next start did."""

    def note(how: str, times: int, lost: str, then: str, fault: str | None = None) -> None:
        node = request.node.nodeid
        _rows.setdefault(node, []).append((fault or _faults[node], how, str(times), lost, then))

    return note


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A test that did not pass says so in the table."""
    if report.nodeid not in _faults or report.passed:
        return
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
        said = reason.removeprefix("Skipped: ")
    else:
        said = "THE TEST FAILED"
    _rows[report.nodeid] = [(_faults[report.nodeid], f"skipped: {said}", "0", "-", "-")]


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--reliability-table", None)
    if path is None:
        return
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + " --- |" * len(HEADINGS)]
    for node in _faults:
        for cells in _rows.get(node, [(_faults[node], "not run", "0", "-", "-")]):
            lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    packages = ", ".join(f"{p} {version(p)}" for p in ("tensorflow", "keras", "mlflow", "numpy"))
    command = shlex.join(["python", "-m", "pytest", *session.config.invocation_params.args])
    measured = (
        f"Measured on {time.strftime('%Y-%m-%d')} with `{command}`,\non {processor()} "
        f"({len(os.sched_getaffinity(0))} cores), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()},\n{packages}.\n\n"
    )
    text = path.read_text()
    assert _BEGIN in text and _END in text, f"{path} has no place for the table"
    table = f"{_BEGIN}\n\n{measured}" + "\n".join(lines) + f"\n\n{_END}"
    path.write_text(re.sub(f"{_BEGIN}.*{_END}", lambda _: table, text, flags=re.DOTALL))


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Arguments of a tiny training on three pictures."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, count in (("train", 3), ("val", 1)):
        (folder / part).mkdir()
        for index in range(count):
            rough = random.integers(0, 256, (12, 12, 3))
            smooth = np.kron(rough, np.ones((4, 4, 1))).astype(np.uint8)
            Image.fromarray(smooth).save(folder / part / f"{index}.png")
    dirs = (f"data.train_dir={folder / 'train'}", f"data.val_dir={folder / 'val'}")
    return (*QUICK, *dirs)


@pytest.fixture(scope="session")
def straight(
    quick: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Path]:
    """The run of so many steps to which nothing happened."""
    made: dict[int, Path] = {}

    def make(steps: int) -> Path:
        if steps not in made:
            typed = Typed(
                tmp_path_factory.mktemp("straight"), "train", *quick, f"trainer.steps={steps}",
                "tracking=none",
            )  # fmt: skip
            assert typed.wait() == 0, typed.stderr
            made[steps] = kept.only_run(typed.folder)
        return made[steps]

    return make


if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]  # forks, signals, mounts
