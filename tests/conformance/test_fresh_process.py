"""What was saved gives the same result in a process that knows nothing of this one."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import srexp
from srexp.training import loop
from srexp.training.algorithms.supervised import supervised

# First the .keras files, with Keras alone: a person who has no srexp opens them. Then srexp builds
# each network anew and restores the checkpoint.
SCRIPT = """
import json, sys
import numpy as np
import keras

cases = json.load(open("cases.json"))
inputs = {name: value for name, value in np.load("inputs.npz").items()}
outputs, errors = {}, {}

def attempt(kind, name, find):
    try:
        given = [inputs[key] for key in sorted(inputs) if key.startswith(f"{name}/")]
        given = given if len(given) > 1 else given[0]
        outputs[f"{kind}/{name}"] = np.asarray(find()(given, training=False))
    except Exception as error:
        errors[f"{kind}/{name}"] = f"{type(error).__name__}: {error}"

for name in cases:
    attempt("keras", name, lambda: keras.models.load_model(f"{name}.keras"))
assert not [m for m in sys.modules if m.split(".")[0] == "srexp"], "srexp was imported"

from srexp.config.registry import implementation
from srexp.losses.pixel import MSE
from srexp.training import loop
from srexp.training.algorithms.supervised import supervised
from srexp.training.optimizers import Adam
from srexp.training.schedules import Constant
from pathlib import Path

def restored(name, case):
    model, act = (implementation(group, case[group].pop("name"))(**case[group])
                  for group in ("model", "act"))
    network = model.build(scale=2, channels=3, act=act)
    optimizer = Adam(**case["optimizer"]).build(Constant(), ema=None)
    learner = supervised(network, optimizer, MSE().build(channels=3, scale=2))
    assert loop.load(Path(f"{name}.npz"), learner).step == case["step"]
    return network

for name, case in cases.items():
    attempt("checkpoint", name, lambda: restored(name, case))
np.savez("outputs.npz", **outputs)
json.dump(errors, open("errors.json", "w"))
"""


def plain(option: Any) -> dict[str, Any]:
    return {"name": type(option).name, **dataclasses.asdict(option)}


@pytest.fixture(scope="session")
def cases(option, names, experiment) -> dict[str, tuple[Any, Any]]:
    """Every network with its own activation, and one network with every activation."""
    networks = {n: option("model", n) for n in names("model") if option("model", n).trainable}
    first = next(iter(networks.values()))
    own = {name: (network, experiment(f"model={name}").act) for name, network in networks.items()}
    return own | {f"act_{act}": (first, option("act", act)) for act in names("act")}


@pytest.fixture(scope="session")
def revived(
    tmp_path_factory: pytest.TempPathFactory, cases: dict[str, tuple[Any, Any]]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, str]]:
    """Expected outputs, and those of the fresh process with its errors."""
    from srexp.losses.pixel import MSE
    from srexp.training.optimizers import Adam
    from srexp.training.schedules import Constant

    folder: Path = tmp_path_factory.mktemp("fresh")
    random = np.random.default_rng(8)
    optimizer = {
        "learning_rate": 0.01, "clip_norm": None, "accumulate": 1,
        "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7,
    }  # fmt: skip
    described, inputs, expected = {}, {}, {}
    for number, (name, (model, act)) in enumerate(cases.items()):
        network = model.build(scale=2, channels=3, act=act)
        for variable in network.trainable_variables:
            spread = 1 / math.sqrt(max(1, math.prod(variable.shape[:-1])))
            variable.assign(variable + spread * random.standard_normal(variable.shape))
        adam = Adam(**optimizer).build(Constant(), ema=None)
        learner = supervised(network, adam, MSE().build(channels=3, scale=2))
        given = [
            random.random((1, 7 * factor, 9 * factor, 3), np.float32)
            for factor in model.input_factors(2)
        ]
        inputs |= {f"{name}/{index}": image for index, image in enumerate(given)}
        network_input = given if len(given) > 1 else given[0]
        expected[name] = np.asarray(network(network_input, training=False))
        described[name] = {
            "model": plain(model), "act": plain(act), "optimizer": optimizer, "step": number,
        }  # fmt: skip
        loop.save(folder / f"{name}.npz", learner, loop.Progress(step=number), {"run": name})
        try:
            model.collapse(network).save(folder / f"{name}.keras")
        except TypeError as error:  # the fresh process will miss the file
            print(name, error)
    (folder / "cases.json").write_text(json.dumps(described))
    np.savez(folder / "inputs.npz", **inputs)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(srexp.__file__).parents[1])},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "outputs.npz") as file:
        outputs = {key: file[key] for key in file.files}
    return expected, outputs, json.loads((folder / "errors.json").read_text())


def check(revived, kind: str, name: str) -> None:
    expected, outputs, errors = revived
    assert f"{kind}/{name}" not in errors, errors
    assert np.ptp(expected[name]) > 0.1
    np.testing.assert_allclose(outputs[f"{kind}/{name}"], expected[name], atol=1e-5, rtol=1e-5)


def test_the_keras_file_opens_without_srexp(revived, network_name: str) -> None:
    check(revived, "keras", network_name)


def test_the_keras_file_keeps_the_activation(revived, act_name: str) -> None:
    check(revived, "keras", f"act_{act_name}")


def test_the_checkpoint_restores_the_network(revived, network_name: str) -> None:
    check(revived, "checkpoint", network_name)


def test_the_checkpoint_restores_the_weights_of_an_activation(revived, act_name: str) -> None:
    check(revived, "checkpoint", f"act_{act_name}")
