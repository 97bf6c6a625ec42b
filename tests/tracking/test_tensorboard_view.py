"""Event files, read back by TensorBoard itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests_mlflow import fill, make_run

from srexp.options import OptionError
from srexp.tracking.options import TensorBoardTracking
from srexp.tracking.record import RunFolder
from srexp.tracking.tensorboard_view import TensorBoardView

pytest.importorskip("tensorboard")


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert len(list(folder.glob("*tfevents*"))) == 1
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def curve(events: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]


def finish(run: RunFolder, view: TensorBoardView) -> None:
    scores = {"set5_x2/rgb/psnr_gain": 1.5, "set5_x2/rgb/psnr": 33.0}
    run.log(30, scores, final=True)
    run.set_status("FINISHED")
    view.close()
    assert view.error is None


def test_curves_pictures_and_texts(tmp_path: Path) -> None:
    run = make_run(tmp_path, None, typed="act=prelu")
    view = TensorBoardView(run)
    fill(run)
    view.wake()
    finish(run, view)
    events = read(run.folder)
    assert curve(events, "train/loss") == [(10, 1 / 10), (20, 1 / 20), (30, 1 / 30)]
    assert curve(events, "set5_x2/rgb/psnr_gain") == [(30, 1.5)]
    pictures = events.Images("val_x2/rgb/flower")
    assert [(p.step, p.width, p.height) for p in pictures] == [(s, 400, 300) for s in (10, 20, 30)]
    png = run.folder / "grids" / "val_x2" / "rgb" / "flower" / "step-0000030.png"
    assert pictures[-1].encoded_image_string == png.read_bytes()
    (text,) = events.Tensors("run")
    assert "`srexp train act=prelu`" in text.tensor_proto.string_val[0].decode()
    assert '"depth": 3' in events.Tensors("config")[0].tensor_proto.string_val[0].decode()


def test_a_run_that_goes_on_has_no_point_twice(tmp_path: Path) -> None:
    """Points after the last checkpoint are computed again, maybe with other values."""
    run = make_run(tmp_path, None)
    view = TensorBoardView(run)
    fill(run)
    view.wake()  # and the process is killed
    run.forget_after(20)
    run.log(30, {"train/loss": 0.5})
    again = TensorBoardView(run)
    finish(run, again)
    loss = curve(read(run.folder), "train/loss")
    assert loss == [(10, 1 / 10), (20, 1 / 20), (30, 0.5)]


def test_hyperparameters_and_what_they_are_measured_by(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata

    run = make_run(tmp_path, None)
    finish(run, TensorBoardView(run))
    found = read(run.folder).summary_metadata
    start = metadata.parse_session_start_info_plugin_data(
        found[metadata.SESSION_START_INFO_TAG].plugin_data.content
    )
    assert start.hparams["model.depth"].number_value == 3
    assert start.hparams["model.name"].string_value == "deconv"
    assert "paths.output_dir" not in start.hparams
    experiment = metadata.parse_experiment_plugin_data(
        found[metadata.EXPERIMENT_TAG].plugin_data.content
    )
    assert [m.name.tag for m in experiment.metric_infos] == [
        "set5_x2/rgb/psnr_gain", "set5_x2/rgb/psnr",
    ]  # fmt: skip
    end = metadata.parse_session_end_info_plugin_data(
        found[metadata.SESSION_END_INFO_TAG].plugin_data.content
    )
    assert end.status == 1  # STATUS_SUCCESS
    kinds = {info.name: info.type for info in experiment.hparam_infos}
    assert (kinds["model.name"], kinds["model.depth"]) == (1, 3)  # string, float64


def test_a_folder_that_cannot_be_written_does_not_hurt(tmp_path: Path) -> None:
    run = make_run(tmp_path / "outputs", None)
    (tmp_path / "file").write_text("")
    view = TensorBoardView(run, tmp_path / "file" / run.id)
    fill(run)
    view.wake()
    view.close()
    assert view.error is not None
    assert str(tmp_path / "file") in view.error


def test_a_folder_for_all_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "outputs", None)
    tracking = TensorBoardTracking(dir=str(tmp_path / "boards"))
    assert tracking.folder(run) == tmp_path / "boards" / run.id
    assert TensorBoardTracking(dir=None).folder(run) == run.folder


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srexp.tracking.options.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"pip install 'srexp\[tensorboard\]'"):
        TensorBoardTracking(dir=None)
