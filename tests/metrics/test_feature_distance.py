"""The feature distance is the perceptual loss of the same images, and says whose weights it has."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from srexp.losses.perceptual import Perceptual
from srexp.metrics.feature_distance import FeatureDistance
from srexp.options import OptionError

LAYERS = ["block1_conv2", "block2_conv2"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None, include_top=False)
    network.set_weights([w if w.ndim == 4 else w + 0.5 for w in network.get_weights()])
    path = tmp_path_factory.mktemp("weights") / "vgg.weights.h5"
    network.save_weights(path)
    return str(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_perceptual_loss(file: str, channels: int) -> None:
    random = np.random.default_rng(0)
    sr, hr = (random.integers(0, 256, (24, 33, channels)).astype(np.uint8) for _ in range(2))
    metric = FeatureDistance(trunk=file, layers=LAYERS)
    metric.prepare()
    loss = Perceptual(weights=file, layers=LAYERS, before_relu=False, distance="mse")
    wanted = float(loss.value(*(image[None] / np.float32(255) for image in (hr, sr))))
    assert metric(sr, hr) == pytest.approx(wanted, rel=1e-5) and wanted > 0
    assert metric(hr, hr) == 0
    assert metric.weights == f"{file} [{metric._trunk.digest}]" and metric.minimum_side == 2
    assert "not LPIPS" in FeatureDistance(trunk="hed", layers=LAYERS)._trunk.caveat


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"^trunk=none\.h5: no such file; must be hed") as told:
        FeatureDistance(trunk="none.h5", layers=LAYERS).prepare()
    assert told.value.key == "trunk"
