"""`srexp compare` as it is typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_scored import make_report

from srexp.commands import compare
from srexp.evaluation.tables import to_csv
from srexp.tracking.mlflow_store import Store, quiet_client
from srexp.tracking.record import RunFolder

Main = Callable[..., str]


@pytest.fixture
def main() -> Callable[..., None]:
    return compare.main


def test_a_trained_run_beside_bicubic(trained: Any, command: Any, tmp_path: Path) -> None:
    """From a real training: the table's numbers are those that the run noted."""
    done = command(trained.folder, "compare", "latest", "--format", "json")
    assert done.code == 0, done.stderr
    (table,) = json.loads(done.stdout)["tables"]
    assert (table["set"], table["scale"], table["protocol"]) == ("photos", 2, "rgb")
    bicubic, row = table["methods"]
    result = trained.info()["result"]
    assert row["difference"] == pytest.approx(result["gain"], abs=1e-9)
    assert row["psnr"] == pytest.approx(result["psnr"], abs=1e-9)
    assert bicubic["psnr"] == pytest.approx(row["psnr"] - row["difference"], abs=1e-9)
    done = command(trained.folder, "compare", "latest")
    assert f"{row['psnr']:.2f}" in done.stdout and "depth=3 filters=8 steps=60" in done.stdout


def test_runs_are_named_as_elsewhere(make: Any, call: Main) -> None:
    one = make([0.1, 0.2], "model.depth=3", mlflow={"run_id": "abcdef0123456789"})
    other = make([0.3, 0.4], "model.depth=5")
    for first, second in (
        (one.id, other.id), (str(one.folder), "latest"), ("abcdef0123", f"{other.folder}/"),
    ):  # fmt: skip
        data = json.loads(call(first, second, "--format", "json"))
        assert [row["method"] for row in data["tables"][0]["methods"]] == [
            "bicubic", "depth=3", "depth=5",
        ]  # fmt: skip
    # The same run twice is one run, and no replicate of itself.
    data = json.loads(call(one.id, str(one.folder), "--format", "json"))
    assert data["tables"][0]["methods"][1]["runs"] == [one.id] and data["remarks"] == []


def test_a_table_of_no_run_stands_beside_runs(make: Any, call: Main, tmp_path: Path) -> None:
    """A resampler's, or of images that another program made."""
    runs = [make([0.1, 0.2, 0.3], f"seed={seed}") for seed in (0, 1)]
    report = make_report([0.5, 0.1, 0.3])
    report.method, report.weights = "swinir", ""
    path = tmp_path / report.task.key / "swinir_2026-01-01_00-00-00.csv"
    path.parent.mkdir(parents=True)
    path.write_text(to_csv(report))
    (table,) = json.loads(call(str(path), *(run.id for run in runs), "--format", "json"))["tables"]
    assert [row["method"] for row in table["methods"]] == ["bicubic", "deconv-x2", "swinir"]
    assert table["pairs"][0]["difference"] == pytest.approx(-0.1)
    assert [table["pairs"][0][name] for name in ("wins", "ties", "losses")] == [1, 1, 1]
    assert not any("weights" in line for line in table["notes"])
    assert "swinir" in call(str(path), "--format", "markdown")


def test_a_sweep_is_its_finished_runs(make: Any, call: Main, refused: Main) -> None:
    for seed in (0, 1, 2):
        run = make([0.1 * seed, 0.2], f"seed={seed}", sweep="2026-01-01_00-00-00_aaaaaaaa")
    run.update(status="FAILED")
    make([0.1, 0.2], sweep="2026-01-02_00-00-00_bbbbbbbb")
    (row,) = json.loads(call("--sweep", "aaaa", "--format", "json"))["tables"][0]["methods"][1:]
    assert row["seeds"] == [0, 1]
    (row,) = json.loads(call("--sweep", "latest", "--format", "json"))["tables"][0]["methods"][1:]
    assert len(row["runs"]) == 1
    assert "several sweeps are called so" in refused("--sweep", "2026-01")
    assert "2026-01-02_00-00-00_bbbbbbbb" in refused("--sweep", "cccc")


def test_to_a_file(make: Any, call: Main, refused: Main, tmp_path: Path) -> None:
    run = make([0.1, 0.2])
    for form in ("table", "markdown", "latex", "csv", "json"):
        path = tmp_path / form
        shown = call(run.id, "--format", form)
        assert call(run.id, "--format", form, "-o", str(path)) == ""
        if form == "table":
            assert "+0.150" in path.read_text() and "\x1b" not in path.read_text()
        else:
            assert path.read_text() == shown
    assert "cannot be written" in refused(run.id, "-o", str(tmp_path / "no" / "file"))


