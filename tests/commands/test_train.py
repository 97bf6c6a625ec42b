"""`srexp train` as a user runs it: a process of its own, an empty folder."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests_environment import command_environment

from srexp.config.compose import compose
from srexp.data.sources import read_photos
from srexp.training import checkpoint

LONG = ("trainer.steps=100000", "trainer.jit_compile=false", "tracking=none")


def newest(run: Path) -> Path:
    return checkpoint.newest(run / "checkpoints")[0]


def test_run_folder_holds_everything_that_the_readme_names(trained) -> None:
    names = {str(path.relative_to(trained.run)) for path in trained.run.rglob("*")}
    assert names >= {
        "config.yaml",
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "run.json",
        "model.keras",
        "model/MLmodel",
        "checkpoints/step-0000040.npz",
        "checkpoints/step-0000060.npz",
        "checkpoints/best.npz",
        "evaluations/photos_x2/rgb/final.csv",
        "evaluations/val_x2/rgb/step-0000020.csv",
        "evaluations/val_x2/rgb/final.csv",
        "grids/photos_x2/rgb/astronaut/final.png",
        "grids/val_x2/rgb/flower/step-0000060.png",
    }
    assert trained.info()["status"] == "FINISHED"
    environment = json.loads((trained.run / "environment.json").read_text())
    assert environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert environment["packages"]["numpy"] == np.__version__


def test_a_finished_run_that_is_to_go_on_is_no_fault(trained, command) -> None:
    """The same line may be typed, or queued, again."""
    done = command(trained.folder, "train", f"resume={trained.run.name}")
    assert (done.code, done.stderr) == (0, "")
    assert "it is finished, all of its 60 steps; trainer.steps=N with more" in done.stdout


def test_nothing_lies_beside_the_output_folder(trained) -> None:
    assert sorted(path.name for path in trained.folder.iterdir()) == ["outputs", "state"]


def test_training_learns_to_beat_bicubic_on_every_held_out_photograph(trained) -> None:
    """A fixed seed; without learning the residual network is bicubic and gains exactly nothing."""
    with (trained.run / "evaluations/photos_x2/rgb/final.csv").open() as file:
        gains = {row["image"]: float(row["psnr_gain"]) for row in csv.DictReader(file)}
    assert len(gains) == 3 and all(gain > 0.05 for gain in gains.values()), gains


def test_metrics_agree_with_the_per_image_table(trained) -> None:
    with (trained.run / "evaluations/photos_x2/rgb/final.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["astronaut", "chelsea", "coffee"]
    last = trained.points()[-1]["metrics"]
    for name in ("psnr", "ssim", "psnr_bicubic", "psnr_gain"):
        mean = np.mean([float(row[name]) for row in rows])
        assert last[f"photos_x2/rgb/{name}"] == pytest.approx(mean, abs=1e-12)
    for row in rows:
        difference = float(row["psnr"]) - float(row["psnr_bicubic"])
        assert float(row["psnr_gain"]) == pytest.approx(difference, abs=1e-12)


def test_bicubic_of_the_table_is_what_scikit_image_says(trained) -> None:
    """Bicubic's PSNR of astronaut, recomputed with an independent metric from Pillow's resize."""
    from skimage.data import astronaut
    from skimage.metrics import peak_signal_noise_ratio

    from srexp.images.resize import resize_matlab

    hr = astronaut()
    lr = np.clip(np.floor(resize_matlab(hr / 255, (256, 256)) * 255 + 0.5), 0, 255) / 255
    sr = np.clip(np.floor(resize_matlab(lr, (512, 512)) * 255.0 + 0.5), 0, 255).astype(np.uint8)
    expected = peak_signal_noise_ratio(hr[2:-2, 2:-2], sr[2:-2, 2:-2], data_range=255)
    with (trained.run / "evaluations/photos_x2/rgb/final.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["image"] == "astronaut"]
    assert float(row["psnr_bicubic"]) == pytest.approx(expected, abs=0.01)


def test_output_says_gain_interval_weights_cost_and_waiting(trained) -> None:
    assert "dB over bicubic, 95 % interval" in trained.stdout
    assert "Student's t, n = 3" in trained.stdout
    assert "weights: best on val (step" in trained.stdout
    # 3 layers of 3x3: 3*8 + 8*8 + 8*3 kernels of 9 weights, and 8 + 8 + 3 biases.
    assert f"{9 * (24 + 64 + 24) + 19:,} parameters" in trained.stdout
    assert "waiting for data" in trained.stdout
    assert "oneDNN" not in trained.stderr and "WARNING" not in trained.stderr


def test_learning_rate_follows_the_cosine(trained) -> None:
    rates = {p["step"]: p["metrics"].get("train/learning_rate") for p in trained.points()}
    # Cosine from 1e-3 at step 0 to 1e-5 at step 60; logged for the step to come.
    for step in (10, 30, 60):
        cosine = 0.5 * (1 + np.cos(np.pi * step / 60))
        logged = next(
            p["metrics"]["train/learning_rate"]
            for p in trained.points()
            if p["step"] == step and "train/learning_rate" in p["metrics"]
        )
        assert logged == pytest.approx(1e-3 * (0.99 * cosine + 0.01), rel=1e-5)
    assert len(rates) == 6


def test_mlflow_shows_the_run(trained) -> None:
    store = sqlite3.connect(trained.folder / "outputs" / "mlflow.db")
    (run_id, status), *others = store.execute("select run_uuid, status from runs").fetchall()
    assert not others and status == "FINISHED"
    assert run_id == trained.info()["mlflow"]["run_id"]
    params = dict(store.execute("select key, value from params").fetchall())
    assert params["model.depth"] == "3" and params["act.name"] == "leaky_relu"
    tags = dict(store.execute("select key, value from tags").fetchall())
    assert "x2 matlab bicubic, rgb [" in tags["srexp.task.photos_x2/rgb"]
    # Every point of the truth, once.
    sent = store.execute("select key, step, value from metrics").fetchall()
    truth = [
        (key, point["step"], value)
        for point in trained.points()
        for key, value in point["metrics"].items()
    ]
    assert sorted(sent) == sorted(truth)


def test_mlflow_images_have_a_step_slider(trained) -> None:
    images = [path.name for path in trained.folder.glob("outputs/mlartifacts/*/artifacts/images/*")]
    flower = [name for name in images if "flower" in name and name.endswith(".png")]
    assert {int(re.search(r"step.(\d+)", name)[1]) for name in flower} == {20, 40, 60}
    path = next(trained.folder.glob("outputs/mlartifacts/*/artifacts/images/*flower*step?60*.png"))
    with (
        Image.open(path) as picture,
        Image.open(trained.run / "grids/val_x2/rgb/flower/step-0000060.png") as truth,
    ):
        assert np.array_equal(np.asarray(picture.convert("RGB")), np.asarray(truth))


@pytest.mark.slow
def test_same_seed_same_numbers_other_seed_others(trained, command, tiny, tmp_path) -> None:
    again = command(tmp_path, "train", *tiny, "tracking=none")
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    other = command(other_folder, "train", *tiny, "tracking=none", "seed=1")

    def losses(done) -> list[float]:
        return [p["metrics"]["train/loss"] for p in done.points() if "train/loss" in p["metrics"]]

    assert losses(again) == losses(trained)
    assert losses(other) != losses(trained)
    weights, _ = checkpoint.load(newest(trained.run))
    repeated, _ = checkpoint.load(newest(again.run))
    assert all(np.array_equal(weights[name], repeated[name]) for name in weights)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_saves_and_says_how_to_go_on(interrupted, number: int) -> None:
    done = interrupted(number)
    assert done.code == 128 + number, done.stderr
    info = done.info()
    assert info["status"] == "INTERRUPTED"
    _, meta = checkpoint.load(newest(done.run))
    assert f"stopped at step {meta['progress']['step']} of 100000" in done.stderr
    assert f"train resume={info['id']}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-m", "seed=0,1")])
def test_a_terminal_that_is_closed_loses_nothing(tiny, tmp_path: Path, arguments) -> None:
    """The screen is gone with it, and whatever would be printed there is an error."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "srexp", "train", *arguments, *tiny, *LONG],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env=command_environment(tmp_path),
    ) as process:
        os.close(theirs)
        os.set_blocking(ours, False)
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("outputs/*/checkpoints/step-*.npz")):
            assert process.poll() is None and time.monotonic() < deadline
            with contextlib.suppress(BlockingIOError):
                os.read(ours, 1 << 16)
            time.sleep(0.1)
        os.close(ours)
        assert process.wait(timeout=60) == 128 + signal.SIGHUP
    (run,) = tmp_path.glob("outputs/*/run.json")
    info = json.loads(run.read_text())
    assert info["status"] == "INTERRUPTED"
    _, meta = checkpoint.load(newest(run.parent))
    assert meta["progress"]["step"] == info["progress"]["step"]


