"""`srexp train init_from=RUN`: a new run with another run's weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srexp.training import checkpoint

# So small a rate that no float32 weight changes: what is saved is what it began with.
ONE_STEP = ("trainer.steps=1", "optimizer.learning_rate=1e-36", "benchmark=[]", "tracking=none")


def network(run: Path, which: str = "best.npz") -> dict[str, np.ndarray]:
    arrays, _ = checkpoint.load(run / "checkpoints" / which)
    return {name: array for name, array in arrays.items() if name.startswith("model/")}


def test_a_new_run_begins_with_the_best_weights_of_another(
    trained: Any, command: Any, tiny: Any, tmp_path: Path
) -> None:
    given = (*tiny, *ONE_STEP, "seed=5", "trainer.threads=1", f"init_from={trained.run}")
    done = command(tmp_path, "train", *given)
    assert done.code == 0, done.stderr
    source, ours = network(trained.run), network(done.run)
    assert source.keys() == ours.keys() and source
    for name, array in source.items():
        assert array.tobytes() == ours[name].tobytes(), name
    info, theirs = done.info(), trained.info()
    assert info["init_from"] == theirs["id"] and info["id"] != theirs["id"]
    digest = checkpoint.fingerprint(trained.run / "checkpoints" / "best.npz")
    config = json.loads((done.run / "config.json").read_text())
    assert config["init_from"] == f"{theirs['id']}@{digest}"
    assert info["config_digest"] != theirs["config_digest"]
    assert info["progress"]["step"] == 1


@pytest.mark.slow
def test_it_goes_on_without_the_other(
    trained: Any, command: Any, tiny: Any, tmp_path: Path
) -> None:
    done = command(tmp_path, "train", *tiny, *ONE_STEP, f"init_from={trained.run}")
    assert done.code == 0, done.stderr
    # Its own weights are saved, so it goes on although the other is not where it looks for it.
    more = command(tmp_path, "train", "resume=latest", "trainer.steps=2")
    assert more.code == 0, more.stderr
    assert more.info()["progress"]["step"] == 2 and more.run == done.run


def test_weights_of_another_network_are_refused_and_nothing_is_made(
    trained: Any, command: Any, tiny: Any, tmp_path: Path
) -> None:
    done = command(tmp_path, "train", *tiny, "model.depth=4", f"init_from={trained.run}")
    assert done.code == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("srexp: model.depth=4: ") and "a network with 3" in line
    assert not (tmp_path / "outputs").exists()
