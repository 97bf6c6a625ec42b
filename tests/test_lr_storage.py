"""Whether LR is rounded to 8 bits, and what training pairs are made from: each has its key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests_session import pictures, tiny

from srexp.config.identity import config_digest
from srexp.config.settings import experiment_of
from srexp.images.colour import luma
from srexp.images.io import read_image
from srexp.images.quantize import round_8bit, unpack
from srexp.images.resize import resize_matlab
from srexp.training.materials import gather


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("pictures"))


def lr_of(folder: Path, *typed: str) -> tuple[np.ndarray, np.ndarray]:
    """LR of the first training picture, and of the validation picture as it is scored."""
    values = tiny(folder, "model=srexp_tiny", "model.depth=2", "model.filters=4", *typed)
    materials = gather(experiment_of(values))
    (pair,) = [pair for pair in materials.sampler.pairs if pair.name == "p1"]
    return unpack(pair.inputs[0]), unpack(materials.validation[0].cases[0].lr)


def rounded(image: np.ndarray) -> bool:
    return bool(np.array_equal(image, round_8bit(image)))


@pytest.mark.parametrize(
    ("typed", "training", "scored"),
    [
        (("protocol=rgb",), True, True),
        (("protocol=y_paper",), False, False),
        (("protocol=rgb", "degradation.lr_8bit=false"), False, False),
        (("protocol=y_paper", "degradation.lr_8bit=true"), True, True),
        (("protocol=rgb", "trainer.lr_8bit=false"), False, True),
        (("protocol=y_paper", "trainer.lr_8bit=true"), True, False),
        (("protocol=rgb", "degradation.lr_8bit=false", "trainer.lr_8bit=true"), True, False),
    ],
)
def test_lr_is_rounded_where_it_is_asked_for(
    folder: Path, typed: tuple[str, ...], training: bool, scored: bool
) -> None:
    for lr, wanted in zip(lr_of(folder, *typed), (training, scored), strict=True):
        assert rounded(lr) == wanted


def test_training_pairs_may_be_made_from_something_else(folder: Path) -> None:
    image, _ = read_image(folder / "p1.png")
    y = luma(image[:26, :28])
    expected = round_8bit(resize_matlab(y, (13, 14), "bicubic"))
    training, _ = lr_of(folder, "color=y", "protocol=y_of_rgb", "trainer.degrade=y")
    assert training.tobytes() == expected.tobytes()
    usual, _ = lr_of(folder, "color=y", "protocol=y_of_rgb")
    assert usual.shape == training.shape and usual.tobytes() != training.tobytes()
    again, _ = lr_of(folder, "color=y", "protocol=y_of_rgb", "trainer.degrade=rgb")
    assert again.tobytes() == usual.tobytes()


def test_a_key_that_says_nothing_is_not_in_the_identity(folder: Path) -> None:
    plain = tiny(folder)
    for key in ("degradation", "trainer"):
        older = {**plain, key: {k: v for k, v in plain[key].items() if k != "lr_8bit"}}
        assert config_digest(older) == config_digest(plain)
        other = tiny(folder, f"{key}.lr_8bit=false")
        assert config_digest(other) != config_digest(plain)


def test_another_storage_is_another_column(folder: Path) -> None:
    tasks = [
        gather(experiment_of(tiny(folder, *typed))).validation[0]
        for typed in ((), ("degradation.lr_8bit=false",), ("degradation.lr_8bit=true",))
    ]
    assert len({task.digest for task in tasks}) == len({task.label for task in tasks}) == 3
