"""Every network as a LiteRT file, which `srexp upscale --run` runs, and as an HTML file: each gives
what Keras gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from srexp.degradations.downscale import Downscale
from srexp.evaluation.inference import upscaler
from srexp.models.enlarge import clipped, network_from_lr
from srexp.models.layers.rewriting import untransposed
from srexp.upscaling.browser import file as html
from srexp.upscaling.export import litert
from srexp.upscaling.litert import LiteRT


@pytest.fixture(scope="module")
def network(option, experiment, network_name: str) -> tuple[Any, Any]:
    """From LR to SR, and the same as evaluations take it."""
    model = option("model", network_name)
    scale = 3 if 3 in model.scales else 2
    act = experiment(f"model={network_name}").act
    made = model.build(scale=scale, channels=3, act=act)
    for variable in made.trainable_variables:  # some layers start at zero
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.01, seed=1))
    made = model.collapse(made)
    degradation = Downscale(scale=scale, interpolation="bicubic", engine="matlab", antialias=True)
    scored = upscaler(made, model, degradation, 3)
    return network_from_lr(untransposed(made), scored), scored


def compare(
    run: Any, scored: Any, height: int, width: int, finish: Any = lambda image: image
) -> None:
    lr = np.random.default_rng(height).random((height, width, 3), np.float32)
    difference = np.abs(run(lr[None])[0] - finish(scored(lr))).max()
    assert difference < 1e-4, (height, width, difference)


@pytest.mark.slow
def test_the_litert_file_gives_what_the_network_gives(network: Any, tmp_path: Path) -> None:
    whole, scored = network
    file = tmp_path / "network.tflite"
    file.write_bytes(litert(whole))
    run = LiteRT(file)
    for height, width in ((12, 14), (9, 31)):
        compare(run, scored, height, width)


@pytest.mark.slow
def test_the_html_file_gives_what_the_network_gives(network: Any, tmp_path: Path) -> None:
    whole, scored = network
    page = tmp_path / "network.html"
    html.write(clipped(whole), page, "float32")
    run = html.load(page)
    if run is None:
        pytest.skip(f"none of {', '.join(html.BROWSERS)}")
    compare(run, scored, 12, 14, finish=lambda image: np.clip(image, 0, 1))
