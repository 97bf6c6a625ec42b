"""Somebody else's package adds one option of each kind without touching srexp."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests_environment import command_environment

PACKAGE = '''
"""A package of somebody else's."""
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from srexp.activations.base import Activation
from srexp.degradations.downscale import Downscale
from srexp.losses.base import Loss
from srexp.models.base import Model
from srexp.options import bounded


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
class Mish(Activation, name="mish"):
    def build(self):
        import keras

        return keras.layers.Activation("mish")


@dataclass(kw_only=True)
class LogCosh(Loss, name="log_cosh"):
    def value(self, hr, sr):
        from keras import ops

        return ops.mean(ops.log(ops.cosh(sr - hr)))


@dataclass(kw_only=True)
class Noisy(Downscale, name="noisy"):
    random: ClassVar[bool] = True
    noise_sigma_255: float = bounded(0, 255)

    def __call__(self, hr, *, seed, eight_bit=False):
        lr = super().__call__(hr, seed=seed, eight_bit=eight_bit)
        noise = np.random.default_rng(seed).normal(0, self.noise_sigma_255 / 255, lr.shape)
        return (lr + noise).astype(np.float32)

    @property
    def label(self):
        return f"{super().label} + noise {self.noise_sigma_255}/255"
'''

YAML = {
    "model/tiny_espcn.yaml": "name: tiny_espcn\nfilters: 8\n",
    "act/mish.yaml": "name: mish\n",
    "loss/log_cosh.yaml": "name: log_cosh\n",
    "degradation/noisy.yaml": ("defaults: [bicubic]\nname: noisy\nnoise_sigma_255: 3\n"),
}


def test_one_of_each_trains(tmp_path: Path, tiny: tuple[str, ...]) -> None:
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
    trainer = [argument for argument in tiny if argument.startswith("trainer.")]
    done = subprocess.run(
        [
            sys.executable, "-m", "srexp", "train", "--config-dir", str(conf), "model=tiny_espcn",
            "act=mish", "loss=log_cosh", "degradation=noisy", *trainer, "tracking=none",
            "degradation.scale=3",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
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


def test_typo_in_their_option_is_told_like_ours(tmp_path: Path) -> None:
    site, conf = tmp_path / "site", tmp_path / "conf" / "act"
    site.mkdir()
    conf.mkdir(parents=True)
    (conf / "mish.yaml").write_text("name: mishh\n")
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "train", "--config-dir", str(conf.parent), "act=mish"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=command_environment(tmp_path),
    )  # fmt: skip
    assert done.returncode == 2
    assert "act.name=mishh: must be one of elu" in done.stderr
