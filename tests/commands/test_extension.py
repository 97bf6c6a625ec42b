"""Somebody else's package adds one option of each kind without touching srexp."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests_environment import command_environment

PACKAGE = '''
"""A package of somebody else's."""
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from srexp.activations.base import Activation
from srexp.degradations.base import NO_DRAW
from srexp.degradations.downscale import Downscale
from srexp.degradations.links.base import Link, draw
from srexp.losses.base import Loss
from srexp.models.base import Model
from srexp.options import Options, bounded, spread
from srexp.training.algorithms.base import Algorithm


@dataclass(kw_only=True)
class TinyESPCN(Model, name="tiny_espcn"):
    """Convolutions on LR, then depth to space."""

    filters: int = bounded(1, 64)

    def build(self, *, scale, channels, act):
        import keras

        inputs = keras.Input((None, None, channels))
        x = act.build()(keras.layers.Conv2D(self.filters, 3, padding="same")(inputs))
        x = keras.layers.Conv2D(channels * scale**2, 3, padding="same")(x)
        return keras.Model(inputs, keras.ops.nn.depth_to_space(x, scale)
                           if hasattr(keras.ops.nn, "depth_to_space")
                           else keras.ops.depth_to_space(x, scale))


@dataclass(kw_only=True)
class SkipESPCN(TinyESPCN, name="skip_espcn"):
    """The same beside the enlarged image, which it starts at."""

    inputs = ("lr", "enlarged")

    def build(self, *, scale, channels, act):
        import keras

        lr = keras.Input((None, None, channels))
        enlarged = keras.Input((None, None, channels))
        x = act.build()(keras.layers.Conv2D(self.filters, 3, padding="same")(lr))
        x = keras.layers.Conv2D(
            channels * scale**2, 3, padding="same", kernel_initializer="zeros")(x)
        return keras.Model([lr, enlarged], enlarged + keras.ops.depth_to_space(x, scale))


@dataclass(kw_only=True)
class Judge(Options, group="judge"):
    """A group of options of their own."""

    def build(self, channels):
        raise NotImplementedError


@dataclass(kw_only=True)
class SmallJudge(Judge, name="small"):
    filters: int = bounded(1, 64)

    def build(self, channels):
        import keras

        return keras.Sequential([
            keras.Input((None, None, channels)),
            keras.layers.Conv2D(self.filters, 3, strides=2), keras.layers.LeakyReLU(),
            keras.layers.Dropout(0.2), keras.layers.Conv2D(1, 3),
        ])


@dataclass(kw_only=True)
class Critic(Algorithm, name="critic"):
    """A second network with an optimizer of its own learns to tell SR from HR."""

    critic_rate: float = bounded(above=0)
    judge: Judge

    def build(self, experiment, network, strategy):
        import keras
        import tensorflow as tf

        from srexp.training.learner import Learner, Trained, total

        critic = self.judge.build(experiment.channels)
        generator = Trained(network, experiment.build_optimizer())
        judge = Trained(critic, keras.optimizers.Adam(self.critic_rate, beta_1=0.5))
        loss = experiment.build_loss()

        def step(inputs, hr, number):
            with tf.GradientTape(persistent=True) as tape:
                sr = network(inputs, training=True)
                real, fake = critic(hr, training=True), critic(sr, training=True)
                adversarial = tf.reduce_mean(tf.nn.softplus(-fake))
                scalars = total({**loss(hr, sr, number), "critic": 0.01 * adversarial}, [])
                told_apart = tf.reduce_mean(tf.nn.softplus(-real) + tf.nn.softplus(fake))
            generator.apply(tape.gradient(scalars["loss"], network.trainable_variables))
            judge.apply(tape.gradient(told_apart, critic.trainable_variables))
            return {**scalars, "critic": told_apart}

        return Learner({"model": generator, "critic": judge}, step, strategy=strategy,
                       jit_compile=experiment.trainer.jit_compile)


@dataclass(kw_only=True)
class Bent(Activation, name="bent"):
    def build(self):
        import keras

        return keras.layers.Activation("mish")


@dataclass(kw_only=True)
class TheirLoss(Loss, name="their_loss"):
    def value(self, hr, sr):
        from keras import ops

        return ops.mean(ops.log(ops.cosh(sr - hr)))


@dataclass(kw_only=True)
class Noisy(Downscale, name="noisy"):
    random: ClassVar[bool] = True
    noise_sigma_255: float = bounded(0, 255)

    def __call__(self, hr, *, draw=NO_DRAW, eight_bit=False):
        lr = super().__call__(hr, eight_bit=eight_bit)
        noise = draw.generator(0, "noise").normal(0, self.noise_sigma_255 / 255, lr.shape)
        return (lr + noise).astype(np.float32)

    @property
    def label(self):
        return f"{super().label} + noise {self.noise_sigma_255}/255"


@dataclass(kw_only=True)
class Salt(Link, name="salt"):
    noisy = True
    share: Any = spread(0, 1)

    def __call__(self, image, random, size):
        white = random.random((*image.shape[:2], 1)) < draw(self.share, random)
        return np.where(white, 1, image).astype(np.float32)
