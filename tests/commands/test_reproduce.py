"""`srexp reproduce` as a user runs it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
import yaml
from tests_environment import ROOT

from srexp.config.compose import compose
from srexp.config.reproduction import reproduce_settings
from srexp.config.settings import experiment_of
from srexp.images.io import read_image, to_png

TABLES = sorted((ROOT / "conf" / "table").glob("*.yaml"))

# SRCNN, TPAMI 2016, table 2; VDSR for BSD100.
BICUBIC = {
    "set5": ("33.66 30.39 28.42", "0.9299 0.8682 0.8104"),
    "set14": ("30.23 27.54 26.00", "0.8687 0.7736 0.7019"),
    "bsd100": ("29.56 27.21 25.96", "0.8431 0.7385 0.6675"),
}
# SRCNN 9-1-5, ECCV 2014.
SRCNN = {"set5": "36.34 32.39 30.09", "set14": "32.18 29.00 27.20"}

TINY = (
    "model.depth=3 model.filters=4 trainer.steps=20 trainer.eval_every=20 trainer.batch_size=2 "
    "trainer.hr_patch_size=24 trainer.sample_grids=1 tracking=none color=y protocol=y_paper"
)


def _kept(folder: Path) -> Path:
    (kept,) = folder.glob("outputs/reproductions/*")
    return kept


def _rows(folder: Path) -> list[dict[str, str]]:
    with (_kept(folder) / "table.csv").open() as file:
        return list(csv.DictReader(file))


def _one_line(done) -> str:
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("name", ["bicubic", "srcnn"])
def test_tables_hold_the_published_values(name: str) -> None:
    values = compose("reproduce", [f"table={name}"])
    rows = reproduce_settings(values, name).table.rows
    expected = BICUBIC if name == "bicubic" else SRCNN
    assert len(rows) == 3 * len(expected)
    for set_name, published in expected.items():
        psnrs, ssims = published if isinstance(published, tuple) else (published, None)
        for index, scale in enumerate((2, 3, 4)):
            row = rows[f"{set_name}_x{scale}"]
            assert (row.set, row.scale, row.protocol) == (set_name, scale, "y_paper")
            assert row.psnr == float(psnrs.split()[index])
            assert row.ssim == (float(ssims.split()[index]) if ssims else None)
            if name == "bicubic":
                assert (row.psnr_tolerance, row.ssim_tolerance) == (0.005, 0.0002)
                source = "VDSR" if set_name == "bsd100" else "SRCNN, TPAMI 2016, table 2"
                assert (row.source, row.train) == (source, None)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_commands_of_the_header_and_of_the_rows_compose(path: Path) -> None:
    commands = re.findall(r"^#\s+srexp reproduce (.+)$", path.read_text(), re.MULTILINE)
    assert commands and commands[0] == f"table={path.stem}"
    for command in commands:
        values = compose("reproduce", command.replace("DIR", "pictures").split())
        settings = reproduce_settings(values, path.stem)
        for row in settings.table.rows.values():
            if row.train is not None:
                experiment = experiment_of(compose("train", row.train.split()))
                assert experiment.degradation.scale == row.scale
                assert next(iter(experiment.protocol)) == row.protocol
                assert row.set in experiment.benchmark


def test_bicubic_of_set5_and_set14_passes(command, tmp_path: Path, shared_data: Path) -> None:
    done = command(tmp_path, "reproduce", "table=bicubic", f"paths.data_dir={shared_data}")
    assert done.code == 0, done.stdout + done.stderr
    rows = _rows(tmp_path)
    assert [row["row"] for row in rows] == [
        f"{name}_x{scale}" for name in ("set5", "set14") for scale in (2, 3, 4)
    ]
    for row in rows:
        assert row["pass"] == "True"
        assert abs(float(row["psnr"]) - float(row["psnr_published"])) <= 0.005
        assert abs(float(row["ssim"]) - float(row["ssim_published"])) <= 0.0002
    assert "bsd100 was skipped" in done.stdout and "srexp data fetch bsd100" in done.stdout
    assert "12 of 12 values are within their tolerance; 3 rows were skipped" in done.stdout
    content = json.loads((_kept(tmp_path) / "table.json").read_text())
    assert content["pass"] is True and len(content["rows"]) == 6
    assert len(list((_kept(tmp_path) / "per_image").glob("set5_*.csv"))) == 3
    assert "| set5 x2 | bicubic | 33.6614 | 33.66 |" in (_kept(tmp_path) / "table.md").read_text()


def test_a_broken_setting_is_named(command, tmp_path: Path, shared_data: Path) -> None:
    done = command(
        tmp_path, "reproduce", "benchmark=set5", f"paths.data_dir={shared_data}",
        "protocol.y_paper.luma=full",
    )  # fmt: skip
    assert done.code == 1, done.stdout + done.stderr
    assert "6 of 6 values miss" in _one_line(done)
    explained = done.stdout.split("explained: ")[1].splitlines()
    assert "protocol.y_paper.luma=studio" in explained[1]
    assert "gives set5 x2 33.6614 dB and 0.9299" in explained[1]
    assert explained[2].startswith("kept in")
    assert json.loads((_kept(tmp_path) / "table.json").read_text())["pass"] is False


def test_folders_of_other_images_need_nothing_but_their_path(
    command, tmp_path: Path, shared_data: Path
) -> None:
    """BSD100's layout: HR images already cropped for each scale. Here those of Set5."""
    for scale in (2, 3, 4):
        folder = tmp_path / "HR" / f"image_SRF_{scale}"
        folder.mkdir(parents=True)
        for path in (shared_data / "set5").glob("*.png"):
            image, _ = read_image(path)
            height, width = (side - side % scale for side in image.shape[:2])
            (folder / path.name).write_bytes(to_png(image[:height, :width]))
    done = command(tmp_path, "reproduce", f"benchmark.set5.dir={tmp_path / 'HR'}")
    assert done.code == 0, done.stdout + done.stderr
    assert [row["row"] for row in _rows(tmp_path)] == ["set5_x2", "set5_x3", "set5_x4"]
    assert "set14 was skipped" in done.stdout and "does not hold" not in done.stdout


