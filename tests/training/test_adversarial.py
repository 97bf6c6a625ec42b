"""Adversarial training: the objectives, one step by hand, discriminators, and going on."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tests_session import begin, finish, go_on, killed_at, pictures, state, stop_at, tiny

from srexp.config.settings import experiment_of
from srexp.options import OptionError
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint
from srexp.training.algorithms.adversarial import Adversarial, objectives
from srexp.training.discriminators.base import Discriminator
from srexp.training.discriminators.srgan import SRGANDiscriminator
from srexp.training.discriminators.unet_sn import UNet
from srexp.training.optimizers import SGD
from srexp.training.strategy import Strategy
from srexp.training.trained import scored_weights

GIVEN = (
    "algorithm=adversarial", "algorithm.discriminator.filters=2", "trainer.hr_patch_size=16",
    "trainer.steps=20", "trainer.ema=0.5", "algorithm.optimizer.learning_rate=0.01",
)  # fmt: skip
SRGAN = (
    "discriminator@algorithm.discriminator=srgan", "algorithm.discriminator.units=3",
    "algorithm.objective=standard", *GIVEN,
)  # fmt: skip


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    folder = pictures(tmp_path_factory.mktemp("pictures"))
    return lambda *overrides: tiny(folder, *overrides)


@pytest.fixture(scope="module")
def whole(values: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """With the U-Net, uninterrupted."""
    return finish(begin(tmp_path_factory.mktemp("whole"), values(*GIVEN)))


def in_order(run: RunFolder) -> dict[str, Any]:
    """Its state; curves of one step by name, since a checkpoint keeps them so."""
    found = state(run)
    found["logged"].sort()
    return found


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_objectives_are_those_of_the_papers() -> None:
    random = np.random.default_rng(0)
    real, fake = random.normal(1, 2, (3, 4, 4, 1)), random.normal(-1, 2, (3, 4, 4, 1))
    network, told = (float(v) for v in objectives("standard", real, fake))
    assert network == pytest.approx(-np.log(sigmoid(fake)).mean(), rel=1e-5)
    assert told == pytest.approx(
        -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean(), rel=1e-5
    )
    network, told = (float(v) for v in objectives("relativistic", real, fake))
    d_real, d_fake = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
    assert told == pytest.approx((-np.log(d_real).mean() - np.log(1 - d_fake).mean()) / 2, rel=1e-5)
    assert network == pytest.approx(
        (-np.log(1 - d_real).mean() - np.log(d_fake).mean()) / 2, rel=1e-5
    )


@dataclass(kw_only=True)
class Pixelwise(Discriminator):
    """logit = 2 image - 1, so that a step can be done by hand."""

    def build(self, *, side: int, channels: int) -> keras.Model:
        inputs = keras.Input((None, None, 1))
        layer = keras.layers.Conv2D(1, 1)
        network = keras.Model(inputs, layer(inputs))
        network.set_weights([np.full((1, 1, 1, 1), 2.0), np.array([-1.0])])
        return network


def test_a_step_moves_each_network_by_its_own_objective(values: Any) -> None:
    """sr = x / 2 and mse; standard; plain gradient descent. By hand, in float64."""
    experiment = experiment_of(
        values(
            "algorithm=adversarial", "color=y", "trainer.hr_patch_size=16", "loss.weight=3",
            "schedule=constant", "optimizer=sgd", "optimizer.momentum=0",
            "optimizer.learning_rate=0.1", "optimizer.clip_norm=null",
        )
    )  # fmt: skip
    rate = 0.2
    algorithm = Adversarial(
        objective="standard",
        weight=0.7,
        discriminator=Pixelwise(filters=1),
        optimizer=SGD(
            learning_rate=rate, clip_norm=None, accumulate=1, momentum=0.0, nesterov=False
        ),
    )
    inputs = keras.Input((None, None, 1))
    network = keras.Model(inputs, keras.layers.Conv2D(1, 1, use_bias=False)(inputs))
    network.set_weights([np.full((1, 1, 1, 1), 0.5)])
    learner = algorithm.build(experiment, network, Strategy())
    random = np.random.default_rng(1)
    x, hr = (random.random((2, 4, 4, 1)).astype(np.float32) for _ in range(2))
    scalars = {name: float(value) for name, value in learner.step(x, hr, 0).items()}
    sr = 0.5 * x.astype(np.float64)
    real, fake = 2 * hr - 1.0, 2 * sr - 1
    mse, adversarial = 3 * ((sr - hr) ** 2).mean(), 0.7 * -np.log(sigmoid(fake)).mean()
    told = -np.log(sigmoid(real)).mean() - np.log(1 - sigmoid(fake)).mean()
    assert scalars == pytest.approx(
        {
            "loss": mse + adversarial, "loss_mse": mse, "loss_adversarial": adversarial,
            "discriminator_loss": told, "discriminator_real": real.mean(),
            "discriminator_fake": fake.mean(),
        },
        rel=1e-5,
    )  # fmt: skip
    assert tuple(scalars) == algorithm.curves(experiment.loss)
    by_weight = (6 * (sr - hr) * x).mean() + 0.7 * (-sigmoid(-fake) * 2 * x).mean()
    assert float(network.get_weights()[0].item()) == pytest.approx(0.5 - 0.1 * by_weight, rel=1e-5)
    slope = (-sigmoid(-real) * hr).mean() + (sigmoid(fake) * sr).mean()
    bias = -sigmoid(-real).mean() + sigmoid(fake).mean()
    got = [w.item() for w in learner.parts["discriminator"].network.get_weights()]
    assert got == pytest.approx([2 - rate * slope, -1 - rate * bias], rel=1e-5)


# Discriminators.


def test_the_u_net_has_as_many_weights_as_the_authors() -> None:
    network = UNet(filters=64).build(side=8, channels=3)
    trained = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    assert trained == 4_376_897
    assert network(np.zeros((1, 16, 24, 3), np.float32)).shape == (1, 16, 24, 1)


def test_srgans_discriminator_has_the_paper_s_layers() -> None:
    network = SRGANDiscriminator(filters=64, units=1024).build(side=96, channels=3)
    sides = [layer.output.shape[1:] for layer in network.layers if "conv" in layer.name]
    assert sides == [
        (96, 96, 64), (48, 48, 64), (48, 48, 128), (24, 24, 128), (24, 24, 256), (12, 12, 256),
        (12, 12, 512), (6, 6, 512),
    ]  # fmt: skip
    assert network.output_shape == (None, 1)
    dense = 6 * 6 * 512 * 1024 + 1024 + 1024 + 1
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    convolutions = sum(9 * a * b for a, b in pairwise(widths)) + 64
    norms = 2 * sum(widths[2:])
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == (
        dense + convolutions + norms
    )


def test_a_kernel_is_divided_by_its_largest_singular_value() -> None:
    keras.utils.set_random_seed(0)
    network = UNet(filters=2).build(side=8, channels=1)
    layer = network.get_layer("conv_2")
    x = np.random.default_rng(0).random((1, 8, 8, 4)).astype(np.float32)
    for _ in range(100):
        layer(x, training=True)
    before = np.asarray(layer.vector)
    with tf.GradientTape() as tape:
        got = layer(x, training=False)
        value = tf.reduce_sum(got**3)
    gradient = np.asarray(tape.gradient(value, layer.kernel.value))
    assert np.asarray(layer.vector).tobytes() == before.tobytes(), "scoring moved it"
    kernel = np.asarray(layer.kernel)
    norm = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
    plain = keras.ops.conv(x, kernel / norm, strides=2, padding="same")
    np.testing.assert_allclose(got, plain, rtol=1e-4, atol=1e-5)
    # The result does not depend on the kernel's size, so its gradient is at right angles to it.
    assert np.abs(gradient).max() > 1e-4
    cosine = (gradient * kernel).sum() / np.linalg.norm(gradient) / np.linalg.norm(kernel)
    assert abs(cosine) < 1e-4


# Runs.


@pytest.mark.parametrize(
    "given", [GIVEN, pytest.param(SRGAN, marks=pytest.mark.slow)], ids=["unet_sn", "srgan"]
)
def test_a_run_cut_off_and_continued_is_the_run_without_interruption(
    given: tuple[str, ...], tmp_path: Path, values: Any, whole: RunFolder
) -> None:
    if given is SRGAN:
        whole = finish(begin(tmp_path / "whole", values(*given)))
    cut = stop_at(begin(tmp_path / "cut", values(*given)), 13)
    session, remarks = go_on(cut.folder)
    assert (session.progress.step, remarks) == (13, [])
    ended, wanted = in_order(finish(session)), in_order(whole)
    assert ended.pop("names")[0] == wanted.pop("names")[0]
    assert ended == wanted
    arrays = wanted["newest"][1]
    if given is GIVEN:
        vectors = {name for name in arrays if name.endswith("/vector")}
        assert vectors == {f"discriminator/conv_{i}/vector" for i in range(1, 9)}
    else:
        assert "discriminator/norm_2/moving_mean" in arrays
    assert any(name.startswith("discriminator.optimizer/adam/conv_1/kernel/") for name in arrays)


@pytest.mark.slow
def test_a_run_killed_is_the_run_without_interruption(
    tmp_path: Path, values: Any, whole: RunFolder
) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "killed"), values(*GIVEN), "step-0000020.csv", 1, "after")
    process = context.Process(target=killed_at, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -9
    (run,) = (tmp_path / "killed").iterdir()
    session, remarks = go_on(run)
    assert (session.progress.step, remarks) == (10, [])
    ended, wanted = in_order(finish(session)), in_order(whole)
    assert ended.pop("names")[0] == wanted.pop("names")[0]
    assert ended == wanted


def test_the_network_starts_from_another_run_and_the_discriminator_anew(
    tmp_path: Path, values: Any, whole: RunFolder
) -> None:
    before = finish(begin(tmp_path / "before", values("trainer.steps=10", "seed=5")))
    weights = scored_weights(before, experiment_of(before.config))
    fresh = begin(tmp_path / "fresh", values(*GIVEN))
    first = fresh.learner.arrays()
    fresh.start_from(weights)
    ours = fresh.learner.arrays()
    for name, array in ours.items():
        wanted = weights[name] if name.startswith("model/") else first[name]
        assert array.tobytes() == wanted.tobytes(), name
    assert any(first[name].tobytes() != ours[name].tobytes() for name in ours)
    # And the other way round: a supervised run from an adversarial one.
    back = begin(tmp_path / "back", values())
    back.start_from(scored_weights(whole, experiment_of(whole.config)))


def test_curves_are_logged_and_may_choose_the_weights(tmp_path: Path, values: Any) -> None:
    given = ("trainer.monitor=discriminator_fake", "trainer.monitor_direction=max")
    run = finish(begin(tmp_path, values(*GIVEN, *given)))
    points = [p for p in run.points() if "train/discriminator_fake" in p["metrics"]]
    assert [point["step"] for point in points] == [10, 20]
    assert {
        "train/loss", "train/loss_mse", "train/loss_adversarial", "train/discriminator_loss",
        "train/discriminator_real", "train/discriminator_fake",
    } <= set(points[0]["metrics"])  # fmt: skip
    best = max(points, key=lambda point: point["metrics"]["train/discriminator_fake"])["step"]
    _, meta = checkpoint.load(checkpoint.best_path(run.checkpoints))
    assert meta["progress"]["best_step"] == best


@pytest.mark.slow
def test_it_trains_in_mixed_precision(tmp_path: Path, values: Any) -> None:
    run = finish(
        begin(tmp_path, values(*GIVEN, "trainer.mixed_precision=true", "trainer.steps=10"))
    )
    keras.config.set_dtype_policy("float32")
    arrays, _ = checkpoint.load(checkpoint.newest(run.checkpoints)[0])
    assert "discriminator.optimizer/loss_scale_optimizer/dynamic_scale" in arrays


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("trainer.hr_patch_size=20", "=20: discriminator unet_sn needs a multiple of 8: 16 or 24"),
        ("model=lapsrn degradation.scale=4", "model=lapsrn: algorithm=adversarial judges whole"),
        ("trainer.strategy=mirrored", "strategy=mirrored: algorithm=adversarial trains on one"),
        ("trainer.monitor=discriminator_real", "discriminator_real: must be"),
        ("trainer.monitor=loss_x", "or a curve of this training: loss, loss_mse, loss_advers"),
        ("algorithm.weight=0", "algorithm.weight=0.*: must be greater than 0"),
        ("algorithm.objective=wgan", "must be one of relativistic, standard"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(given: str, words: str, values: Any) -> None:
    with pytest.raises(OptionError, match=words) as told:
        experiment_of(values(*GIVEN, *given.split()))
    assert "\n" not in str(told.value)
