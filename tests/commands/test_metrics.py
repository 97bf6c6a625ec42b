"""Further metrics of `srexp evaluate`, as a user asks for them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from keras import ops
from tests_environment import command_environment

COLUMNS = [
    "set", "scale", "degradation", "protocol", "digest", "method", "weights", "image",
    "psnr", "ssim", "psnr_bicubic", "ssim_bicubic", "psnr_gain",
]  # fmt: skip


def _rows(folder: Path, protocol: str) -> list[dict[str, str]]:
    (path,) = folder.glob(f"outputs/evaluations/photos_x2/{protocol}/lanczos_*.csv")
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half the mean absolute difference, of images in [0, 1]."""
    a, b = (keras.Input((None, None, 3)) for _ in range(2))
    path = tmp_path_factory.mktemp("network") / "net.keras"
    keras.Model([a, b], ops.mean(ops.abs(a - b), axis=(1, 2, 3)) / 2).save(path)
    return path


def test_columns_that_are_asked_for(command, tmp_path: Path, network: Path) -> None:
    typed = ["evaluate", "model=lanczos", "protocol=[rgb,y_of_rgb]"]
    (tmp_path / "plain").mkdir()
    done = command(tmp_path / "plain", *typed)
    assert done.code == 0, done.stderr
    done = command(tmp_path, *typed, "metric=[ms_ssim,mae,lpips]", f"metric.lpips.model={network}")
    assert done.code == 0, done.stderr
    assert done.stderr == ""
    assert "mean absolute error in 8-bit levels" in done.stdout
    assert "LPIPS: by net.keras [" in done.stdout
    for protocol in ("rgb", "y_of_rgb"):
        rows, plain = _rows(tmp_path, protocol), _rows(tmp_path / "plain", protocol)
        assert list(plain[0]) == COLUMNS
        assert list(rows[0]) == [
            *COLUMNS, "ms_ssim", "ms_ssim_bicubic", "mae", "mae_bicubic", "lpips",
            "lpips_bicubic", "lpips_weights",
        ]  # fmt: skip
        for row, other in zip(rows, plain, strict=True):
            assert {column: row[column] for column in COLUMNS} == other
            assert 0.98 < float(row["ms_ssim"]) < 1
            assert float(row["ssim"]) < float(row["ms_ssim"])
            for name in ("", "_bicubic"):
                level = float(row[f"mae{name}"])
                assert 1 < level < 8
                assert float(row[f"lpips{name}"]) == pytest.approx(level / 255 / 2, rel=1e-4)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["metric=lpips"], ["metric.lpips.model=null", "LPIPS needs", "github.com", ".keras"]),
        (["metric=lpips", "metric.lpips.model=none.keras"],
         ["metric.lpips.model=none.keras: no such file"]),
        (["metric=lpips", "metric.lpips.model=rubbish.keras"],
         ["metric.lpips.model=rubbish.keras: ", "wanted is a .keras file"]),
        (["metric=ms_sim"], ["metric=ms_sim", "did you mean ms_ssim?"]),
        (["metric=mae", "metric.mae.unit=levels"], ["metric.mae.unit"]),
    ],
)  # fmt: skip
def test_bad_input(typed: list[str], words: list[str], command, tmp_path: Path) -> None:
    (tmp_path / "rubbish.keras").write_text("rubbish")
    done = command(tmp_path, "evaluate", *typed)
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    for part in words:
        assert part in line
    assert not (tmp_path / "outputs").exists()


DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_metric_of_the_documents_works(tmp_path: Path) -> None:
    """What `docs/metrics.md` shows as somebody else's metric, word for word."""
    blocks = DOCUMENT.read_text().split("```")[1::2]
    (code,) = (block.removeprefix("python\n") for block in blocks if block.startswith("python"))
    (yaml,) = (block.removeprefix("yaml\n") for block in blocks if block.startswith("yaml"))
    site, conf = tmp_path / "site", tmp_path / "conf" / "metric"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    conf.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[srexp.options]\ntheirs = theirs\n")
    (site / "theirs.py").write_text(code)
    (conf / "edge_mae.yaml").write_text(yaml)
    environment = command_environment(tmp_path)
    environment["PYTHONPATH"] = os.pathsep.join([str(site), environment["PYTHONPATH"]])
    done = subprocess.run(
        [
            sys.executable, "-m", "srexp", "evaluate", "--config-dir", str(conf.parent),
            "model=lanczos", "metric=[mae,edge_mae]", "protocol=rgb",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "edge MAE" in done.stdout
    for row in _rows(tmp_path, "rgb"):
        assert 0 < float(row["edge_mae"]) < 2 * float(row["mae"])
