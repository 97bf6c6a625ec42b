"""Keras under srexp, whatever the user's environment and keras.json say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import pytest
from tests_environment import command_environment

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.keras_settings import set_keras
from srexp.options import OptionError
from srexp.training import devices


@pytest.fixture
def settings_of_the_user() -> Iterator[None]:
    """What `keras.json` would have said."""
    keras.config.set_floatx("float16")
    keras.config.set_epsilon(1e-3)
    keras.config.set_image_data_format("channels_first")
    yield
    set_keras()


@pytest.mark.usefixtures("settings_of_the_user")
def test_what_keras_json_says_counts_for_nothing() -> None:
    devices.configure(experiment_of(compose("train")).trainer, seed=0)
    found = keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()
    assert found == ("float32", 1e-7, "channels_last")
    layer = keras.layers.Conv2D(4, 3)
    layer.build((None, 8, 8, 3))
    assert layer.kernel.shape == (3, 3, 3, 4)
    assert layer.compute_dtype == "float32"


def test_the_backend_is_set_before_keras_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import srexp, os; print(os.environ['KERAS_BACKEND'])"],
        env=command_environment(tmp_path, KERAS_BACKEND="jax"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "tensorflow\n"


def test_keras_imported_before_with_another_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(OptionError, match="backend jax; srexp needs tensorflow: import srexp"):
        set_keras()