def test_names_are_those_that_were_given(make: Any, call: Main, refused: Main) -> None:
    one, other = make([0.1, 0.2], "model.depth=3"), make([0.3, 0.4], "model.depth=5")
    text = call(
        one.id, other.id, "--name", f"{one.id}=Ours (a=b)", "--name", "bicubic=Bicubic",
        "--table", "paper", "--format", "csv",
    )  # fmt: skip
    assert [line.split(",")[2] for line in text.splitlines()[1:]] == [
        "Bicubic", "Ours (a=b)", "depth=5",
    ]  # fmt: skip
    assert "| Ours |" in call(one.id, other.id, "--name", "latest=Ours", "--format", "markdown")
    for given, said in (
        ("x", "must be RUN=NAME"), ("x=y", "no run that is shown is called x"),
        (f"{one.id}=", "must be RUN=NAME"), ("20=y", "2 runs begin so"),
        (f"{one.id}=bicubic", "is the baseline"),
    ):  # fmt: skip
        assert said in refused(one.id, other.id, "--name", given)


def test_the_table_of_papers_and_the_statistics(make: Any, call: Main, refused: Main) -> None:
    """Both, where there is more than one column; of latex the one, of csv the other."""
    runs = [make([make_report([0.1, 0.2], scale=scale)], f"degradation.scale={scale}").id
            for scale in (2, 3)]  # fmt: skip
    paper, statistics = "Best in bold", "better on"
    for arguments, shown in (
        ((), (True, True)), (("--format", "markdown"), (True, True)),
        (("--format", "latex"), (True, False)), (("--format", "html"), (True, True)),
        (("--table", "paper"), (True, False)), (("--table", "statistics"), (False, True)),
        (("--format", "latex", "--table", "statistics"), (False, True)),
    ):  # fmt: skip
        text = call(*runs, *arguments)
        assert (paper in text, statistics in text) == shown, arguments
    assert "x2" in call(*runs, "--table", "paper") and "x3" in call(*runs, "--table", "paper")
    assert "p_holm" in call(*runs, "--format", "csv")
    assert paper not in call(runs[0]) and "over images" in call(runs[0], "--intervals")
    for arguments, said in (
        (("--seeds", "--intervals"), "not allowed with argument"),
        (("--seeds", "--table", "statistics"), "--seeds: belongs to the table of papers"),
        (("--format", "json", "--table", "paper"), "json holds all numbers"),
    ):
        assert said in refused(*runs, *arguments)


def test_filters_and_metric(make: Any, call: Main) -> None:
    reports = [make_report([0.1, 0.2], images=name) for name in ("set5", "set14", "val")]
    run = make(reports)
    for arguments, expected in (
        ((), ["set14", "set5"]),
        (("--benchmark", "val"), ["val"]),
        (("--benchmark", "set5", "--benchmark", "set14"), ["set14", "set5"]),
    ):
        tables = json.loads(call(run.id, "--format", "json", *arguments))["tables"]
        assert [table["set"] for table in tables] == expected
    text = call(run.id, "--benchmark", "set5", "--metric", "ssim")
    assert "gain SSIM" in text and "+0.0015" in text


def test_what_is_not_quite_right_is_said(make: Any, call: Main) -> None:
    run = make([0.1, 0.2])
    (run.folder / "evaluations/set5_x2/y_paper/deconv_2031-01-01_00-00-00.csv").write_text("set")
    run.update(status="INTERRUPTED")
    text = call(run.id)
    assert f"note: {run.id} is INTERRUPTED" in text
    assert "deconv_2031-01-01_00-00-00.csv: is cut short" in text


def test_bad_input_is_one_line(make: Any, refused: Main, output: Path) -> None:
    assert "name the runs to compare" in refused()
    assert "there are no runs in" in refused("latest")
    run = make([0.1, 0.2])
    assert f"did you mean {run.id}?" in refused(run.id.replace("deconv", "decon"))
    assert "did you mean latest?" in refused("latets")
    assert "did you mean set5?" in refused(run.id, "--benchmark", "set")
    (run.folder / "config.json").write_text("")
    assert "config.json: cannot be read" in refused(run.id)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--formt", "csv"], "unrecognized arguments: --formt csv; did you mean --format?"),
        (["--metric", "psn"], "did you mean psnr?"),
        (["--figure", "a.bmp"], "--figure a.bmp: the name must end in .png"),
        (["--figure", "a.png", "--html", "a.png"], "--html is to be written there already"),
        (["--html", "no/such/page.html"], "no folder no/such"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    make: Any, refused: Main, arguments: list[str], said: str
) -> None:
    assert said in refused(make([0.1, 0.2]).id, *arguments)


