"""What test_strategies.py runs in processes of its own: devices are fixed at TensorFlow's start.

`parity` prints the losses of one device and of two replicas; `train ARGUMENTS` is `srexp train`
on two logical CPUs.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

STEPS = 50
BATCH = 6
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulate": {"accumulate": 3},
    # Far below the norm of every gradient, so that each step is clipped.
    "clip": {"clip_norm": 0.002},
    "ema": {"ema": 0.9},
    "all": {"accumulate": 2, "clip_norm": 0.002, "ema": 0.9},
    "mixed": {"mixed_precision": True, "ema": 0.9, "clip_norm": 0.002},
}


def two_devices() -> None:
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def learner(strategy: Any, changes: dict[str, Any]) -> Any:
    import keras

    from srexp.losses.pixel import MSE
    from srexp.losses.sum import Sum
    from srexp.training.algorithms.supervised import supervised
    from srexp.training.optimizers import SGD
    from srexp.training.schedules import Constant

    options = {"learning_rate": 0.05, "clip_norm": None, "accumulate": 1} | changes
    ema, mixed = options.pop("ema", None), options.pop("mixed_precision", False)
    keras.config.set_dtype_policy("mixed_float16" if mixed else "float32")
    keras.utils.set_random_seed(1)
    inputs = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="tanh")(inputs)
    network = keras.Model(inputs, keras.layers.Conv2D(1, 3, padding="same", dtype="float32")(x))
    # Not Adam, whose first steps hide a gradient that is wrong by a factor.
    optimizer = SGD(momentum=0.9, nesterov=False, **options).build(Constant(), ema=ema)
    # Two terms, so that scalars beside the loss are summed over replicas too.
    loss = Sum(terms={"mse": MSE(weight=0.75), "again": MSE(weight=0.25)})
    return supervised(
        network, optimizer, loss.build(channels=1, scale=2), mixed_precision=mixed,
        strategy=strategy,
    )  # fmt: skip


def go(run: Any) -> list[float]:
    import numpy as np

    losses = []
    for step in range(STEPS):
        hr = np.random.default_rng(step).random((BATCH, 9, 9, 1), np.float32)
        scalars = run.step(tf.constant(hr * 0.8), tf.constant(hr), step)
        losses += [float(scalars["loss"]), 4 * float(scalars["loss_again"])]
    return losses


def parity() -> None:
    import numpy as np

    from srexp.training.strategy import Strategy

    two_devices()
    devices = [device.name for device in tf.config.list_logical_devices("CPU")]
    mirrored = Strategy(tf.distribute.MirroredStrategy(devices))
    assert mirrored.replicas == 2
    result = {}
    for name, changes in CASES.items():
        one, two = learner(None, changes), learner(mirrored, changes)
        losses = go(one), go(two)
        apart = [
            float(np.max(np.abs(a - b) / (np.abs(a).max() + 1e-12)))
            for a, b in zip(one.arrays().values(), two.arrays().values(), strict=True)
            if a.size
        ]
        result[name] = {"losses": losses, "apart": max(apart)}
    print(json.dumps(result))


def train(arguments: list[str]) -> None:
    from srexp.cli import main

    two_devices()
    sys.argv = ["srexp", "train", *arguments]
    main()


if __name__ == "__main__":
    parity() if sys.argv[1] == "parity" else train(sys.argv[2:])