def test_killed_then_resumed_equals_uninterrupted(
    interrupted: Callable, command: Callable, tiny, tmp_path: Path
) -> None:
    killed = interrupted(signal.SIGKILL)
    assert killed.info()["status"] == "RUNNING"
    _, meta = checkpoint.load(newest(killed.run))
    # A run of a schedule of 100,000 steps, stopped by wall-clock time after a few more.
    resumed = command(
        tmp_path, "train", f"resume={killed.info()['id'][:-2]}", "trainer.max_minutes=0.02"
    )
    assert resumed.code == 0, resumed.stderr
    arrays, after = checkpoint.load(newest(resumed.run))
    step = after["progress"]["step"]
    assert step > meta["progress"]["step"]
    straight_folder = tmp_path / "straight"
    straight_folder.mkdir()
    straight = command(
        straight_folder,
        "train",
        *tiny,
        f"trainer.steps={step}",
        "schedule.steps=100000",
        "tracking=none",
    )
    assert straight.code == 0, straight.stderr
    expected, _ = checkpoint.load(newest(straight.run))
    assert set(arrays) == set(expected)
    assert all(np.array_equal(arrays[name], expected[name]) for name in arrays)
    steps = [p["step"] for p in resumed.points() if "train/loss" in p["metrics"]]
    assert steps == sorted(set(steps)), "a step twice, or out of order"


