"""A run folder in MLflow: all of it, once, whatever was lost on the way."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests_mlflow import (
    CONFIG,
    Server,
    artifacts,
    draw,
    fill,
    history,
    is_there_once,
    make_run,
    pictures,
    send,
)

from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_store import Store, create_run, experiment_id, quiet_client
from srexp.tracking.record import RunFolder, find_run


def test_everything_arrives_once(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path, store)
    run.info["mlflow"]["parent_run_id"] = "f" * 32
    fill(run)
    pixels = draw(run, "val_x2/rgb/flower", "step-0000030")
    run.set_status("FINISHED", failure="")
    mirror = send(run, fresh=True)
    is_there_once(client, run)
    assert mirror.sent == {"numbers": 6, "pictures": 3, "files": 4}
    assert mirror.unsent() == 0
    assert mirror.refused is None
    run_id = run.info["mlflow"]["run_id"]
    found = client.get_run(run_id)
    assert client.get_experiment(found.info.experiment_id).name == "tests"
    assert found.info.run_name == "a run"
    assert found.info.status == "FINISHED"
    assert found.info.start_time == int(run.info["created"] * 1000)
    assert found.info.end_time == int(run.info["updated"] * 1000)
    assert found.data.tags["mlflow.parentRunId"] == "f" * 32
    assert found.data.tags["srexp.status"] == "FINISHED"
    assert "srexp.failure" not in found.data.tags
    times = [m.timestamp for m in client.get_metric_history(run_id, "train/loss")]
    assert times == [int(p["time"] * 1000) for p in run.points() if "train/loss" in p["metrics"]]
    (name,) = (n for n in artifacts(client, run_id) if "+30+" in n and n.endswith(".png"))
    shown = Image.open(tmp_path / "artifacts" / run_id / "artifacts" / name)
    np.testing.assert_array_equal(np.asarray(shown), pixels)
    assert RunFolder.open(run.folder).info["mlflow"]["complete"] is True


def test_pictures_are_named_as_mlflow_itself_does(
    store: Store, client: Any, tmp_path: Path
) -> None:
    """Its UI finds pictures by their names alone."""
    run = make_run(tmp_path, store)
    draw(run, "val_x2/rgb/flower", "step-0000010")
    run.set_status("FINISHED")
    send(run)
    ours = run.info["mlflow"]["run_id"]
    theirs = create_run(client, run.info["mlflow"]["experiment_id"], "by hand", {})
    with Image.open(next(run.folder.glob("grids/*/*/*/*.png"))) as picture:
        client.log_image(theirs, picture, key="val_x2/rgb/flower", step=10)
    # `pictures` fails where a name or the thumbnail has another form.
    assert pictures(client, ours) == pictures(client, theirs) == [("val_x2/rgb/flower", 10)]
    sizes = []
    for run_id in (ours, theirs):
        (thumbnail,) = (tmp_path / "artifacts" / run_id).rglob("*.webp")
        with Image.open(thumbnail) as picture:
            sizes.append(picture.size)
    assert sizes == [(400, 300), (256, 192)]  # its own cannot be read on its pages
    tags = [client.get_run(run_id).data.tags["mlflow.loggedImages"] for run_id in (ours, theirs)]
    assert tags == ["True", "True"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("FINISHED", "FINISHED"), ("FAILED", "FAILED"), ("INTERRUPTED", "KILLED"),
        ("KILLED", "KILLED"), ("PRUNED", "KILLED"),
    ],
)  # fmt: skip
def test_status(store: Store, client: Any, tmp_path: Path, ours: Any, theirs: str) -> None:
    run = make_run(tmp_path, store)
    run.set_status(ours, failure="it broke" if ours == "FAILED" else "")
    send(run)
    found = client.get_run(run.info["mlflow"]["run_id"])
    assert found.info.status == theirs
    assert found.data.tags["srexp.status"] == ours
    assert found.data.tags.get("srexp.failure") == ("it broke" if ours == "FAILED" else None)


def test_a_continued_run_gets_no_step_twice_and_keeps_its_params(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store, {**CONFIG, "trainer": {"steps": 20}})
    fill(run, (10, 20))
    run.set_status("FAILED", failure="a cable")
    send(run, fresh=True)
    run_id = run.info["mlflow"]["run_id"]
    # Resumed from a checkpoint at 10: what MLflow has of 20 is computed again.
    run.set_status("RUNNING", failure="")
    run.write_config({**CONFIG, "trainer": {"steps": 40}, "new": {"key": 1}})
    run.update(mlflow={**run.info["mlflow"], "complete": False, "experiment": "another"})
    run.forget_after(10)
    second = Mirror(run)
    second.connect(fresh=False)
    assert client.get_run(run_id).info.status == "RUNNING"
    for step in (20, 30):
        run.log(step, {"train/loss": -1.0})
        draw(run, "val_x2/rgb/flower", f"step-{step:07d}")
    second.send()
    run.set_status("FINISHED", failure="")
    second.finish()
    assert run.info["mlflow"]["run_id"] == run_id
    assert history(client, run_id, "train/loss") == [(10, 0.1), (20, 0.05), (30, -1.0)]
    assert pictures(client, run_id) == [("val_x2/rgb/flower", step) for step in (10, 20, 30)]
    found = client.get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params["trainer.steps"] == "20"
    assert found.data.params["new.key"] == "1"
    assert found.data.tags["resumed.trainer.steps"] == "40"
    assert [key for key in found.data.tags if key.startswith("resumed")] == [
        "resumed.trainer.steps"
    ]
    assert found.data.tags["srexp.failure"] == ""  # of the past


def test_the_score_of_a_step_whose_loss_was_sent_is_not_lost(
    store: Store, client: Any, tmp_path: Path
) -> None:
    """Killed while it evaluated step 20: the loss of that step went out, its score did not yet."""
    run = make_run(tmp_path, store)
    run.log(20, {"loss": 0.5})
    send(run)
    run.log(20, {"psnr": 31.0})
    send(run)
    run_id = run.info["mlflow"]["run_id"]
    assert history(client, run_id, "loss") == [(20, 0.5)]
    assert history(client, run_id, "psnr") == [(20, 31.0)]


def test_what_is_new_is_sent_and_a_line_that_is_being_written_waits(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store)
    mirror = Mirror(run)
    mirror.connect(fresh=True)
    run.log(10, {"loss": 0.5})
    mirror.send()
    line = (json.dumps({"step": 20, "time": 4e9, "metrics": {"loss": 0.25}}) + "\n").encode()
    with (run.folder / "metrics.jsonl").open("ab", buffering=0) as file:
        file.write(line[:25])
        mirror.send()
        assert mirror.unsent() == 0
        file.write(line[25:])
    assert mirror.unsent() == 1
    mirror.send()
    assert history(client, run.info["mlflow"]["run_id"], "loss") == [(10, 0.5), (20, 0.25)]
    assert mirror.sent["numbers"] == 2


@pytest.mark.parametrize("damage", [b"\0\0\0\n", b"5\n", b'{"step": 1}\n', b'{"step"\n', b"\xff\n"])
def test_damaged_lines_are_passed_over(
    store: Store, client: Any, tmp_path: Path, damage: bytes
) -> None:
    run = make_run(tmp_path, store)
    run.log(10, {"loss": 0.5})
    with (run.folder / "metrics.jsonl").open("ab") as file:
        file.write(damage)
    run.log(20, {"loss": 0.25})
    send(run)
    assert history(client, run.info["mlflow"]["run_id"], "loss") == [(10, 0.5), (20, 0.25)]


def test_no_request_is_over_mlflows_limits(server: Server, remote: Store, tmp_path: Path) -> None:
    """6,000 characters a param, 100 params and 1,000 metrics a request."""
    config = {f"k{number}": "x" * 7000 for number in range(250)}
    patient = replace(remote, timeout_seconds=30)  # the machine may be busy
    run = make_run(tmp_path, patient, config)
    for step in range(301):
        run.log(step, {f"m{k}": step * 10.0 + k for k in range(8)})
    run.log(301, {f"n{k}": 1.0 for k in range(1500)})
    mirror = send(run)
    bodies = [json.loads(body) for _, path, body in server.requests if path.endswith("log-batch")]
    params = [len(body.get("params", [])) for body in bodies]
    metrics = [len(body.get("metrics", [])) for body in bodies]
    assert (max(params), sum(params)) == (100, 250)
    assert max(metrics) <= 1000
    assert sum(metrics) == mirror.sent["numbers"] == 301 * 8 + 1500
    assert len([count for count in metrics if count]) == 5  # as few as it takes
    client = quiet_client(remote)
    run_id = run.info["mlflow"]["run_id"]
    assert history(client, run_id, "m7") == [(step, step * 10.0 + 7) for step in range(301)]
    assert {len(value) for value in client.get_run(run_id).data.params.values()} == {6000}


def test_numbers_that_are_none_are_kept_as_such(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path, store)
    run.log(1, {"psnr": float("inf"), "loss": float("nan")})
    assert send(run).refused is None
    data = client.get_run(run.info["mlflow"]["run_id"]).data.metrics
    assert np.isnan(data["loss"])
    assert data["psnr"] > 1e308  # MLflow's infinity


# Names that MLflow refuses.


def test_names_that_mlflow_refuses_arrive_changed_and_stay_apart(
    store: Store, client: Any, tmp_path: Path
) -> None:
    names = ["val_ü/psnr", "val_é/psnr", "a//b", "../x", "..", "/abs", "a" * 300, "a" * 299 + "b"]
    run = make_run(tmp_path, store, {"data": {"dir": "\udce4\0x", "täg": 1}, "long": "x" * 9000})
    for number, name in enumerate([*names, "val_x2/psnr"]):
        run.log(10, {name: float(number)})
    for name in ("blüte", "blöte", "b" * 200, "b" * 201):
        draw(run, f"val_x2/rgb/{name}", "step-0000010")
    run.set_status("FAILED", failure="\0\udcff" + "y" * 900)
    mirror = send(run)
    assert mirror.refused is None
    found = client.get_run(run.info["mlflow"]["run_id"])
    assert sorted(found.data.metrics.values()) == list(range(9))
    assert found.data.metrics["val_x2/psnr"] == 8
    assert found.data.params["data.dir"] == "\\udce4\\0x"
    assert len(found.data.tags["srexp.failure"]) == 500
    assert len(set(pictures(client, found.info.run_id))) == 4
    assert mirror.sent["pictures"] == 4
    again = send(run)  # and are known again
    assert (again.sent["numbers"], again.sent["pictures"]) == (0, 0)


def test_what_is_refused_costs_that_thing_alone(
    server: Server, remote: Store, tmp_path: Path
) -> None:
    """A proxy in front of the server does not let big files through; one picture is none."""
    run = make_run(tmp_path, remote)
    fill(run)
    broken = run.folder / "grids" / "val_x2" / "rgb" / "broken" / "step-0000010.png"
    broken.parent.mkdir()
    broken.write_bytes(b"no picture")
    run.set_status("FINISHED")
    server.fault = lambda method, path: "413" if path.endswith("model.keras") else None
    mirror = send(run)
    client = quiet_client(remote)
    run_id = run.info["mlflow"]["run_id"]
    assert "no picture" in str(mirror.refused)
    assert mirror.sent["files"] == 3
    assert "model.keras" not in artifacts(client, run_id)
    assert "evaluations/val_x2/rgb/final.csv" in artifacts(client, run_id)
    assert len(pictures(client, run_id)) == 3
    assert client.get_run(run_id).info.status == "FINISHED"
    assert run.info["mlflow"]["complete"]


def test_a_number_that_is_refused_costs_none_beside_it(
    store: Store, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srexp.tracking import mirror as module

    monkeypatch.setattr(module, "legal", lambda key, *_: key)  # as if it let one through
    run = make_run(tmp_path, store)
    for step in range(20):
        run.log(step, {"a//b": 1.0, "loss": float(step)})
    mirror = send(run)
    assert "a//b" in str(mirror.refused)
    assert "\n" not in str(mirror.refused)
    assert mirror.sent["numbers"] == 20
    loss = history(client, run.info["mlflow"]["run_id"], "loss")
    assert loss == [(step, float(step)) for step in range(20)]


# Sent again.


def test_when_only_the_note_that_all_is_there_was_lost_nothing_is_there_twice(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store)
    fill(run)
    run.set_status("FINISHED")
    send(run, fresh=True)
    before = artifacts(client, run.info["mlflow"]["run_id"])
    run.update(mlflow={**run.info["mlflow"], "complete": False})
    again = send(RunFolder.open(run.folder))
    assert (again.sent["numbers"], again.sent["pictures"]) == (0, 0)
    is_there_once(client, run)
    assert artifacts(client, run.info["mlflow"]["run_id"]) == before


def test_when_even_the_id_was_lost_the_run_is_found_by_its_tag(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store)
    fill(run)
    run.set_status("FINISHED")
    send(run, fresh=True)
    run_id = run.info["mlflow"]["run_id"]
    run.update(mlflow={**run.info["mlflow"], "run_id": None, "complete": False})
    send(run)
    assert run.info["mlflow"]["run_id"] == run_id
    is_there_once(client, run)


def _attempts(mirror: Mirror) -> int:
    """Connect, send and finish until that works; how often it took."""
    for attempt in range(1, 40):
        try:
            mirror.connect(fresh=attempt == 1)
            mirror.send()
            mirror.finish()
            return attempt
        except Exception:
            mirror.disconnect()
    raise AssertionError


@pytest.mark.parametrize("fault", ["lost", "500"])
def test_whichever_answer_is_lost_everything_is_there_once(
    server: Server, remote: Store, tmp_path: Path, fault: str
) -> None:
    """Each request of a whole run fails once: before it was done, or after that."""
    run = make_run(tmp_path, remote)
    fill(run, (10, 20))
    run.set_status("FINISHED")

    def first_and_every_other(method: str, path: str) -> str | None:
        times = [request[:2] for request in server.requests].count((method, path))
        only_asks = method == "GET" or path.endswith("search")
        return fault if times % 2 and not only_asks else None

    server.fault = first_and_every_other
    attempts = _attempts(Mirror(run))
    server.reset()
    assert attempts > 10
    client = quiet_client(remote)
    is_there_once(client, run, (10, 20))
    assert client.get_run(run.info["mlflow"]["run_id"]).info.status == "FINISHED"


def test_a_run_that_vanished_is_made_again(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path, store)
    fill(run)
    run.set_status("FINISHED")
    run.update(mlflow={**run.info["mlflow"], "run_id": "e" * 32})
    assert Mirror(run).look() == "gone"
    send(run)
    is_there_once(client, run)
    assert run.info["mlflow"]["run_id"] != "e" * 32
    assert Mirror(run).look() == "there"


def test_a_run_that_somebody_deletes_meanwhile_is_no_refusal(
    store: Store, client: Any, tmp_path: Path
) -> None:
    """MLflow's answers to both bear the same code; this one would swallow everything."""
    run = make_run(tmp_path, store)
    mirror = Mirror(run)
    mirror.connect(fresh=True)
    deleted = run.info["mlflow"]["run_id"]
    client.delete_run(deleted)
    assert mirror.look() == "deleted"
    fill(run)
    with pytest.raises(Exception, match="'active' state"):
        mirror.send()
    assert mirror.refused is None
    run.set_status("FINISHED")
    mirror.disconnect()
    mirror.connect(fresh=False)
    mirror.send()
    mirror.finish()
    assert run.info["mlflow"]["run_id"] != deleted
    for name in (deleted, run.info["mlflow"]["run_id"]):  # whoever noted the old one finds it too
        assert find_run(name[:8], run.folder.parent).id == run.id
    is_there_once(client, run)


