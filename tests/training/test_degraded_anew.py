"""Trainings on what is drawn anew for each patch, and on pairs that somebody else made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests_session import begin, finish, go_on, pictures, state, stop_at, tiny

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.data.sets import DataError
from srexp.images.io import to_png
from srexp.images.resize import resize_matlab
from srexp.training.materials import gather

CHAIN = (
    "degradation=chain", "degradation.links.blur.sigma=[0.2,2]",
    "degradation.links.noise.sigma=[1,30]",
    "degradation.links.jpeg.quality=[30,95]",
)  # fmt: skip


def test_a_training_on_a_random_chain_goes_on_bit_for_bit(tmp_path: Path) -> None:
    values = tiny(pictures(tmp_path / "pictures"), *CHAIN)
    whole = state(finish(begin(tmp_path / "whole", values)))
    run = stop_at(begin(tmp_path / "stopped", values), 17)
    session, remarks = go_on(run.folder)
    assert (session.progress.step, remarks) == (17, [])
    assert state(finish(session)) == whole


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """The pictures, and under `low/` what MATLAB's bicubic makes of them, in 8 bits."""
    folder = pictures(tmp_path / "pictures")
    for path in sorted(folder.rglob("*.png")):
        image = np.asarray(Image.open(path), np.float32) / 255
        low = tmp_path / "low" / path.relative_to(folder)
        low.parent.mkdir(parents=True, exist_ok=True)
        low.write_bytes(to_png(resize_matlab(image, (13, 14)).clip(0, 1)))
    return tmp_path


def on_pairs(folder: Path, *overrides: str) -> dict[str, Any]:
    """The configuration of `tiny`, on pairs."""
    high, low = folder / "pictures", folder / "low"
    data = compose(
        overrides=[
            "data=pairs", f"data.hr_dir={high}", f"data.lr_dir={low}",
            f"data.val_hr_dir={high / 'val'}", f"data.val_lr_dir={low / 'val'}",
        ]
    )["data"]  # fmt: skip
    return {**tiny(high, *overrides), "data": data}


def test_pairs_of_our_own_bicubic_give_the_weights_of_our_own_degrading(pairs: Path) -> None:
    found = [
        state(finish(begin(pairs / name, values)))
        for name, values in (("ours", tiny(pairs / "pictures")), ("pairs", on_pairs(pairs)))
    ]
    for kind in ("newest", "best", "logged"):
        assert found[0][kind] == found[1][kind]


@pytest.mark.parametrize("network", ["model.residual=true", "color=y", "protocol=y_of_rgb"])
def test_pairs_reach_a_network_as_our_own_do(pairs: Path, network: str) -> None:
    """Enlarged, as luma, and in validation."""
    ours, theirs = (
        gather(experiment_of(values))
        for values in (tiny(pairs / "pictures", network), on_pairs(pairs, network))
    )
    assert ours.sampler.batch(0)[0].shape == theirs.sampler.batch(0)[0].shape
    for step in range(3):
        for one, other in zip(ours.sampler.batch(step), theirs.sampler.batch(step), strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(ours.validation[0].cases, theirs.validation[0].cases, strict=True):
        np.testing.assert_array_equal(one.lr, other.lr)


def test_what_is_given_is_trained_on_and_nothing_of_ours(pairs: Path) -> None:
    """Of black LR images only black patches come, whatever the degradation says."""
    for path in (pairs / "low").rglob("*.png"):
        Image.new("RGB", (14, 13)).save(path)
    for degradation in ((), CHAIN):
        materials = gather(experiment_of(on_pairs(pairs, *degradation)))
        assert any("training on LR images as given" in remark for remark in materials.remarks)
        inputs, hr = materials.sampler.batch(0)
        assert not inputs.any() and hr.any()
        assert not materials.validation[0].cases[0].lr.any()


def test_other_sizes_are_named_in_one_line(pairs: Path) -> None:
    for name in ("p1", "p2"):
        Image.new("RGB", (9, 13)).save(pairs / "low" / f"{name}.png")
    with pytest.raises(DataError) as caught:
        gather(experiment_of(on_pairs(pairs)))
    assert str(caught.value) == (
        "train: at scale 2 HR must be 2 times as wide and high as LR; "
        "p1 (HR 28x26, LR 9x13), p2 (HR 28x26, LR 9x13)"
    )


def test_a_picture_without_its_partner_is_named(pairs: Path) -> None:
    (pairs / "low" / "p1.png").unlink()
    with pytest.raises(DataError, match=r"^data.lr_dir: no picture of p1$"):
        gather(experiment_of(on_pairs(pairs)))


def test_pairs_are_split_where_validation_has_no_folder(pairs: Path) -> None:
    values = on_pairs(pairs)
    values["data"] = {**values["data"], "val_hr_dir": None, "val_lr_dir": None}
    materials = gather(experiment_of(values))
    (val,), (train,) = materials.validation[0].images.images, materials.train.images
    assert {val, train} == {"p1", "p2"}
    assert materials.validation[0].images.lr is not None
    assert materials.validation[0].degradation_label == "x2 matlab, LR as given"
