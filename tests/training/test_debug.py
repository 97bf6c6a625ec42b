"""`debug=smoke` and `debug=overfit`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests_session import begin, finish, logged, pictures

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.training.materials import gather


@pytest.fixture
def debug(tmp_path: Path) -> Any:
    folder = pictures(tmp_path / "pictures")
    data = ["data=folder", f"data.train_dir={folder}", f"data.val_dir={folder / 'val'}"]
    return lambda name, *more: compose(overrides=[f"debug={name}", *data, *more])


@pytest.mark.parametrize("experiment", [None, "tutorial2018", "srcnn_915_x3_t91"])
@pytest.mark.parametrize("name", ["smoke", "overfit"])
def test_it_has_the_last_word_over_an_experiment(name: str, experiment: str | None) -> None:
    chosen = [f"experiment={experiment}"] if experiment else []
    plain = compose(overrides=chosen)
    values = compose(overrides=[*chosen, f"debug={name}"])
    experiment_of(values)
    assert values["tracking"] == {"name": "none"}
    assert values["trainer"]["steps"] == {"smoke": 4, "overfit": 1000}[name]
    assert values["paths"]["output_dir"] == plain["paths"]["output_dir"] + "/debug"
    for untouched in ("model", "act", "data", "degradation", "loss", "protocol", "color"):
        assert values[untouched] == plain[untouched], untouched
    mine = compose(overrides=["trainer.steps=7", f"debug={name}", "paths.output_dir=o"])
    assert (mine["trainer"]["steps"], mine["paths"]["output_dir"]) == (7, "o")


def test_overfit_learns_its_batch_by_heart(tmp_path: Path, debug: Any) -> None:
    values = debug("overfit", "trainer.steps=200", "trainer.eval_every=200", "loss=mse")
    sampler = gather(experiment_of(values)).sampler
    first = sampler.batch(0)
    assert all(np.array_equal(first[0], sampler.batch(step)[0]) for step in (1, 57))
    run = finish(begin(tmp_path / "runs", values))
    psnr = [-10 * math.log10(value) for _, key, value in logged(run) if key == "train/loss"]
    # 39.2 dB in the first ten steps, then 52.9; from 38.0 to 44.4 with new batches at every step.
    assert psnr[-1] > psnr[0] + 10, psnr
    rates = {value for _, key, value in logged(run) if key == "train/learning_rate"}
    assert len(rates) == 1, "a schedule that falls would end the learning"