'''

YAML = {
    "model/tiny_espcn.yaml": "name: tiny_espcn\nfilters: 8\n",
    "model/skip_espcn.yaml": "name: skip_espcn\nfilters: 8\n",
    "algorithm/critic.yaml": (
        "defaults: [/judge@judge: small, _self_]\nname: critic\ncritic_rate: 0.001\n"
    ),
    "judge/small.yaml": "name: small\nfilters: 4\n",
    "judge/large.yaml": "name: small\nfilters: 6\n",
    "act/bent.yaml": "name: bent\n",
    "loss/their_loss.yaml": "name: their_loss\n",
    "link/salt.yaml": "# White pixels.\nname: salt\nshare: [0.01, 0.05] # of all\n",
    "degradation/noisy.yaml": ("defaults: [bicubic]\nname: noisy\nnoise_sigma_255: 3\n"),
}


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`srexp train` where their package is installed."""
    site = tmp_path / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[srexp.options]\ntheirs = theirs\n")
    (site / "theirs.py").write_text(PACKAGE)
    conf = tmp_path / "conf"
    for name, text in YAML.items():
        (conf / name).parent.mkdir(parents=True, exist_ok=True)
        (conf / name).write_text(text)
    environment = command_environment(tmp_path)
    environment["PYTHONPATH"] = os.pathsep.join([str(site), environment["PYTHONPATH"]])

    def run(*overrides: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "srexp", "train", "--config-dir", str(conf)]
        done = subprocess.run(
            [*command, "tracking=none", *overrides],
            cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    return run


def of_trainer(tiny: tuple[str, ...]) -> list[str]:
    return [argument for argument in tiny if argument.startswith("trainer.")]


def test_one_of_each_trains(train, tmp_path: Path, tiny: tuple[str, ...]) -> None:
    done = train(
        "model=tiny_espcn", "act=bent", "loss=their_loss", "degradation=noisy", *of_trainer(tiny),
        "degradation.scale=3",
    )  # fmt: skip
    # 3x3 from 3 to 8 channels, then from 8 to 3 * 3 * 3, and the biases.
    assert f"{9 * 3 * 8 + 8 + 9 * 8 * 27 + 27:,} parameters" in done.stdout
    assert "x3 matlab bicubic + noise 3" in done.stdout
    (run,) = (tmp_path / "outputs").glob("*/run.json")
    assert json.loads(run.read_text())["status"] == "FINISHED"
    losses = [
        point["metrics"]["train/loss"]
        for point in map(json.loads, (run.parent / "metrics.jsonl").read_text().splitlines())
        if "train/loss" in point["metrics"]
    ]
    assert losses[-1] < losses[0]


@pytest.mark.slow
def test_two_networks_with_two_optimizers_go_on_bit_for_bit(
    train, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    """A network that gets LR and the enlarged image, a sum of losses, a critic, a random chain."""
    given = [
        "model=skip_espcn", "algorithm=critic", "schedule=constant", "degradation.scale=3",
        "loss=sum", "loss.terms.mae.weight=0.7", "loss.terms.ssim.weight=0.3",
        "judge@algorithm.judge=large", *of_trainer(tiny), "trainer.eval_every=4",
        "trainer.ema=0.9", "benchmark=[]", "degradation=chain",
        "+link@degradation.links.salt=salt", "degradation.order=[blur,resize,noise,salt,jpeg]",
    ]  # fmt: skip
    train(*given, "trainer.steps=8", "paths.output_dir=whole")
    train(*given, "trainer.steps=4", "paths.output_dir=cut")
    train("resume=latest", "trainer.steps=8", "paths.output_dir=cut")
    arrays = []
    for folder in ("whole", "cut"):
        (path,) = tmp_path.glob(f"{folder}/*/checkpoints/step-0000008.npz")
        with np.load(path) as file:
            arrays.append({n: file[n] for n in file.files if n not in ("meta", "sha256")})
    whole, cut = arrays
    assert whole.keys() == cut.keys()
    assert all(whole[name].tobytes() == cut[name].tobytes() for name in whole)
    assert {"model/conv2d/kernel", "critic/conv2d_1/kernel"} <= whole.keys()
    assert whole["critic/conv2d/kernel"].shape[-1] == 6  # of judge=large
    assert any(name.startswith("critic.optimizer/adam/conv2d/kernel/") for name in whole)
    curves = [
        [point["metrics"] for point in map(json.loads, path.read_text().splitlines())]
        for path in tmp_path.glob("*/*/metrics.jsonl")
    ]
    for points in curves:
        last = [point for point in points if "train/critic" in point][-1]
        terms = [last[f"train/loss_{name}"] for name in ("mae", "ssim", "critic")]
        assert last["train/loss"] == pytest.approx(sum(terms), rel=1e-5)


def test_typo_in_their_option_is_told_like_ours(tmp_path: Path) -> None:
    site, conf = tmp_path / "site", tmp_path / "conf" / "act"
    site.mkdir()
    conf.mkdir(parents=True)
    (conf / "bent.yaml").write_text("name: bentt\n")
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "train", "--config-dir", str(conf.parent), "act=bent"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=command_environment(tmp_path),
    )  # fmt: skip
    assert done.returncode == 2
    assert "act.name=bentt: must be one of elu" in done.stderr