def test_a_full_disk_behind_stdout_is_one_line(make: Any, output: Path, tmp_path: Path) -> None:
    make([0.1, 0.2])
    command = [sys.executable, "-m", "srexp", "compare", "latest", "--output-dir", str(output)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=command_environment(tmp_path),
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "srexp: the output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("arguments", [["--metric", "lpips"], ["--format", "pdf"], ["--wrong"]])
def test_an_unknown_choice_ends_with_2(main: Main, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["latest", *arguments])
    assert caught.value.code == 2


def test_nothing_heavy_is_imported(make: Any, output: Path, tmp_path: Path) -> None:
    one, other = make([0.1, 0.2], "model.depth=3"), make([0.3, 0.4], "model.depth=5")
    code = (
        "import sys; from srexp.commands.compare import main\n"
        "main(sys.argv[1:])\n"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'hydra', 'omegaconf', 'matplotlib'}\n"
        "print(*heavy & sys.modules.keys(), file=sys.stderr)"
    )
    for form in ("table", "csv"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(one.folder), str(other.folder), "--format", form],
            capture_output=True, text=True, check=True, env=command_environment(tmp_path),
        )  # fmt: skip
        assert done.stderr == "\n"


def test_a_hundred_runs_are_read_once(
    make: Any, call: Main, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their ids: each once, and no other run; by a start the whole folder, but once."""
    first = make([0.1, 0.2, 0.3])
    for number in range(1, 100):
        folder = output / f"run_{number:03}"
        shutil.copytree(first.folder, folder)
        config = json.loads((folder / "config.json").read_text())
        config["seed"] = number
        (folder / "config.json").write_text(json.dumps(config))
        info = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**info, "id": folder.name}))
    opened = []
    original = RunFolder.open
    monkeypatch.setattr(
        RunFolder, "open", classmethod(lambda cls, path: opened.append(path) or original(path))
    )
    names = [f"run_{number:03}" for number in range(1, 100)]
    (row,) = json.loads(call(*names, "--format", "json"))["tables"][0]["methods"][1:]
    assert row["seeds"] == list(range(1, 100))
    assert len(opened) == 99
    opened.clear()
    call(first.id[:-1], *names, "--format", "json")
    assert len(opened) == 100 + 99


def test_it_is_shown_in_mlflow_once(
    make: Any, call: Main, refused: Main, migrated: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    one = make([0.1, 0.2], "model.depth=3")
    assert f"run {one.id} is not in MLflow" in refused(one.id, "--mlflow")
    shutil.copyfile(migrated, tmp_path / "mlflow.db")
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", "tests", str(tmp_path / "artifacts"), 5)
    one.update(mlflow=asdict(store))
    other = make([0.3, 0.4], "model.depth=5", mlflow=asdict(store))
    for _ in range(2):
        text = call(one.id, other.id, "--mlflow", "--format", "csv")
    client = quiet_client(store)
    experiment = client.get_experiment_by_name("tests").experiment_id
    (found,) = client.search_runs([experiment])
    assert (found.info.run_name, found.info.status) == ("comparison of 2 methods", "FINISHED")
    assert one.id in found.data.tags["srexp.compared"]
    assert "| depth=5 | 30.85 |" in found.data.tags["mlflow.note.content"]
    folder = Path(client.download_artifacts(found.info.run_id, ""))
    assert (folder / "comparison.csv").read_text() == text
    assert {path.name for path in folder.iterdir()} == {
        f"comparison.{kind}" for kind in ("csv", "html", "json", "md")
    }
    call(one.id, other.id, "--mlflow", "--metric", "ssim")
    assert len(client.search_runs([experiment])) == 2
    other.update(mlflow={**asdict(store), "uri": "sqlite:///elsewhere.db"})
    assert "must be in one MLflow store" in refused(one.id, other.id, "--mlflow")


def test_completion_of_runs(make: Any, completed: Any, tmp_path: Path) -> None:
    run = make([0.1, 0.2])
    for line, expected in (
        ("srexp comp", "compare"),
        ("srexp compare ", f"{run.id} latest"),
        (f"srexp compare {run.id} {run.id[:6]}", run.id),
        ("srexp compare x", ""),
    ):
        assert completed(line, tmp_path) == expected, line
