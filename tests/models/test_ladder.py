"""Networks of papers: how many weights they have, what they start at, what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.evaluation import cost
from srexp.evaluation.inference import upscaler
from srexp.images.resize import enlarge
from srexp.models.parts import factors
from srexp.options import OptionError
from srexp.training.experiment import Experiment


def experiment(*overrides: str) -> Experiment:
    return experiment_of(compose("train", ["trainer.hr_patch_size=48", *overrides]))


def counted(given: Experiment, *endings: str) -> int:
    network = given.model.build(
        scale=given.degradation.scale, channels=given.channels, act=given.act
    )
    return sum(math.prod(v.shape) for v in network.trainable_variables if v.path.endswith(endings))


@pytest.mark.parametrize(
    ("model", "scale", "weights", "biases", "giga"),
    [
        # Sums of k² c_in c_out, by hand; multiply-adds for an SR image of 1280x720.
        ("espcn", 2, 25 * 64 + 9 * 64 * 32 + 9 * 32 * 4, 64 + 32 + 4, 4.88),
        ("espcn", 3, 25 * 64 + 9 * 64 * 32 + 9 * 32 * 9, 64 + 32 + 9, 2.32),
        ("espcn", 4, 25 * 64 + 9 * 64 * 32 + 9 * 32 * 16, 64 + 32 + 16, 1.42),
        ("vdsr", 2, 9 * 64 * 2 + 18 * 9 * 64 * 64, 19 * 64 + 1, 612.6),
        ("fsrcnn", 3, 12464, 173, 1.28),
        ("srexp_tiny", 3, 9 * 32 + 6 * 9 * 32 * 32 + 9 * 32 * 9, 7 * 32 + 9, 5.96),
    ],
)
def test_weights_biases_and_multiply_adds(
    model: str, scale: int, weights: int, biases: int, giga: float
) -> None:
    given = experiment(f"model={model}", "color=y", f"degradation.scale={scale}")
    assert counted(given, "kernel") == weights
    assert counted(given, "bias") == biases
    network = given.model.build(scale=scale, channels=1, act=given.act)
    measured = cost.measure(network, given.model, scale)
    assert measured.multiply_adds / 1e9 == pytest.approx(giga, rel=0.005)


@pytest.mark.parametrize(
    ("typed", "scale", "parameters", "giga"),
    [
        # As printed in the papers and their successors' tables, multiply-adds in G for 1280x720.
        ("model=carn model.filters=64", 2, 964_163, 222.8),
        ("model=carn model.filters=64", 4, 1_111_875, 90.9),
        ("model=carn_m", 2, 257_027, 91.2),
        ("model=carn_m", 3, 303_427, 46.1),
        ("model=imdn model.blocks=6 model.filters=64 model.reduction=16", 2, 694_404, 158.8),
        ("model=imdn model.blocks=6 model.filters=64 model.reduction=16", 4, 715_176, 40.9),
        ("model=pan model.blocks=16", 2, 261_403, 70.5),
        ("model=pan model.blocks=16", 4, 272_419, 28.2),
    ],
)
def test_light_networks_have_the_printed_size(
    typed: str, scale: int, parameters: int, giga: float
) -> None:
    given = experiment(*typed.split(), f"degradation.scale={scale}")
    network = given.model.build(scale=scale, channels=3, act=given.act)
    measured = cost.measure(network, given.model, scale)
    assert measured.parameters == parameters
    assert measured.multiply_adds / 1e9 == pytest.approx(giga, rel=0.005)


def test_each_network_has_the_activation_of_its_paper() -> None:
    wanted = {
        "srcnn": "relu", "espcn": "tanh", "fsrcnn": "prelu", "vdsr": "relu", "edsr": "relu",
        "deconv": "leaky_relu", "carn": "relu", "imdn": "leaky_relu", "pan": "leaky_relu",
    }  # fmt: skip
    for model, act in wanted.items():
        assert type(experiment(f"model={model}").act).name == act
    assert type(experiment("model=espcn", "act=relu").act).name == "relu"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_srexp_tiny_starts_exactly_at_bicubic(scale: int) -> None:
    given = experiment("model=srexp_tiny", f"degradation.scale={scale}")
    network = given.model.build(scale=scale, channels=3, act=given.act)
    lr = np.random.default_rng(0).random((7, 9, 3), np.float32)
    sr = upscaler(network, given.model, given.degradation, 3)(lr)
    np.testing.assert_array_equal(sr, enlarge(lr, scale, "bicubic", "matlab"))


def test_a_layers_rate_is_that_of_the_paper() -> None:
    assert experiment("model=espcn").model.rates == {"conv_3": 0.1}
    assert experiment("model=fsrcnn").model.rates == {"enlarge": 0.1}
    assert experiment("model=espcn", "model.last_layer_rate=1").model.rates == {}


@pytest.mark.parametrize(
    ("scale", "steps"), [(2, [2]), (3, [3]), (4, [2, 2]), (5, [5]), (6, [2, 3]), (8, [2, 2, 2])]
)
def test_a_scale_is_reached_in_small_steps(scale: int, steps: list[int]) -> None:
    assert factors(scale) == steps


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=espcn", "model.filters=[8]"], "one entry more than"),
        (["model=espcn", "model.kernel_sizes=[4,3,3]"], "must be odd"),
        (["model=edsr", "model.mean=[0.4]"], "three numbers"),
        (["model=edsr", "model.depth=5"], "edsr has no such key; it has blocks, filters"),
    ],
)
def test_what_a_network_cannot_be_is_told(overrides: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        experiment_of({**compose("train", overrides[:1]), "model": _changed(overrides)})


def _changed(overrides: list[str]) -> dict[str, object]:
    node = compose("train", overrides[:1])["model"]
    key, value = overrides[1].removeprefix("model.").split("=")
    return {**node, key: eval(value)}
