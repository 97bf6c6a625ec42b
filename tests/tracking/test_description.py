"""What MLflow says of a run besides numbers: its description and its image sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests_mlflow import make_run, send

from srexp.tracking.description import describe
from srexp.tracking.mlflow_store import Store
from srexp.tracking.record import RunFolder

SCORES = {
    "set5_x2/y_paper/psnr": 34.66, "set5_x2/y_paper/psnr_bicubic": 33.66,
    "set5_x2/y_paper/psnr_gain": 1.0, "set5_x2/y_paper/psnr_gain_low": 0.5,
    "set5_x2/y_paper/psnr_gain_high": 1.5, "set5_x2/y_paper/ssim": 0.94,
    "set5_x2/y_paper/ssim_bicubic": 0.93,
}  # fmt: skip
ROW = "| set5_x2/y_paper | 33.66 | 34.66 | +1.00 (+0.50 to +1.50) | 0.9300 | 0.9400 |"


def note(client: Any, run: RunFolder) -> str:
    return str(client.get_run(run.info["mlflow"]["run_id"]).data.tags["mlflow.note.content"])


def test_what_was_typed_and_the_table(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "outputs", store, typed="model.depth=5 act=prelu")
    send(run)
    assert note(client, run).startswith("`srexp train model.depth=5 act=prelu`\n\nRUNNING, ")
    run.log(10, SCORES, final=True)
    run.set_status("FINISHED")
    send(run)
    assert ROW in note(client, run)
    assert "FINISHED, " in note(client, run)
    # What somebody wrote instead is left alone.
    client.set_tag(run.info["mlflow"]["run_id"], "mlflow.note.content", "the good one")
    send(run)
    assert note(client, run) == "the good one"


def test_later_scores_are_in_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, None)
    path = run.folder / "evaluations" / "urban100_x2" / "rgb" / "later.json"
    path.parent.mkdir(parents=True)
    content = {"key": "urban100_x2/rgb", "means": {"psnr_gain": 2.0, "psnr": 28.0}, "created": 1}
    path.write_text(json.dumps({**content, "weights": "best", "ensemble": False}))
    (path.parent / "broken.json").write_text("{")
    assert "| urban100_x2/rgb |  | 28.00 | +2.00 |  |  |" in describe(run)


def test_image_sets_are_inputs(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "outputs", store)
    known = {
        "name": "t91", "digest": "0123abcd", "context": "training", "images": 91,
        "source_type": "local", "source": {"uri": "/data/t91"},
    }  # fmt: skip
    sets = [known, {**known, "name": "set5", "digest": "4567", "context": "evaluation"}]
    run.update(mlflow={**run.info["mlflow"], "datasets": sets})
    send(run)
    send(run)  # once, however often it is sent
    inputs = client.get_run(run.info["mlflow"]["run_id"]).inputs.dataset_inputs
    found = sorted(
        (i.dataset.name, i.dataset.digest, i.dataset.source_type, i.tags[0].key, i.tags[0].value)
        for i in inputs
    )
    assert found == [
        ("set5", "4567", "local", "mlflow.data.context", "evaluation"),
        ("t91", "0123abcd", "local", "mlflow.data.context", "training"),
    ]
    assert json.loads(inputs[0].dataset.source) == {"uri": "/data/t91"}
    assert json.loads(inputs[0].dataset.profile) == {"num_images": 91}