@pytest.mark.slow
def test_twin_is_mentioned_and_a_new_run_started(interrupted, command, tiny, tmp_path) -> None:
    first = interrupted(signal.SIGINT)
    done = command(
        tmp_path,
        "train",
        *tiny,
        "trainer.steps=100000",
        "trainer.jit_compile=false",
        "tracking=none",
        "trainer.max_minutes=0.01",
    )
    assert f"run {first.runs[0].name} with the same configuration was not finished" in done.stdout
    assert len(done.runs) == 2


def test_diverging_run_names_the_step_and_is_failed(command, tiny, tmp_path) -> None:
    done = command(
        tmp_path,
        "train",
        *tiny,
        "optimizer=sgd",
        "optimizer.learning_rate=1000",
        "optimizer.clip_norm=null",
        "tracking=none",
    )
    assert done.code == 1
    assert "the loss of step" in done.stderr and "Traceback" not in done.stderr
    assert done.info()["status"] == "FAILED"
    assert "the loss of step" in done.info()["failure"]


@pytest.mark.slow
def test_dead_mlflow_server_hurts_nothing(command, tiny, tmp_path) -> None:
    done = command(
        tmp_path, "train", *tiny, "tracking.uri=http://127.0.0.1:9", "tracking.timeout_seconds=1"
    )
    assert done.code == 0, done.stderr
    assert done.info()["status"] == "FINISHED"
    assert "did not take everything" in done.stdout and "items were not sent" in done.stdout


