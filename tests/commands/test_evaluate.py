"""`srexp evaluate` as a user runs it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests_environment import command_environment

from srexp.config.compose import compose
from srexp.config.settings import evaluate_settings
from srexp.data.sets import ImageSet
from srexp.evaluation.scoring import Task
from srexp.running.evaluation import other_set, place_beside
from srexp.tracking.mlflow_store import Store, quiet_client
from srexp.tracking.record import RunFolder


def _rows(folder: Path, pattern: str) -> list[dict[str, str]]:
    (path,) = folder.glob(pattern)
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(trained, migrated, tmp_path_factory):
    """A copy with a store of its own: tests of other commands are not to see what is done here."""
    copy = replace(trained, folder=tmp_path_factory.mktemp("evaluate") / "copy")
    shutil.copytree(trained.folder, copy.folder)
    output = copy.folder / "outputs"
    shutil.copyfile(migrated, output / "mlflow.db")
    info = copy.info()
    info["mlflow"] |= {
        "uri": f"sqlite:///{output}/mlflow.db",
        "artifact_root": f"{output}/mlartifacts",
        "run_id": None,
        "tags": {**info["mlflow"]["tags"], "srexp.folder": str(copy.run)},
    }
    (copy.run / "run.json").write_text(json.dumps(info))
    return copy


def test_bicubic_against_itself_gains_nothing_and_prints_published_figures(
    command, tmp_path, shared_data
) -> None:
    """SRCNN, TPAMI 2016, table 2: bicubic on Set5 x3, 30.39 dB and 0.8682."""
    done = command(
        tmp_path, "evaluate", "model=bicubic", "degradation.scale=3", "benchmark=set5",
        f"paths.data_dir={shared_data}",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    rows = _rows(tmp_path, "outputs/evaluations/set5_x3/y_paper/bicubic_*.csv")
    assert [float(row["psnr_gain"]) for row in rows] == [0.0] * 5
    assert np.mean([float(row["psnr"]) for row in rows]) == pytest.approx(30.3922, abs=1e-4)
    assert "30.39" in done.stdout and "0.8682" in done.stdout
    assert "published" not in done.stdout, "the shared Set5 was not recognised"


def test_changed_set_is_scored_but_said_not_to_be_the_published_one(
    command, tmp_path, shared_data
) -> None:
    folder = tmp_path / "set5"
    folder.mkdir()
    for path in (shared_data / "set5").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with Image.open(folder / "bird.png") as picture:
        changed = np.asarray(picture).copy()
    changed[0, 0] ^= 1
    Image.fromarray(changed).save(folder / "bird.png")
    done = command(
        tmp_path, "evaluate", "benchmark=set5", f"paths.data_dir={tmp_path}",
        "degradation.scale=4",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "does not hold the published set5" in done.stdout


def test_run_is_scored_as_it_was_at_the_end_of_training(trained, command) -> None:
    done = command(trained.folder, "evaluate", "run=latest", "protocol=[rgb,y_of_rgb]")
    assert done.code == 0, done.stderr
    rows = _rows(trained.run, "evaluations/photos_x2/rgb/deconv_*.csv")
    with (trained.run / "evaluations/photos_x2/rgb/final.csv").open() as file:
        expected = list(csv.DictReader(file))
    for row, other in zip(rows, expected, strict=True):
        assert float(row["psnr"]) == pytest.approx(float(other["psnr"]), abs=1e-6)
        assert row["digest"] == other["digest"]
    other_protocol = _rows(trained.run, "evaluations/photos_x2/y_of_rgb/deconv_*.csv")
    assert other_protocol[0]["digest"] != rows[0]["digest"]
    _is_in_mlflow(trained, "photos_x2/y_of_rgb", other_protocol)
    page = (trained.run / "report.html").read_text()
    assert f"report: {trained.run / 'report.html'}" in done.stdout and "photos_x2/y_of_rgb" in page


def _is_in_mlflow(trained, key: str, rows: list[dict[str, str]]) -> None:
    """Metrics, tables and a tag with the digest, in the run that the training made."""
    shown = trained.info()["mlflow"]
    assert shown["complete"] is True
    client = quiet_client(Store(shown["uri"], "srexp", shown["artifact_root"], 5))
    found = client.get_run(shown["run_id"])
    gains = [float(row["psnr_gain"]) for row in rows]
    assert found.data.metrics[f"{key}/psnr_gain"] == pytest.approx(sum(gains) / len(gains))
    assert rows[0]["digest"] in found.data.tags[f"srexp.task.{key}"]
    kinds = sorted(Path(a.path).suffix for a in client.list_artifacts(
        shown["run_id"], f"evaluations/{key}"))  # fmt: skip
    assert kinds == [".csv", ".json"]
    assert found.info.status == "FINISHED"
    assert found.info.end_time == int(trained.info()["updated"] * 1000), "not of the evaluation"


def test_a_dead_server_costs_a_note_and_sync_sends_the_rest(trained, command) -> None:
    info = trained.info()
    dead = {**info["mlflow"], "uri": "http://127.0.0.1:9", "timeout_seconds": 1}
    (trained.run / "run.json").write_text(json.dumps({**info, "mlflow": dead}))
    done = command(trained.folder, "evaluate", "run=latest", "protocol=y_paper")
    assert done.code == 0, done.stderr
    assert f"to send them: python -m srexp sync {trained.run.name}" in done.stdout
    rows = _rows(trained.run, "evaluations/photos_x2/y_paper/deconv_*.csv")
    assert trained.info()["mlflow"]["complete"] is False
    shown = {**trained.info()["mlflow"], "uri": info["mlflow"]["uri"]}
    (trained.run / "run.json").write_text(json.dumps({**trained.info(), "mlflow": shown}))
    assert command(trained.folder, "sync").code == 0
    _is_in_mlflow(trained, "photos_x2/y_paper", rows)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["run=latest", "degradation.scale=3"], ["trained for x2 matlab bicubic"]),
        (["run=latest", "weights=first"], ["weights=first: must be best or last"]),
        (["model=deconv"], ["say which run's (run=RUN)"]),
        (["run=latest", "benchmark=folder"], ["benchmark.folder.dir"]),
        (["benchmark=sett5"], ["did you mean set5?"]),
        (["run=latst"], ["run latst: no such run", "did you mean latest?"]),
        (["weights=last"], ["weights=last: of which run?"]),
        (["timing_repeats=3"], ["timing_repeats: has an effect with timing=true alone"]),
        (["loss=mse"], ["is no group of this command, but of srexp train; to score a trained"]),
        (["protocol=rgb", "protocol.rgb.luma=full"], ["protocol.rgb.luma=full: has no effect in"]),
        (["method=bicubic", "model=lanczos"], ["method=bicubic: is what tables call the baseline"]),
        (["++weights=last"], ["weights=last: of which run?"]),
        (["-m", "degradation.scale=2,3", "json=true"], ["json=true: prints one document"]),
        (["timing=often"], ["timing=often: must be true or false"]),
        (["timing=true", "timing_repeats=0"], ["timing_repeats=0: must be a whole number from 1"]),
        (["save_sr=/dev/null/x"], ["save_sr=/dev/null/x: /dev/null is a file"]),
        (["sr_dir=gone"], ["sr_dir: ", "gone: no such folder"]),
        (["sr_dir=gone", "run=latest"], ["run=latest: with sr_dir"]),
        (["sr_dir=gone", "ensemble=true"], ["ensemble=true: with sr_dir"]),
        (["sr_dir=gone", "model=lanczos"], ["model: with sr_dir"]),
        (["benchmark=pairs"], ["benchmark.pairs.hr_dir=null: must name a folder"]),
    ],
)
def test_bad_input(typed: list[str], words: list[str], trained, command) -> None:
    done = command(trained.folder, "evaluate", *typed)
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    for part in words:
        assert part in line


def test_jobs_of_one_second_overwrite_nothing(command, tmp_path) -> None:
    done = command(tmp_path, "evaluate", "-m", "model=nearest", "protocol.y_paper.border=0,1,2,3")
    assert done.code == 0, done.stderr
    tables = list(tmp_path.glob("outputs/evaluations/photos_x2/y_paper/nearest_*.csv"))
    assert len(tables) == 4
    assert len({path.read_text().splitlines()[1].split(",")[4] for path in tables}) == 4  # digests


def test_files_of_a_wrong_size_are_told_before_anything_is_written(command, tmp_path) -> None:
    for name, side in (("astronaut", 512), ("chelsea", 8), ("coffee", 8)):
        (tmp_path / "sr").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(tmp_path / f"sr/{name}.png")
    done = command(tmp_path, "evaluate", "sr_dir=sr", "protocol=[rgb,y_paper]")
    assert done.code == 2
    assert "chelsea.png: is 8x8, and chelsea of photos is 450x300 at scale 2" in done.stderr
    assert not list(tmp_path.rglob("*.csv"))


def test_a_copy_of_a_run_leaves_the_mlflow_run_of_the_original_alone(
    trained, command, tmp_path
) -> None:
    shutil.copytree(trained.folder / "outputs", tmp_path / "outputs")
    store = Path(trained.info()["mlflow"]["uri"].removeprefix("sqlite:///"))
    before = store.read_bytes()
    done = command(tmp_path, "evaluate", "run=latest", "protocol=y_paper")
    assert done.code == 0 and f"note: a copy of {trained.run}" in done.stdout
    assert "a copy of" in command(tmp_path, "sync").stdout
    assert store.read_bytes() == before


def test_everything_asked_for_at_once(trained, command, tmp_path) -> None:
    """JSON, timing, an ensemble, saved images; and these images scored as another program's."""
    done = command(
        trained.folder, "evaluate", "run=latest", "ensemble=true", "timing=true", "json=true",
        "timing_repeats=2", f"save_sr={tmp_path}/sr", "protocol=[rgb,y_paper]",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    colour, luma = json.loads(done.stdout)
    assert (colour["method"], colour["ensemble"]) == ("deconv+", True)
    assert "mean of 8 flips and rotations" in colour["weights"]
    assert (colour["key"], luma["key"]) == ("photos_x2/rgb", "photos_x2/y_paper")
    assert colour["run"] == trained.run.name
    assert colour["environment"]["srexp"]
    assert colour["timing"]["ms_per_megapixel"] > 0
    assert colour["timing"]["repeats"] == 2 and "cores" in colour["timing"]["device"]
    assert colour["timing"]["peak_memory"] > 2**27  # TensorFlow alone
    beside = Path(colour["csv"]).with_suffix(".json")
    assert json.loads(beside.read_text()) == colour
    rows = _rows(trained.run, "evaluations/photos_x2/rgb/deconv+_*.csv")
    assert [float(row["psnr"]) for row in rows] == [r["score"]["psnr"] for r in colour["rows"]]
    assert rows[0]["digest"] == colour["digest"]
    with (trained.run / "evaluations/photos_x2/rgb/final.csv").open() as file:
        alone = [float(row["psnr"]) for row in csv.DictReader(file)]
    assert [float(row["psnr"]) for row in rows] != alone

    again = command(
        tmp_path, "evaluate", f"sr_dir={tmp_path}/sr/{trained.run.name}+", "method=theirs",
        "json=true", "protocol=[rgb,y_paper]",
    )  # fmt: skip
    assert again.code == 0, again.stderr
    for found, before in zip(json.loads(again.stdout), (colour, luma), strict=True):
        assert found["method"] == "theirs"
        assert found["rows"] == before["rows"]
        assert found["digest"] == before["digest"]
        assert found["csv"].startswith(f"{tmp_path}/outputs/evaluations/")


def test_pairs_and_a_name_for_the_table(command, tmp_path, shared_data) -> None:
    """LR that Pillow made, as files: scored as it is, under a label and a digest of its own."""
    lr = tmp_path / "lr"
    lr.mkdir()
    for path in (shared_data / "set5").iterdir():
        with Image.open(path) as picture:
            width, height = (side // 2 for side in picture.size)
            box = (0, 0, 2 * width, 2 * height)
            picture.resize((width, height), Image.Resampling.BICUBIC, box).save(
                lr / f"{path.stem}x2.png"
            )
    pairs = ("benchmark=pairs", f"benchmark.pairs.hr_dir={shared_data}/set5", "protocol=rgb",
             f"benchmark.pairs.lr_dir={lr}", "degradation.engine=pillow")  # fmt: skip
    done = command(tmp_path, "evaluate", *pairs, "method=Pillow", "save_sr=true")
    assert done.code == 0, done.stderr
    # Bicubic on Set5 x2 by Pillow in RGB.
    assert "31.79" in done.stdout and "x2 pillow, LR as given" in done.stdout
    rows = _rows(tmp_path, "outputs/evaluations/pairs-set5_x2/rgb/Pillow_*.csv")
    assert np.mean([float(row["psnr"]) for row in rows]) == pytest.approx(31.787, abs=5e-4)
    saved = list(tmp_path.glob("outputs/evaluations/pairs-set5_x2/rgb/Pillow_*/*.png"))
    assert sorted(path.stem for path in saved) == [row["image"] for row in rows]
    done = command(tmp_path, "evaluate", *pairs, "degradation.scale=3")
    assert done.code == 2
    assert "at scale 3 HR must be 3 times as wide and high as LR; baby" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("weights", ["best", "last"])
def test_a_run_without_checkpoints_is_told(trained, command, tmp_path, weights) -> None:
    run = tmp_path / "copy"
    run.mkdir()
    for name in ("run.json", "config.json"):
        (run / name).write_bytes((trained.run / name).read_bytes())
    done = command(tmp_path, "evaluate", f"run={run}", f"weights={weights}")
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "no such checkpoint" in line or "no checkpoint" in line


def test_damaged_checkpoint_is_told(trained, command, tmp_path) -> None:
    run = tmp_path / "copy"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("run.json", "config.json"):
        (run / name).write_bytes((trained.run / name).read_bytes())
    content = bytearray((trained.run / "checkpoints" / "best.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "checkpoints" / "best.npz").write_bytes(content)
    done = command(tmp_path, "evaluate", f"run={run}")
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "best.npz" in line and "damaged" in line
    assert json.loads((run / "run.json").read_text())["status"] == "FINISHED"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="asks the system for a child's memory")
@pytest.mark.parametrize("method", ["model=bicubic", "run=latest"])
def test_24_megapixels_are_scored_within_3_gib(trained, tmp_path, method) -> None:
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 256, (40, 60, 3), np.uint8))
    (tmp_path / "large").mkdir()
    small.resize((6000, 4000), Image.Resampling.BICUBIC).save(tmp_path / "large" / "a.png")
    command = [
        sys.executable, "-m", "srexp", "evaluate", method, "protocol=rgb", "benchmark=folder",
        f"benchmark.folder.dir={tmp_path}/large",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=trained.folder, env=command_environment(tmp_path), stdout=subprocess.DEVNULL
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss * 1024 < 3 * 2**30


def test_another_set_under_the_same_name_is_mentioned(tmp_path) -> None:
    """Two folders called HR: the table of runs would show whichever was scored last."""
    options = ["benchmark=folder", "benchmark.folder.dir=a/HR", f"paths.output_dir={tmp_path}"]
    settings = evaluate_settings(compose("evaluate", options))
    (name,) = settings.benchmark
    image = np.zeros((24, 24, 3), np.float32)
    (protocol,) = settings.protocol.items()
    task = Task(ImageSet(name, {"a": image}), settings.degradation, *protocol)
    run = RunFolder(tmp_path, {})
    folder = tmp_path / "evaluations" / task.key
    folder.mkdir(parents=True)
    for before in (task.digest, "0ld"):
        (folder / f"x_{before}.json").write_text(json.dumps({"digest": before}))
        said = other_set(task, run, settings) or ""
        assert ("folder-HR_x2/y_paper was of another image set in this run before" in said) == (
            before == "0ld"
        )
    assert "benchmark.folder.title=NAME" in said


def test_scores_of_a_run_that_may_only_be_read_go_to_ones_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder.create(tmp_path / "theirs", "n", {}, "")
    run.release()
    assert place_beside(run, tmp_path / "ours") is None
    theirs = str(tmp_path / "theirs")
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).startswith(theirs))
    assert place_beside(run, tmp_path / "ours") == tmp_path / "ours" / "evaluations" / run.id
