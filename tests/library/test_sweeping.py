"""`srexp.sweep`: many runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import srexp


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(srexp.OptionError, match=r"model\.depth=0: must be between"):
        srexp.sweep("model.depth=0,3", output_dir=tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_sweep_gives_its_runs(
    tiny: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = (*tiny, "tracking=none", "seed=0,1")
    runs = srexp.sweep(*asked, output_dir=tmp_path)
    assert [run.config["seed"] for run in runs] == [0, 1]
    assert {run.status for run in runs} == {"FINISHED"}
    assert capfd.readouterr().out == ""
    again = srexp.sweep(*asked, output_dir=tmp_path, progress=True)
    assert [run.id for run in again] == [run.id for run in runs]
    assert "was finished already" in capfd.readouterr().out
    single = srexp.train(*tiny, "tracking=none", output_dir=tmp_path)
    assert single.info["identity"] == runs[0].info["identity"]
    assert single.info["result"] == runs[0].info["result"]