@pytest.fixture(scope="module")
def own_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the user's own, of a network that trains in seconds."""
    conf = tmp_path_factory.mktemp("own") / "conf"
    (conf / "table").mkdir(parents=True)
    table = {
        "defaults": [{"override /benchmark@_global_.benchmark": "photos"}],
        "protocol": "y_paper",
        "paper": "Ours, 2026",
        "number": None,
        "tolerance": {"psnr": 3, "ssim": None},
        "train": {"x2": TINY},
        "rows": {
            "net": {"method": "net", "set": "photos", "scale": 2, "psnr": 33},
            "plain": {"method": "bicubic", "set": "photos", "scale": 2, "psnr": 33, "train": None},
        },
    }
    (conf / "table" / "own.yaml").write_text(yaml.safe_dump(table))
    return conf


def test_a_network_is_trained_when_asked_and_then_reused(
    command, own_table: Path, tmp_path: Path
) -> None:
    typed = ["reproduce", "--config-dir", str(own_table), "table=own"]
    done = command(tmp_path, *typed)
    assert done.code == 0, done.stdout + done.stderr
    assert f"srexp train {TINY}; or train=true here" in done.stdout
    assert "1 of 1 values are within their tolerance; 1 row was skipped" in done.stdout
    done = command(tmp_path, *typed, "train=true")
    assert done.code == 0, done.stdout + done.stderr
    assert len(done.runs) == 1
    with (done.run / "evaluations/photos_x2/y_paper/final.csv").open() as file:
        finals = [float(row["psnr"]) for row in csv.DictReader(file)]
    # Again, and with other benchmarks lost: from the run's own numbers, then from its weights.
    scored = []
    for lost in (False, True):
        if lost:
            (done.run / "evaluations/photos_x2/y_paper/final.csv").unlink()
        done = command(tmp_path, *typed, "train=true", f"paths.output_dir={tmp_path / 'outputs'}")
        assert done.code == 0, done.stdout + done.stderr
        assert len(done.runs) == 1, "it was trained again"
        newest = max(
            (tmp_path / "outputs/reproductions").glob("*"), key=lambda p: p.stat().st_mtime
        )
        row = json.loads((newest / "table.json").read_text())["rows"][0]
        assert row["run"] == done.run.name and row["method"] == "net"
        scored.append(row["psnr"])
    assert scored == pytest.approx([sum(finals) / 3] * 2, abs=1e-4)
    # It misses where the tolerance is small; no setting is looked for: it is no bicubic row.
    done = command(tmp_path, *typed, "table.tolerance.psnr=0.001", "table.rows.plain.psnr=32.5089")
    assert done.code == 1, done.stdout + done.stderr
    assert "1 of 2 values miss" in _one_line(done) and "explained" not in done.stdout


