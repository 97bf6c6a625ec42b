"""`init_from`: which weights a run starts from, and whether they fit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srexp.config.identity import config_digest
from srexp.config.resume import source_of
from srexp.options import OptionError
from srexp.tracking.record import RunError, RunFolder
from srexp.training import bundled, checkpoint
from srexp.training.checkpoint import CheckpointError

Composed = Callable[..., dict[str, Any]]


@pytest.fixture
def source(tmp_path: Path, composed: Composed) -> Callable[..., RunFolder]:
    def make(*overrides: str) -> RunFolder:
        run = RunFolder.create(tmp_path, "n", composed("train", *overrides), "")
        save(run, 1.0)
        run.release()
        return run

    return make


def save(run: RunFolder, weight: float) -> None:
    arrays = {"model/0000": np.full(3, weight, np.float32)}
    checkpoint.save(checkpoint.best_path(run.checkpoints), arrays, {"progress": {"step": 1}})


def test_it_is_recorded_with_a_digest_of_the_weights(
    tmp_path: Path, source: Any, composed: Composed
) -> None:
    run = source()
    given = composed("train", f"paths.output_dir={tmp_path}", "init_from=latest")
    found, values = source_of(given)
    assert found is not None and found.id == run.id
    name, _, digest = values["init_from"].partition("@")
    assert name == run.id and len(digest) == 8
    assert values == {**given, "init_from": values["init_from"]}
    assert source_of(values)[1] == values  # as a resumed run says it
    # Other weights are another experiment.
    save(run, 2.0)
    other = source_of(given)[1]
    assert other["init_from"] != values["init_from"]
    assert config_digest(other) != config_digest(values)
    with pytest.raises(OptionError, match=rf"^init_from={run.id}@{digest}: the best weights of"):
        source_of(values)


def test_without_it_nothing_changes(composed: Composed) -> None:
    values = composed("train")
    assert source_of(values) == (None, values)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (("model.depth=3",), ("model.depth=5",), r"^model\.depth=5: .*with 3; give model"),
        (("act=relu",), ("act=gelu",), r"^act\.name=gelu: .*network with relu; give act=relu$"),
        (("color=y",), (), r"^color=rgb: .*network with y; give color=y$"),
        (("model=deconv",), ("model=srcnn",), r"^model\.name=srcnn: .*network with deconv"),
        (("model.filters=8",), ("model.filters=16",), r"^model\.filters=16: .*with 8"),
    ],
)  # fmt: skip
def test_weights_of_another_network_are_refused_in_one_line(
    tmp_path: Path, source: Any, composed: Composed, theirs: Any, ours: Any, message: str
) -> None:
    run = source(*theirs)
    given = composed("train", f"paths.output_dir={tmp_path}", f"init_from={run.id}", *ours)
    with pytest.raises(OptionError, match=message) as caught:
        source_of(given)
    assert run.id in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_of_another_scale_may_be_started_from(
    tmp_path: Path, source: Any, composed: Composed
) -> None:
    run = source("degradation.scale=2")
    given = composed(
        "train", f"paths.output_dir={tmp_path}", f"init_from={run.id}", "degradation.scale=3"
    )
    assert source_of(given)[0] is not None


def test_a_key_that_an_older_run_does_not_know_is_no_difference(
    tmp_path: Path, source: Any, composed: Composed
) -> None:
    run = source()
    config = run.config
    for key in ("monitor", "patience", "keep_checkpoints"):
        del config["trainer"][key]
    run.write_config(config)
    given = composed("train", f"paths.output_dir={tmp_path}", f"init_from={run.id}")
    assert source_of(given)[0] is not None


def test_no_such_run_and_no_weights(tmp_path: Path, source: Any, composed: Composed) -> None:
    run = source()
    with pytest.raises(RunError, match="no such run"):
        source_of(composed("train", f"paths.output_dir={tmp_path}", "init_from=other"))
    checkpoint.best_path(run.checkpoints).write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError, match="damaged"):
        source_of(composed("train", f"paths.output_dir={tmp_path}", "init_from=latest"))


def test_a_network_that_comes_with_srexp(composed: Composed) -> None:
    given = composed("train", "experiment=tiny_clean_x2", "init_from=tiny_clean_x2")
    found, values = source_of(given)
    assert found is not None and (found.id, found.run) == ("tiny_clean_x2", None)
    content = (bundled.FOLDER / "tiny_clean_x2.tflite").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    assert values["init_from"] == f"tiny_clean_x2@{digest}"
    assert source_of(values)[1] == values
    with pytest.raises(OptionError, match=r"the best weights of tiny_clean_x2 are now"):
        source_of({**given, "init_from": "tiny_clean_x2@00000000"})
    with pytest.raises(RunError, match=r"^run tiny_clean_x9: .*; did you mean tiny_clean_x\d\?$"):
        source_of({**given, "init_from": "tiny_clean_x9"})
    with pytest.raises(OptionError, match=r"of init_from=tiny_clean_x2 are of a network with 32"):
        source_of(composed("train", "experiment=tiny_clean_x3", "init_from=tiny_clean_x2"))
