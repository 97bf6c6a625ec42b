"""What a run left: in its folder, and in MLflow's database as MLflow keeps it."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from srexp.tracking.mlflow_store import legal
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint

# What no two runs have in common.
VOLATILE = {"train/images_per_second", "train/data_wait"}

Curves = list[tuple[int, dict[str, float]]]


def only_run(folder: Path) -> Path:
    """The one run of `folder/outputs`."""
    (info,) = folder.glob("outputs/*/run.json")
    return info.parent


def info(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def points(run: Path) -> list[dict[str, Any]]:
    """Of metrics.jsonl, of which every line must be whole."""
    path = run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def last_step(run: Path) -> int:
    """The last that was logged; the last line of a killed run may be cut short."""
    steps = [point["step"] for point in RunFolder.open(run).points()]
    return max(steps, default=0)


def saved_step(run: Path) -> int:
    """Of the newest checkpoint, which must be sound."""
    paths = checkpoint.newest(run / "checkpoints")
    return int(checkpoint.load(paths[0])[1]["progress"]["step"]) if paths else 0


def weights(path: Path) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in checkpoint.load(path)[0].items()}


def curves(run: Path) -> Curves:
    return [
        (point["step"], {k: v for k, v in point["metrics"].items() if k not in VOLATILE})
        for point in points(run)
    ]


def assert_same(run: Path, straight: Path) -> None:
    """Weights bit for bit, curves number for number, every picture and table byte for byte."""
    for name in (checkpoint.newest(straight / "checkpoints")[0].name, "best.npz"):
        ours, theirs = (weights(folder / "checkpoints" / name) for folder in (run, straight))
        assert ours == theirs, name
    assert curves(run) == curves(straight)
    assert _drawn(run) == _drawn(straight) != {}
    assert info(run)["status"] == "FINISHED"
    assert info(run)["result"] == info(straight)["result"]
    assert left_behind(run) == []


def _drawn(run: Path) -> dict[str, bytes | None]:
    """Tables and pictures; final pictures by name, since the caption says when they were drawn."""
    return {
        str(path.relative_to(run)): None if path.name == "final.png" else path.read_bytes()
        for pattern in ("evaluations/**/*.csv", "grids/**/*.png")
        for path in run.glob(pattern)
    }


def left_behind(run: Path) -> list[str]:
    """Half-written files."""
    return [path.name for path in run.rglob(".*.part*")]


class Shown:
    """MLflow's SQLite database, read past MLflow, and its pictures."""

    def __init__(self, database: Path, artifacts: Path) -> None:
        self.database, self.artifacts = database, artifacts

    @classmethod
    def beside(cls, folder: Path) -> Shown:
        return cls(folder / "outputs" / "mlflow.db", folder / "outputs" / "mlartifacts")

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        store = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=60)
        try:
            return store.execute(query, values).fetchall()
        finally:
            store.close()

    def runs(self, run: Path) -> list[tuple[str, str]]:
        """(id, status) of all that show this run."""
        return self.ask(
            "select run_uuid, status from runs join tags using (run_uuid) "
            "where key='srexp.run' and tags.value=?", run.name,
        )  # fmt: skip

    def last_step(self, run: Path) -> int:
        if not self.database.exists() or not self.runs(run):
            return -1
        ((uid, _),) = self.runs(run)
        ((step,),) = self.ask("select max(step) from metrics where run_uuid=?", uid)
        return -1 if step is None else int(step)

    def assert_once(self, run: Path, status: str = "FINISHED", twice: int = 0) -> int:
        """One MLflow run that has every point and every picture of the folder once.

        Returns:
            How many pictures are there more than once: at most `twice`.
        """
        ((uid, shown_status),) = self.runs(run)
        assert shown_status == status
        history = Counter(
            (key, step)
            for key, step in self.ask("select key, step from metrics where run_uuid=?", uid)
        )
        wanted = {
            (legal(key), point["step"]): value
            for point in points(run)
            for key, value in point["metrics"].items()
        }
        assert set(history) == set(wanted)
        assert set(history.values()) == {1}, [key for key, count in history.items() if count > 1]
        for key, step, value in self.ask(
            "select key, step, value from metrics where run_uuid=? and not is_nan", uid
        ):
            if key not in VOLATILE and math.isfinite(wanted[key, step]):
                assert value == wanted[key, step], (key, step)
        pictures = Counter(self.pictures(uid))
        names = [
            str(p.relative_to(run / "grids").with_suffix("")) for p in run.glob("grids/**/*.png")
        ]
        drawn = {
            (name.rpartition("/")[0], int(name.rpartition("step-")[2]))
            for name in names
            if "/step-" in name
        }
        assert set(pictures) == drawn
        doubled = [key for key, count in pictures.items() if count > 1]
        assert len(doubled) <= twice, doubled
        return len(doubled)

    def pictures(self, uid: str) -> list[tuple[str, int]]:
        """(key, step) of each, from MLflow's own naming of files."""
        found = []
        for path in self.artifacts.glob(f"**/{uid}/artifacts/images/*.png"):
            named = re.match(r"(.+?)[+%]step[+%](\d+)[+%]timestamp", path.name)
            assert named, path.name
            found.append((re.sub("[~#]", "/", named[1]), int(named[2])))
        return found