def test_a_run_of_another_network_is_not_taken(
    command, own_table: Path, trained, tmp_path: Path
) -> None:
    """`trained` is an RGB network: neither found nor accepted where it is named."""
    typed = ["reproduce", "--config-dir", str(own_table), "table=own"]
    output = f"paths.output_dir={trained.folder / 'outputs'}"
    done = command(tmp_path, *typed, output)
    assert done.code == 0 and "net x2 was skipped" in done.stdout
    done = command(tmp_path, *typed, output, "run=latest")
    assert done.code == 0 and "is of another network (color=rgb, not y)" in done.stdout


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["table=bicubc"], ["table=bicubc", "did you mean bicubic?"]),
        (["benchmark=set55"], ["did you mean set5?"]),
        (["benchmark=photos"], ["table=bicubic has no values for it", "benchmark.bsd100.dir=DIR"]),
        (["benchmark=bsd100"], ["benchmark.bsd100.dir", "no such folder"]),
        (["benchmark.bsd100.dir=nowhere"], ["benchmark.bsd100.dir: nowhere: no such folder"]),
        (["benchmark=[]"], ["must name at least one of bsd100, set14, set5"]),
        (["degradation.scale=5"], ["has no values for it (it has them for 2, 3, 4)"]),
        (["degradation.scale=two"], ["degradation.scale", "whole number"]),
        (["protocol=[rgb,y_paper]"], ["a table is of one protocol"]),
        (["protocol.y_paper.luma=ful"], ["protocol.y_paper.luma=ful", "did you mean full?"]),
        (["run=latest"], ["table=bicubic has no row of a network"]),
        (["train=true"], ["table=bicubic has no row of a network"]),
        (["table=srcnn", "train=perhaps"], ["train=perhaps: is not true or false"]),
        (["table=srcnn", "train=true", "run=latest"], ["give one of them"]),
        (["table=srcnn", "benchmark=bsd100"], ["table=srcnn has no values for it"]),
        (["+table.foo=1"], ["table.rows.set5_x2.foo", "no such key"]),
        (["table.rows.set5_x2.psnr=much"], ["table.rows.set5_x2.psnr", "not a number"]),
        (["table.tolerance=3"], ["table.tolerance=3: must hold psnr and ssim"]),
        (["table.method=vdsr"], ["method=vdsr: without weights there is bicubic alone"]),
        ([], ["nothing could be measured", "srexp data fetch bsd100"]),
    ],
)
def test_bad_input(typed: list[str], words: list[str], command, tmp_path: Path) -> None:
    done = command(tmp_path, "reproduce", *typed)
    assert done.code == 2, done.stdout + done.stderr
    line = _one_line(done)
    for part in words:
        assert part in line
    assert not (tmp_path / "outputs").exists()


def test_a_network_that_nobody_trained_or_that_is_of_other_images(
    command, tmp_path: Path, shared_data: Path
) -> None:
    data = f"paths.data_dir={shared_data}"
    done = command(tmp_path, "reproduce", "table=srcnn", "degradation.scale=3", data)
    assert done.code == 2, done.stdout + done.stderr
    assert "srexp train experiment=srcnn_915_x3_t91; or train=true" in _one_line(done)
    done = command(tmp_path, "reproduce", "table=srcnn", "degradation.engine=pillow", data)
    assert done.code == 2, done.stdout + done.stderr
    assert "is trained for x2 matlab bicubic, not for x2 pillow bicubic" in _one_line(done)
    done = command(tmp_path, "reproduce", "table=srcnn", "table.train.x2='modle=srcnn'", data)
    assert done.code == 2, done.stdout + done.stderr
    assert "table.train: modle: no such key; did you mean model?" in _one_line(done)
