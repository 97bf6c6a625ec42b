"""What chooses the best weights: metrics, curves, or the last ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests_session import begin, finish, pictures, tiny

from srexp.config.compose import compose
from srexp.config.identity import config_digest
from srexp.config.settings import experiment_of
from srexp.options import OptionError
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint


def best_step(run: RunFolder) -> int:
    _, meta = checkpoint.load(checkpoint.best_path(run.checkpoints))
    return int(meta["progress"]["step"])


def curve(run: RunFolder, name: str) -> dict[int, float]:
    """Step -> value, of the steps at which the validation images were scored."""
    found = {p["step"]: p["metrics"][name] for p in run.points() if name in p["metrics"]}
    return {step: value for step, value in found.items() if step % 10 == 0}


@pytest.mark.parametrize(
    ("given", "name", "choose"),
    [
        ("trainer.monitor=psnr", "val_x2/rgb/psnr", max),
        ("trainer.monitor=loss", "train/loss", min),
        ("trainer.monitor=mae", "val_x2/rgb/mae", min),
        ("trainer.monitor=last", "train/loss", None),
    ],
)
def test_the_best_weights_are_those_of_what_is_monitored(
    tmp_path: Path, given: str, name: str, choose
) -> None:
    # Large steps, so that the last ones are not the best.
    values = tiny(
        pictures(tmp_path), given, "metric=[mae]", "schedule=constant",
        "optimizer.learning_rate=0.2", "trainer.steps=60",
    )  # fmt: skip
    run = finish(begin(tmp_path / "runs", values))
    points = curve(run, name)
    assert set(points) == {10, 20, 30, 40, 50, 60}
    wanted = max(points) if choose is None else choose(points, key=points.__getitem__)
    assert best_step(run) == wanted


def test_a_direction_turns_it_round(tmp_path: Path) -> None:
    values = tiny(
        pictures(tmp_path), "trainer.monitor=psnr", "trainer.monitor_direction=min",
        "schedule=constant", "optimizer.learning_rate=0.2",
    )  # fmt: skip
    run = finish(begin(tmp_path / "runs", values))
    points = curve(run, "val_x2/rgb/psnr")
    assert best_step(run) == min(points, key=points.__getitem__)


@pytest.mark.parametrize(
    ("given", "curves"),
    [
        (("trainer.monitor=loss_mse",), "loss"),
        (("trainer.monitor=train/loss", "trainer.monitor_direction=min"), "loss"),
        (("loss=sum", "trainer.monitor=loss_fft"), "loss, loss_mae, loss_ssim"),
    ],
)
def test_a_curve_that_is_not_there_is_told_with_those_that_are(
    given: tuple[str, ...], curves: str
) -> None:
    with pytest.raises(OptionError, match=f"a curve of this training: {curves}$"):
        experiment_of(compose("train", list(given)))


def test_a_term_of_a_sum_may_be_monitored(tmp_path: Path) -> None:
    values = tiny(
        pictures(tmp_path), "loss=sum", "trainer.monitor=loss_ssim", "trainer.steps=20",
    )  # fmt: skip
    run = finish(begin(tmp_path / "runs", values))
    points = curve(run, "train/loss_ssim")
    assert best_step(run) == min(points, key=points.__getitem__)


def test_a_metric_is_monitored_where_it_is_measured() -> None:
    with pytest.raises(OptionError, match=r"^trainer\.monitor=ms_ssim: must be psnr, ssim, last"):
        experiment_of(compose("train", ["trainer.monitor=ms_ssim"]))
    assert experiment_of(
        compose("train", ["trainer.monitor=ms_ssim", "metric=[ms_ssim]"])
    ).monitor_rises


def test_a_direction_that_is_known_is_no_other_run() -> None:
    def digest(*overrides: str) -> str:
        return config_digest(compose("train", list(overrides)))

    assert digest("trainer.monitor_direction=max") == digest()
    assert digest("trainer.monitor_direction=min") != digest()
    assert digest("trainer.monitor=loss", "trainer.monitor_direction=min") == digest(
        "trainer.monitor=loss"
    )
    assert digest("metric=[mae]") != digest()
