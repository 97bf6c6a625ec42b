"""Every experiment file composes by the command in its header, and the headers are complete."""

from __future__ import annotations

import re

import pytest
from tests_environment import ROOT

from srexp.config.compose import compose
from srexp.config.settings import experiment_of

EXPERIMENTS = sorted((ROOT / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_commands_of_the_header_compose(path) -> None:
    text = path.read_text()
    commands = re.findall(r"^#\s+srexp train (.+)$", text, re.MULTILINE)
    # One that starts from another run says first how that is made.
    assert f"experiment={path.stem}" in [command.split(" init_from=")[0] for command in commands]
    for command in commands:
        experiment = experiment_of(compose("train", command.replace("DIR", "pictures").split()))
        assert experiment.model.trainable


def test_tutorial_is_as_its_text_says() -> None:
    """The 2018 tutorial: white 128x128, halved, 7 layers, 32 filters, leaky ReLU, tanh, MSE."""
    values = compose("train", ["experiment=tutorial2018"])
    experiment = experiment_of(values)
    assert values["data"]["prepare"] == "white_square" and values["data"]["prepare_size"] == 128
    assert values["degradation"]["scale"] == 2 and values["degradation"]["engine"] == "pillow"
    model = values["model"]
    assert (model["depth"], model["filters"], model["output_activation"]) == (7, 32, "tanh")
    assert model["value_range"] == [-1, 1] and model["residual"] is False
    assert experiment.act.name == "leaky_relu" and experiment.loss.name == "mse"


def test_srcnn_is_the_papers() -> None:
    """Dong et al., ECCV 2014: f1=9, f2=1, f3=5, n1=64, n2=32, ReLU, luma, 33x33 sub-images."""
    values = compose("train", ["experiment=srcnn_915_x3_t91"])
    model = values["model"]
    assert (model["filters"], model["kernel_sizes"]) == ([64, 32], [9, 1, 5])
    assert values["act"]["name"] == "relu" and values["color"] == "y"
    assert values["trainer"]["hr_patch_size"] == 33 and values["degradation"]["scale"] == 3
    assert list(values["protocol"]) == ["y_paper"]
    assert list(values["benchmark"]) == ["set5", "set14"]
    assert compose("train", ["model=srcnn", "act=prelu"])["act"]["name"] == "prelu"