def test_a_changed_file_replaces_the_one_of_before(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store)
    fill(run)
    mirror = Mirror(run)
    mirror.connect(fresh=True)
    mirror.send()
    mirror.send()
    assert mirror.sent["files"] == 4
    (run.folder / "model.keras").write_bytes(b"better")
    mirror.send()
    assert mirror.sent["files"] == 5
    path = tmp_path / "artifacts" / run.info["mlflow"]["run_id"] / "artifacts"
    assert [file.read_bytes() for file in path.rglob("*.keras")] == [b"better"]


def test_the_final_picture_is_that_of_the_best_step(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store)
    run.update(progress={"best_step": 20})
    draw(run, "set5_x2/rgb/baby", "final")  # a benchmark: drawn at the end alone
    draw(run, "val_x2/rgb/flower", "step-0000020")
    draw(run, "val_x2/rgb/flower", "final")  # the same once more
    (run.folder / "grids" / "val_x2" / "rgb" / "flower" / "mine.png").write_bytes(b"a stranger")
    send(run)
    shown = pictures(client, run.info["mlflow"]["run_id"])
    assert shown == [("set5_x2/rgb/baby", 20), ("val_x2/rgb/flower", 20)]


def test_a_sweeps_run_that_was_made_later_becomes_the_parent(
    store: Store, client: Any, tmp_path: Path
) -> None:
    run = make_run(tmp_path, store, sweep="it's a sweep")
    mirror = Mirror(run)
    mirror.connect(fresh=True)
    parent = create_run(
        client, run.info["mlflow"]["experiment_id"], "p", {"srexp.sweep": "it's a sweep"}
    )
    mirror.finish()
    run_id = run.info["mlflow"]["run_id"]
    assert client.get_run(run_id).data.tags["mlflow.parentRunId"] == parent
    mirror.adopt("d" * 32)
    assert client.get_run(run_id).data.tags["mlflow.parentRunId"] == "d" * 32


