"""Every network as a LiteRT file: `srexp upscale --run` runs it, and gives what Keras gives."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.degradations.downscale import Downscale
from srexp.evaluation.inference import upscaler
from srexp.models.enlarge import network_from_lr
from srexp.models.layers.rewriting import untransposed
from srexp.upscaling.export import litert
from srexp.upscaling.litert import LiteRT


@pytest.mark.slow
def test_the_exported_file_gives_what_the_network_gives(
    option, experiment, network_name: str, tmp_path
) -> None:
    model = option("model", network_name)
    scale = 3 if 3 in model.scales else 2
    act = experiment(f"model={network_name}").act
    network = model.build(scale=scale, channels=3, act=act)
    for variable in network.trainable_variables:  # some layers start at zero
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.01, seed=1))
    network = model.collapse(network)
    degradation = Downscale(scale=scale, interpolation="bicubic", engine="matlab", antialias=True)
    made = upscaler(network, model, degradation, 3)
    file = tmp_path / "network.tflite"
    file.write_bytes(litert(network_from_lr(untransposed(network), made)))
    run = LiteRT(file)
    for height, width in ((12, 14), (9, 31)):
        lr = np.random.default_rng(height).random((height, width, 3), np.float32)
        difference = np.abs(run(lr[None])[0] - made(lr)).max()
        assert difference < 1e-4, (height, width, difference)
