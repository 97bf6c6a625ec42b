"""Bad input: one line, a suggestion, exit code 2, before TensorFlow, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests_environment import command_environment
from tests_forked import Process, light

# What is typed -> what the one line must say.
CASES = {
    "model.dpth=7": ["model.dpth", "did you mean model.depth?"],
    "act=leaky": ["act=leaky", "type act=leaky_relu"],
    "+model.foo=1": ["model.foo", "deconv has no such key"],
    "+optimizer.learning_rat=1": ["did you mean learning_rate?"],
    "+foo=1": ["foo", "no such key"],
    "sed=1": ["sed", "did you mean seed?"],
    "modle=deconv": ["modle", "did you mean model?"],
    "protocol.rgb.bordr=3": ["protocol.rgb.bordr", "did you mean protocol.rgb.border?"],
    "benchmark=set55": ["benchmark=set55", "did you mean set5?"],
    "model.depth=seven": ["model.depth", "seven", "whole number"],
    "model.depth=2.5": ["model.depth", "2.5", "whole number"],
    "trainer.augment=perhaps": ["trainer.augment", "perhaps", "true or false"],
    "optimizer.learning_rate=fast": ["optimizer.learning_rate", "fast", "a number"],
    "model.value_range=3": ["model.value_range"],
    "model.depth=0": ["model.depth=0", "between 2 and 100"],
    "degradation.scale=1": ["degradation.scale=1", "between 2 and 8"],
    "degradation.scale=9": ["degradation.scale=9", "between 2 and 8"],
    "degradation.interpolation=cubic": ["degradation.interpolation=cubic", "did you mean bicubic?"],
    "degradation.interpolation=hamming": ["engine=matlab has no such kernel", "engine=pillow"],
    "degradation.scale=5": ["trainer.hr_patch_size=48", "does not divide", "45 or 50"],
    "model.kernel_size=4": ["model.kernel_size=4", "odd"],
    "model.value_range=[1,0]": ["model.value_range", "rising"],
    "model.output_activation=tan": ["did you mean tanh?"],
    "trainer.batch_size=0": ["trainer.batch_size=0", "between 1 and"],
    "act.name=[relu,elu]": ["act.name=", "must be one of"],
    "trainer.patience=0": ["trainer.patience=0", "at least 1"],
    "trainer.monitor=sim": ["trainer.monitor=sim", "must be psnr, ssim"],
    "init_from=latest": ["there are no runs in"],
    "trainer.ema=1": ["trainer.ema=1", "below 1"],
    "trainer.steps=-3": ["trainer.steps=-3", "at least 1"],
    "trainer.steps=null": ["trainer.steps"],
    "optimizer.learning_rate=nan": ["optimizer.learning_rate=nan", "greater than 0"],
    "table=srcnn": ["table: is no group of this command, but of srexp reproduce"],
    "link=jpeg": ["link=jpeg", "type degradation=chain +link@degradation.links.more=jpeg"],
    "algorithm=adversarial trainer.hr_patch_size=44": ["=44", "multiple of 8: 40 or 48 would do"],
    "discriminator=srgan": [
        "type algorithm=adversarial discriminator@algorithm.discriminator=srgan"
    ],
    "degradation=chain degradation.lr_8bit=false": ["jpeg makes LR an 8-bit file", "use null"],
    "data=pairs": ["data.hr_dir=null", "data.hr_dir=DIR"],
    "schedule.warmup_steps=500": ["schedule.warmup_steps=500", "fewer than"],
    "color=grey": ["color=grey", "rgb or y"],
    "seed=-1": ["seed=-1"],
    "tracking.uri=mlruns": ["tracking.uri=mlruns", "sqlite:///"],
    "model=bicubic": ["nothing to train", "python -m srexp evaluate model=bicubic"],
    "data=folder": ["data.train_dir=None", "data.train_dir=FOLDER"],
    "data=t91": ["data.train_dir", "no such folder"],
    "benchmark=set5": ["benchmark.set5.dir", "no such folder"],
    "resume=latest": ["there are no runs in"],
    "resume=": ["resume=: is empty"],
    "-m resume=latest seed=1,2": ["goes on with one run, without -m"],
    "model=3": ["no such option", "(there are carn"],
    "benchmark=[set5,set144]": ["did you mean set14?"],
    "act=": ["no such option", "prelu"],
    "data.val=[]": ["at least one photograph"],
    "data.val=[florwer]": ["did you mean flower?"],
    "model=srcnn model.kernel_sizes=[9,5]": ["kernel_sizes", "one entry more than"],
    "model.depth=${nothing}": ["nothing"],
    "model.depth=": ["model.depth"],
    "model.depth": ["model.depth"],
    "-m model.depth=3,0 act=relu,prelu": ["model.depth=0", "in the job model.depth=0 act=relu"],
    "-m act=relu,leaky": ["leaky"],
}


def _train(folder: Path, arguments: Iterable[str]) -> Process:
    process = light().start(folder, "train", *arguments, timeout=60)
    process.wait()
    return process


def _one_line(done: Process) -> str:
    assert done.returncode == 2, done.stderr
    assert done.imported == []
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("srexp: ")
    return lines[0]


@pytest.mark.parametrize("typed", CASES)
def test_one_line_exit_2_nothing_left(typed: str, tmp_path: Path) -> None:
    line = _one_line(_train(tmp_path, typed.split()))
    for words in CASES[typed]:
        assert words in line
    left = [path.name for path in tmp_path.iterdir() if path.name != "state"]
    assert left == []


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for index in range(3):
        Image.fromarray(np.roll(pixels, index, axis=0)).save(folder / f"{index}.jpg")
    return folder


def _folder(pictures: Path, *more: str) -> str:
    done = _train(pictures.parent, ["data=folder", f"data.train_dir={pictures}", *more])
    line = _one_line(done)
    assert not (pictures.parent / "outputs").exists()
    return line


def test_truncated_jpeg(pictures: Path) -> None:
    whole = (pictures / "1.jpg").read_bytes()
    (pictures / "1.jpg").write_bytes(whole[: len(whole) // 2])
    line = _folder(pictures)
    assert "1.jpg" in line and "truncated" in line


def test_text_file_named_png(pictures: Path) -> None:
    (pictures / "notes.png").write_text("not a picture")
    assert "notes.png: not a picture" in _folder(pictures)


def test_all_images_smaller_than_a_patch(pictures: Path) -> None:
    line = _folder(pictures, "trainer.hr_patch_size=96")
    assert "trainer.hr_patch_size=96" in line and "all training images are smaller" in line


def test_empty_folder(pictures: Path) -> None:
    for path in pictures.iterdir():
        path.unlink()
    assert "no pictures in it" in _folder(pictures)


def test_validation_image_in_a_benchmark(pictures: Path) -> None:
    line = _folder(
        pictures, f"data.val_dir={pictures}", "benchmark=folder", f"benchmark.folder.dir={pictures}"
    )
    assert "holds validation images" in line


def test_output_folder_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    line = _one_line(_train(tmp_path, ["paths.output_dir=taken"]))
    assert "paths.output_dir" in line and "is a file" in line


def test_output_folder_may_not_be_written(tmp_path: Path) -> None:
    """Root may write anywhere, so the folder is one in which nobody can make anything."""
    line = _one_line(_train(tmp_path, ["paths.output_dir=/proc/srexp"]))
    assert "paths.output_dir=/proc/srexp" in line


def test_missing_images_of_a_sweep(tmp_path: Path) -> None:
    done = _train(tmp_path, ["-m", "data=t91", "seed=1,2", "tracking=none"])
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "no such folder" in last and "(in the job data=t91 seed=1" in last
    assert not (tmp_path / "outputs").exists()


def test_unknown_command_names_the_nearest(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "srexp", "trian"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=command_environment(tmp_path),
    )
    assert done.returncode == 2
    assert "did you mean train?" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("trainer:\n  steps: 3\n  steps: 4\n", "mine.yaml, line 4: found duplicate key steps"),
        ("trainer: [\n", "mine.yaml, line 3: expected the node content"),
        ("trainer:\n  stepps: 3\n", "trainer.stepps: trainer has no such key; did you mean steps?"),
        ("defaults:\n  - override /modle: srcnn\n", "modle: no such group or key; did you mean"),
        ("defaults:\n  - override /model: srcn\n", "model=srcn: no such option; did you mean"),
    ],
)  # fmt: skip
def test_a_debug_file_of_ones_own_that_cannot_work(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "debug").mkdir()
    (tmp_path / "debug" / "mine.yaml").write_text(f"# @package _global_\n{content}")
    line = _one_line(_train(tmp_path, ["--config-dir", ".", "debug=mine"]))
    assert message in line


def test_an_unknown_debug_option_names_the_nearest(tmp_path: Path) -> None:
    line = _one_line(_train(tmp_path, ["debug=smok"]))
    assert (
        line == "srexp: debug=smok: no such option; did you mean smoke? (there are overfit, smoke)"
    )
