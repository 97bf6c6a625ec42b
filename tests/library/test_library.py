"""The commands from Python: the same runs, the same errors."""

from __future__ import annotations

import doctest
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests_environment import command_environment

import srexp
from srexp.library import comparison, evaluation, run, training
from srexp.library.rows import Rows
from srexp.training import checkpoint


def weights(of: Path) -> dict[str, np.ndarray]:
    return checkpoint.load(checkpoint.best_path(of / "checkpoints"))[0]


def test_a_run_has_scores_curves_configuration_and_a_page(trained: srexp.Run) -> None:
    assert trained.status == "FINISHED" and trained.config["model"]["depth"] == 2
    photos, val = trained.scores
    assert (photos["set"], photos["images"], val["set"]) == ("photos", 3, "val")
    assert photos["gain"] == pytest.approx(trained.info["result"]["gain"], abs=1e-3)
    steps, values = trained.curves["val_x2/rgb/psnr"]
    assert steps == [3, 6] and all(20 < value < 60 for value in values)
    assert list(trained.curves.to_pandas()["val_x2/rgb/psnr"].dropna().index) == [3, 6]
    assert trained.report.is_file()
    assert trained.upscale(np.zeros((5, 7), np.uint8)).shape == (10, 14)


def test_the_command_makes_the_same_run(
    trained: srexp.Run, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    typed = [*tiny, "tracking=none", f"paths.output_dir={tmp_path / 'o'}"]
    subprocess.run(
        [sys.executable, "-m", "srexp", "train", *typed],
        cwd=tmp_path, env=command_environment(tmp_path), check=True, capture_output=True,
    )  # fmt: skip
    other = srexp.open_run(output_dir=tmp_path / "o")
    for key in ("identity", "config_digest", "images_digest", "title", "name", "typed", "result"):
        assert other.info[key] == trained.info[key], key
    ours, theirs = weights(trained.folder), weights(other.folder)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_the_second_run_of_a_process_is_the_same_as_the_first(
    trained: srexp.Run, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    told: list[Any] = []
    again = srexp.train(
        *tiny, "tracking=none", output_dir=tmp_path, progress=lambda *news: told.append(news)
    )
    ours, theirs = weights(trained.folder), weights(again.folder)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    step, last, known = told[-1]
    assert (step, last) == (6, 6) and known.keys() == {"loss", "images_per_second", "val_psnr"}
    longer = srexp.train(f"resume={again.folder}", "trainer.steps=7", output_dir=tmp_path)
    assert longer.id == again.id and longer.info["progress"]["step"] == 7


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.dept=3"], "did you mean model.depth?"),
        (["lr=1e-3"], "optimizer.learning_rate"),
        (["model.depth=0"], "model.depth=0: must be"),
        (["model.depth=3,5"], "model.depth=3,5"),
        (["data=folder", "data.train_dir=gone"], "gone: no such folder"),
        (["resume=gone"], "run gone: there are no runs in"),
        (["hydra.run.dir=x"], "many runs are started by srexp.sweep"),
        (["sweep=depth_act"], "many runs are started by srexp.sweep"),
        (["trainer.dry_run=true"], "trainer.dry_run=true: prints"),
        (["trainer.threads=3"], "trainer.threads=3: this process computes with"),
        ([3], "3: an override is a text, such as 'model.depth=7'"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(
    overrides: Any, words: str, tmp_path: Path, trained: srexp.Run
) -> None:
    with pytest.raises((srexp.OptionError, srexp.RunError)) as raised:
        srexp.train(*overrides, output_dir=tmp_path / "o")
    assert words in str(raised.value) and "\n" not in str(raised.value)
    assert not (tmp_path / "o").exists()


def test_ctrl_c_saves_and_stops(tiny: tuple[str, ...], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)

    def stop(step: int, last: int, known: dict[str, float]) -> None:
        if "val_psnr" in known:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=r"stopped at step [34] of 6, saved\. To go on: "):
        srexp.train(*tiny, "tracking=none", output_dir=tmp_path, progress=stop)
    assert signal.getsignal(signal.SIGINT) == before
    cut = srexp.open_run(output_dir=tmp_path)
    assert cut.status == "INTERRUPTED" and cut.info["progress"]["step"] in (3, 4)


def test_what_fails_leaves_no_run_that_seems_to_go_on(
    tiny: tuple[str, ...], tmp_path: Path
) -> None:
    def fail(step: int, last: int, known: dict[str, float]) -> None:
        raise ZeroDivisionError("of the caller")

    with pytest.raises(ZeroDivisionError, match="of the caller"):
        srexp.train(*tiny, "tracking=none", output_dir=tmp_path, progress=fail)
    assert srexp.open_run(output_dir=tmp_path).status == "FAILED"


def test_a_comparison_is_a_table(trained: srexp.Run, tiny: tuple[str, ...]) -> None:
    other = srexp.train(*tiny, "tracking=none", "seed=1", output_dir=trained.folder.parent)
    found = srexp.compare(trained, other.id, output_dir=trained.folder.parent)
    assert "photos (3 images), x2 matlab bicubic, rgb" in repr(found)
    frame = found.to_pandas()
    assert frame["method"][0] == "bicubic" and (frame["set"] == "photos").all()
    html = found._repr_html_()
    assert "<table" in html and "<script" not in html
    listed = srexp.runs(output_dir=trained.folder.parent)
    assert [one.id for one in listed] == [trained.id, other.id]
    assert list(listed.to_pandas()["status"]) == ["FINISHED", "FINISHED"]
    with pytest.raises(srexp.RunError, match="no such run"):
        srexp.compare("gone", output_dir=trained.folder.parent)


def test_what_a_notebook_shows_is_escaped(trained: srexp.Run) -> None:
    html = trained._repr_html_()
    assert trained.title in html and "<svg" in html and "FINISHED" in html
    assert "&lt;b&gt;" in Rows([{"set": "<b>", "psnr": 1.0}])._repr_html_()


@pytest.mark.parametrize("module", [run, training, evaluation, comparison])
def test_examples(
    module: Any, trained: srexp.Run, tiny: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SREXP_OUTPUT_DIR", str(trained.folder.parent))
    names = {"srexp": srexp, "np": np, "run": trained, "comparison": srexp.compare(trained)}
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [test for test in finder.find(module, extraglobs=names) if test.examples]
    assert tests
    for test in tests:
        for example in test.examples:  # what takes long is made short
            if "srexp.train(" in example.source:
                added = ", ".join(map(repr, [*tiny, "tracking=none"]))
                example.source = re.sub(r"\)$", f", {added})", example.source.strip()) + "\n"
        failed, _ = doctest.DocTestRunner().run(test)
        assert not failed, test.name
