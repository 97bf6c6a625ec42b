"""A run as srexp 0.1 left it must be evaluated forever, and its checkpoints can be continued.

`srexp train resume=` refuses it, since today's training draws other patches (RESULTS_VERSION).

`format1/run` was trained for 13 of 20 steps, evaluated at 5 and 10, and stopped.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests_session import Silent, finish, logged

from srexp.config.compose import compose
from srexp.config.identity import with_additions
from srexp.config.resume import resumed
from srexp.config.settings import experiment_of, with_folders
from srexp.evaluation.scoring import evaluate
from srexp.options import OptionError
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint
from srexp.training.materials import RESULTS_VERSION, gather
from srexp.training.session import Session
from srexp.training.trained import load_upscaler

# What was logged at step 10; the same weights give the same score, but for the processor's sums.
BEST = 23.013784156177806


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    kept = Path(__file__).parent / "format1"
    shutil.copytree(kept / "pictures", tmp_path / "pictures")
    shutil.copytree(kept / "run", tmp_path / "outputs" / "run")
    return RunFolder.open(tmp_path / "outputs" / "run")


def settings(run: RunFolder) -> dict:
    values = with_additions(run.config)
    before, now = values["paths"]["data_dir"], str(run.folder.parents[1] / "pictures")
    moved = with_folders(values, lambda folder: folder.replace(before, now))
    return {**moved, "paths": {"data_dir": now, "output_dir": str(run.folder.parent)}}


def test_going_on_is_refused_with_what_to_do(run: RunFolder) -> None:
    message = (
        r"^resume=\S+: was begun by an older srexp, which would go on to other weights \(results "
        rf"version 1, here {RESULTS_VERSION}\); .*: python -m srexp train init_from={run.typed()}$"
    )
    with pytest.raises(OptionError, match=message):
        resumed(run, compose(), [])
    shutil.rmtree(run.checkpoints)  # then it begins anew
    assert resumed(run, compose(), [])["trainer"]["steps"] == 20


def test_it_is_of_format_1(run: RunFolder) -> None:
    import numpy as np

    for name in ("last.npz", "best.npz"):
        with np.load(run.checkpoints / name) as file:
            meta = json.loads(file["meta"].tobytes())
        assert meta["format"] == 1 and meta["progress"]["best_psnr"] == BEST
    assert "format" not in json.loads((run.folder / "config.json").read_text())


@pytest.mark.parametrize(("which", "words"), [("best", "step 10"), ("last", "step 13")])
def test_it_can_be_evaluated(run: RunFolder, which: str, words: str) -> None:
    experiment = experiment_of(settings(run))
    upscaler, said, _ = load_upscaler(run, experiment, which)
    assert words in said and "EMA" in said
    (task,) = gather(experiment).validation
    psnr = evaluate(task, upscaler, method="deconv", weights=said).mean(lambda row: row.score.psnr)
    assert (abs(psnr - BEST) < 0.02) == (which == "best")


def test_it_goes_on(run: RunFolder) -> None:
    before = logged(run)
    experiment = experiment_of(settings(run))
    materials = gather(experiment)
    assert materials.digest == run.info["images_digest"]
    session = Session(experiment, materials, run, Silent())
    assert session.go_on() == []
    progress = session.progress
    assert (progress.step, progress.best_step, progress.best_score) == (13, 10, BEST)
    assert logged(finish(session))[: len(before)] == before
    assert [path.name for path in checkpoint.newest(run.checkpoints)] == [
        "step-0000020.npz", "step-0000015.npz",
    ]  # fmt: skip
    assert not (run.checkpoints / "last.npz").exists()
    assert run.info["progress"]["step"] == 20
    assert run.info["progress"]["best_score"] >= BEST


def test_its_damaged_best_is_made_again_or_counted_as_lost(run: RunFolder) -> None:
    """The last one is of another step here, so there is none to make it from."""
    (run.checkpoints / "best.npz").write_bytes(b"")
    experiment = experiment_of(settings(run))
    session = Session(experiment, gather(experiment), run, Silent())
    (remark,) = session.go_on()
    assert "the best weights, of step 10, are lost" in remark
    assert finish(session).info["progress"]["best_step"] in (15, 20)