def test_dry_run_says_what_and_writes_nothing(command, tmp_path) -> None:
    done = command(tmp_path, "train", "trainer.dry_run=true", "model.depth=5")
    assert done.code == 0, done.stderr
    # 5 layers: 3->32, three times 32->32, 32->3, kernels of 9, and the biases.
    parameters = 9 * (3 * 32 + 3 * 32 * 32 + 32 * 3) + 4 * 32 + 3
    assert f"{parameters:,} parameters" in done.stdout
    assert "receptive field 11x11" in done.stdout
    assert "different patches of 48x48" in done.stdout
    photos = compose()["data"]["train"]
    pixels = sum(image.size // 3 for image in read_photos("train", photos).images.values())
    assert f"{500 * 16 * 48**2 / pixels:.3g} passes over the training images" in done.stdout
    assert done.stdout.index("parameters") < done.stdout.index("benchmark:")
    assert done.stdout.index("time, about") < done.stdout.index("learning_rate: 0.001")
    assert re.search(r"time, about: \d+:\d\d of training", done.stdout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_reader_that_goes_away_does_not_end_training(tiny, tmp_path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "srexp", "train", *tiny, "tracking=none"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=command_environment(tmp_path),
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        assert process.wait(timeout=120) == 0, stderr
    (run,) = tmp_path.glob("outputs/*/run.json")
    assert json.loads(run.read_text())["status"] == "FINISHED"


@pytest.mark.slow
def test_names_that_mlflow_would_refuse_are_sent_all_the_same(command, tiny, tmp_path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    smooth = np.kron(np.arange(144).reshape(12, 12), np.ones((4, 4))).astype(np.uint8)
    Image.fromarray(smooth).save(pictures / "[red]bold=ü.png")
    done = command(
        tmp_path, "train", *tiny, "benchmark=folder", f"benchmark.folder.dir={pictures}"
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "not sent" not in done.stdout and "[red]bold=ü" in done.stdout
    store = sqlite3.connect(tmp_path / "outputs" / "mlflow.db")
    assert store.execute("select status from runs").fetchall() == [("FINISHED",)]


@pytest.mark.slow
def test_folder_of_mixed_pictures_trains_and_names_what_it_skips(command, tiny, tmp_path) -> None:
    random = np.random.default_rng(0)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    smooth = np.kron(random.integers(0, 255, (12, 13, 3)), np.ones((5, 5, 1))).astype(np.uint8)
    for index in range(3):
        Image.fromarray(np.roll(smooth, 7 * index, axis=1)).save(pictures / f"{index}.png")
    Image.fromarray(smooth[..., 0]).save(pictures / "grey.jpg")
    Image.fromarray(smooth).convert("P").save(pictures / "palette.png")
    Image.fromarray(smooth[:20, :20]).save(pictures / "small.png")
    done = command(
        tmp_path, "train", *tiny, f"data.train_dir={pictures}", "data=folder",
        f"data.val_dir={tmp_path / 'val'}", "tracking=none",
    )  # fmt: skip
    assert done.code == 2 and "data.val_dir" in done.stderr
    done = command(
        tmp_path, "train", *tiny, f"data.train_dir={pictures}", "data=folder", "tracking=none",
        "data.split_seed=1",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "1 training image is smaller than a patch of 24 pixels" in done.stdout
    assert "small" in done.stdout


@pytest.mark.slow
def test_terminal_gets_a_bar_with_time_left(tiny, tmp_path) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "srexp", "train", *tiny, "trainer.steps=20", "tracking=none"],
        cwd=tmp_path,
        stdout=slave,
        stderr=slave,
        stdin=subprocess.DEVNULL,
        env=command_environment(tmp_path, COLUMNS="120", TERM="xterm"),
    ) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        assert process.wait(timeout=60) == 0, seen.decode()
    os.close(master)
    text = seen.decode(errors="replace")
    assert "20/20" in text and "left" in text and "images/s" in text


@pytest.mark.slow
def test_smoke_does_everything_once(command, tmp_path) -> None:
    done = command(tmp_path, "train", "debug=smoke")
    assert done.code == 0, done.stderr
    (run,) = (tmp_path / "outputs" / "debug").glob("*-*")
    names = {str(path.relative_to(run)) for path in run.rglob("*")}
    assert names >= {
        "model.keras", "checkpoints/best.npz", "checkpoints/step-0000004.npz",
        "evaluations/photos_x2/rgb/final.csv", "grids/val_x2/rgb/flower/step-0000002.png",
    }  # fmt: skip