def _evaluated(run: RunFolder, gain: float, created: float, **changes: Any) -> None:
    content = {
        "key": "set5_x2/rgb", "label": f"set5 [{created}]", "ensemble": False, "step": 30,
        "created": created, "means": {"psnr_gain": gain}, "weights": "best on val, raw", **changes,
    }  # fmt: skip
    folder = run.folder / "evaluations" / content["key"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"deconv_{created}.json").write_text(json.dumps(content))


def test_later_scores_replace_those_of_the_trainings_end(
    store: Store, client: Any, tmp_path: Path
) -> None:
    """The table of runs shows and sorts by the newest, however often and late it is sent."""
    run = make_run(tmp_path, store)
    run.log(30, {"set5_x2/rgb/psnr_gain": 0.1}, final=True)
    run.set_status("FINISHED")
    send(run, fresh=True)
    now = run.info["updated"]
    _evaluated(run, 0.3, now + 20)
    _evaluated(run, 0.2, now + 10)
    _evaluated(run, 0.9, now + 30, ensemble=True)
    _evaluated(run, 0.8, now + 35, weights="last (step 30), raw")
    _evaluated(run, 0.4, now + 40, key="set14_x2/rgb", means={"psnr_gain": 0.4, "psnr": 30.0})
    (run.folder / "evaluations/set5_x2/rgb/deconv_cut.json").write_text('{"key": "set5')
    (run.folder / "evaluations/set5_x2/rgb/step-0000010.csv").write_text("of the curve")
    assert Mirror(run).unsent() >= 5
    for _ in range(2):
        mirror = send(run)
        assert mirror.unsent() == 0
    assert mirror.sent["numbers"] == 0
    run_id = run.info["mlflow"]["run_id"]
    data = client.get_run(run_id).data
    assert data.metrics == {
        "set5_x2/rgb/psnr_gain": 0.3,
        "set5_x2/rgb/ensemble/psnr_gain": 0.9,
        "set5_x2/rgb/last/psnr_gain": 0.8,
        "set14_x2/rgb/psnr_gain": 0.4,
        "set14_x2/rgb/psnr": 30.0,
    }
    history_of = history(client, run_id, "set5_x2/rgb/psnr_gain")
    assert history_of == [(30, 0.1), (30, 0.2), (30, 0.3)]
    assert data.tags["srexp.task.set5_x2/rgb"] == f"set5 [{now + 35}]"
    names = artifacts(client, run_id, "evaluations/set5_x2/rgb")
    assert len(names) == 5 and not any("step-" in name for name in names)


def test_tags_follow_the_folder(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path, store)
    send(run)
    shown = run.info["mlflow"]
    run.update(mlflow={**shown, "tags": {**shown["tags"], "srexp.folder": "elsewhere"}})
    send(run)
    assert client.get_run(shown["run_id"]).data.tags["srexp.folder"] == "elsewhere"


def test_the_experiment_may_be_there_already(store: Store, client: Any, tmp_path: Path) -> None:
    first = experiment_id(client, store)
    run = make_run(tmp_path, replace(store, artifact_root=str(tmp_path / "mine")))
    send(run)
    assert run.info["mlflow"]["experiment_id"] == first


def test_pictures_may_be_of_any_kind(store: Store, client: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path, store)
    for number, mode in enumerate(("L", "RGBA", "I;16", "P")):
        path = run.folder / "grids" / "a" / "b" / f"c{number}" / "step-0000001.png"
        path.parent.mkdir(parents=True)
        content = io.BytesIO()
        Image.new(mode, (4, 4)).save(content, "png")
        path.write_bytes(content.getvalue())
    mirror = send(run)
    assert mirror.refused is None
    assert len(pictures(client, run.info["mlflow"]["run_id"])) == 4
