"""`srexp train init_from=RUN`: a new run with another run's weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import srexp
from srexp.training import checkpoint
from srexp.upscaling import bundled

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


def test_a_new_run_begins_as_a_network_that_comes_with_srexp(command: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    picture = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "in" / "a.png")
    given = ("experiment=tiny_clean_x2", "init_from=tiny_clean_x2", *ONE_STEP)
    given += ("data=folder", "data.train_dir=in", "data.rescaled=null", "trainer.batch_size=1")
    done = command(tmp_path, "train", *given)
    assert done.code == 0, done.stderr
    assert done.info()["init_from"] == "tiny_clean_x2"
    lr = np.random.default_rng(0).random((20, 30, 3), np.float32)
    theirs = np.clip(bundled.method("clean").network(2)(lr), 0, 1)
    ours = srexp.open_run(done.run).upscale(lr)
    # LiteRT takes the float16 weights; what it computes may differ from Keras in the third digit.
    assert np.abs(ours - theirs).max() < 2e-3


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
