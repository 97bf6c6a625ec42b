"""Weights of a network that enlarges by another factor: x2's body under x3's head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests_session import begin, pictures, tiny

from srexp.config.settings import experiment_of
from srexp.training.checkpoint import CheckpointError
from srexp.training.session import build_learner, build_network


def learner(folder: Path, *typed: str):
    experiment = experiment_of(tiny(folder, *typed))
    return build_learner(experiment, build_network(experiment))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures"))


def changed(name: str, array: np.ndarray) -> np.ndarray:
    return array + 1 if name.startswith("model/") else array


def test_what_fits_is_taken_and_the_rest_is_as_at_its_start(folder: Path) -> None:
    typed = ("model=srexp_tiny", "model.depth=3", "model.filters=4")
    source = learner(folder, *typed, "degradation.scale=2")
    source.restore({name: changed(name, array) for name, array in source.arrays().items()})
    ours = learner(folder, *typed, "degradation.scale=3")
    before, theirs = ours.arrays(), source.arrays()
    assert ours.set_weights(theirs, other_scale=True) == ["conv_3"]
    after = ours.arrays()
    for name, array in after.items():
        body = name.startswith("model/") and "conv_3" not in name
        assert array.tobytes() == (theirs if body else before)[name].tobytes(), name
    with pytest.raises(CheckpointError, match="another network"):
        ours.set_weights(theirs)


def test_layers_that_only_one_of_them_has(folder: Path) -> None:
    """EDSR has one enlarging layer at x2 and two at x4."""
    ours = learner(folder, "model=srexp_tiny", "model.depth=3", "model.filters=4")
    theirs = ours.arrays()
    theirs["model/upsample_2/kernel"] = np.zeros((3, 3, 4, 4), np.float32)
    assert ours.set_weights(theirs, other_scale=True) == []
    theirs = {name: array for name, array in theirs.items() if "conv_2" not in name}
    assert ours.set_weights(theirs, other_scale=True) == ["conv_2"]


def test_a_run_says_what_starts_anew(folder: Path, tmp_path: Path) -> None:
    typed = ("model=srexp_tiny", "model.depth=2", "model.filters=4", "degradation.scale=2")
    session = begin(tmp_path, tiny(folder, *typed))
    arrays = session.learner.arrays()
    assert session.start_from(arrays, scale=2) == []
    three = begin(tmp_path, tiny(folder, *typed[:3], "degradation.scale=3"))
    assert three.start_from(arrays, scale=2) == ["conv_2"]


def test_networks_with_nothing_in_common_are_refused(folder: Path) -> None:
    typed = ("model=srexp_tiny", "model.depth=2")
    source = learner(folder, *typed, "model.filters=4", "degradation.scale=2")
    ours = learner(folder, *typed, "model.filters=8", "degradation.scale=3")
    with pytest.raises(CheckpointError, match="no layer"):
        ours.set_weights(source.arrays(), other_scale=True)
