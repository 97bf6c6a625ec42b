"""The front: help, version, completion, what is imported, Hydra's own flags."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests_environment import ROOT, command_environment

from srexp import __version__
from srexp.cli import COMMANDS, main
from srexp.config import COMMANDS as HYDRA
from srexp.config.catalogue import catalogue
from srexp.terminal.arguments import Parser
from srexp.terminal.completion import complete
from srexp.terminal.explain import explain


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=command_environment(folder, **environment),
    )


def test_help_names_every_command(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "--help")
    assert done.returncode == 0
    for name, what in COMMANDS.items():
        assert name in done.stdout and what in done.stdout
        assert (ROOT / "srexp" / "commands" / f"{name}.py").is_file()


def test_version(tmp_path: Path) -> None:
    assert _run(tmp_path, "-m", "srexp", "--version").stdout == f"srexp {__version__}\n"


_ARGPARSE = [
    (), ("compare",), ("leaderboard",), ("report",), ("sync",), ("ui",), ("data",), ("runs",),
    *(("data", action) for action in ("list", "fetch", "check", "preview")),
    *(("runs", action) for action in ("list", "show", "rm")),
]  # fmt: skip


@pytest.mark.parametrize("command", _ARGPARSE)
def test_help_fits_80_columns(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", ["srexp", *command, "--help"])
    with suppress(SystemExit):
        main()
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


# Help of the commands that Hydra composes.


def _explained(capsys: pytest.CaptureFixture[str], command: str, *topics: str) -> str:
    explain(command, ["--help", *topics])
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if len(line) > 80] == []
    return text


@pytest.mark.parametrize("command", HYDRA)
def test_command_help_explains_every_group_option_and_key(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = _explained(capsys, command)
    known = catalogue(command)
    for group in known.every_group:
        assert re.search(rf"^{re.escape(group.typed)}(=| +\w|$)", text, re.MULTILINE), group.name
        for option in group.options.values():
            assert len(group.options) == 1 or re.search(
                rf"^  {option.name} +\S", text, re.MULTILINE
            )
    for other in {group for name in HYDRA for group in catalogue(name).groups} - {*known.groups}:
        assert not re.search(rf"^{other}(=| +\w)", text, re.MULTILINE), other
    for key in known.keys:
        assert f"  {key}=" in text


@pytest.mark.parametrize("command", HYDRA)
def test_help_of_every_key_option_and_group(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = catalogue(command)
    monkeypatch.setattr("srexp.terminal.explain.catalogue", lambda *_: known)  # read once
    for group in known.groups.values():
        assert group.words.split()[0] in _explained(capsys, command, group.name)
        for option in group.options.values():
            text = _explained(capsys, command, f"{group.name}={option.name}")
            assert text.startswith(f"{group.name}={option.name}")
            if group.name != "table":
                for key in known.of(group, option):
                    assert "takes" in _explained(capsys, command, key.path)
    for key in known.keys:
        assert "a value" not in _explained(capsys, command, key)


@pytest.mark.parametrize(
    ("topic", "wanted"),
    [
        ("trainer.ema", "a number greater than 0, or null"),
        ("model.filters", "a list of whole numbers, each between 1 and 4096"),
        ("trainer.strategy", "one of none, mirrored, multi_worker"),
        ("trainer.augment", "true or false"),
        ("paths.output_dir", "a folder"),
        ("seed", "a whole number"),
        ("protocol.NAME.luma", "one of studio, full"),
        ("lr", "optimizer.learning_rate"),
        ("model=srcnn", "model.kernel_sizes=[9,1,5]"),
        ("relu", "act=relu"),
        ("trainer.steps=10", "no epochs"),
        ("degradation.links.noise.sigma", "a number between 0 and 255, or two to draw between"),
        ("degradation.links.NAME.quality", "a number between 1 and 100, or two to draw between"),
        ("link", "gaussian_blur Blur by a Gaussian"),
        ("jpeg", "+link@degradation.links.NAME=jpeg Saved as JPEG"),
    ],
)
def test_help_says_what_a_key_takes(
    topic: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wanted in " ".join(_explained(capsys, "train", topic).split())


def test_help_of_what_there_is_not_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for topic, wanted in (("trainer.epoch", "did you mean trainer."), ("run", "of srexp evaluate")):
        with pytest.raises(SystemExit) as caught:
            explain("train", ["--help", topic])
        assert caught.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert wanted in line


@pytest.mark.parametrize(
    "typed",
    [
        "train --help trainer.ema",
        "train -h trainer.ema",
        "help train trainer.ema",
        "train help trainer.ema",
    ],
)
def test_ways_to_ask_for_help(typed: str, tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", *typed.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("trainer.ema\n")


def test_long_help_goes_through_the_pager(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("LINES", "30")
    monkeypatch.setenv("PAGER", "sed -n 1p")
    explain("train", ["--help"])
    assert capfd.readouterr().out == "Train a network and see by how much it beats bicubic.\n"
    explain("train", ["--help", "seed"])  # fits the screen
    assert len(capfd.readouterr().out.splitlines()) > 1


def test_help_knows_options_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "act").mkdir()
    (tmp_path / "act" / "steep.yaml").write_text("# Mine.\nname: relu\n")
    done = _run(tmp_path, "-m", "srexp", "train", "--config-dir", ".", "--help", "act")
    assert re.search(r"^  steep +Mine\.$", done.stdout, re.MULTILINE)
    (tmp_path / "act" / "steep.yaml").write_text("name: relu\nbroken: [\n")
    for folder, wanted in ((".", "steep.yaml, line 3: "), ("none", "--config-dir none: no such")):
        done = _run(tmp_path, "-m", "srexp", "train", "--config-dir", folder, "--help", "act")
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2 and wanted in line


@pytest.mark.parametrize(
    "typed",
    [
        "hydra.run.dir=made",
        "hydra.sweep.dir=made -m seed=1,2",
        "hydra/job_logging=default",
        "hydra.output_subdir=made",
    ],
)
def test_settings_of_hydras_that_are_refused_leave_nothing(typed: str, tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "train", *typed.split())
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith(f"srexp: {typed.split('=')[0]}=")
    assert list(tmp_path.iterdir()) == []


def test_flags_of_other_programs_are_one_line(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "train", "--epochs", "10")
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and line.endswith("type trainer.steps=500")


# What may not be imported by what; the value is what is typed.
LIGHT = {
    "--help": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf", "numpy"],
    "--version": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf", "numpy"],
    "train --help": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf", "numpy"],
    "train --cfg job": ["tensorflow", "keras", "mlflow"],
    "train model.dpth=1": ["tensorflow", "keras", "mlflow"],
    "evaluate model=bicubic": ["tensorflow", "keras", "mlflow"],
    "evaluate model=nope": ["tensorflow", "keras", "mlflow"],
    "reproduce benchmark=nope": ["tensorflow", "keras", "mlflow"],
    "ui --help": ["tensorflow", "keras", "mlflow", "hydra", "omegaconf"],
}


@pytest.mark.parametrize("typed", LIGHT)
def test_nothing_heavy_is_imported(typed: str, tmp_path: Path) -> None:
    child = (
        "import sys\nfrom srexp.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = _run(tmp_path, "-c", child, *typed.split())
    modules = set(done.stdout.splitlines()[-1].split())
    assert "srexp.cli" in modules
    assert not modules & set(LIGHT[typed])


def test_cfg_job_is_the_composed_yaml(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "train", "--cfg", "job", "model.depth=5", "act=prelu")
    config = yaml.safe_load(done.stdout)
    assert config["model"]["depth"] == 5
    assert config["act"] == {"name": "prelu", "initial_slope": 0.25}


def test_flags_may_stand_between_overrides(tmp_path: Path) -> None:
    (tmp_path / "cd").mkdir()
    typed = ("act=prelu", "--config-dir", "cd", "model.depth=5", "--cfg", "job", "seed=3")
    config = yaml.safe_load(_run(tmp_path, "-m", "srexp", "train", *typed).stdout)
    assert (config["act"]["name"], config["model"]["depth"], config["seed"]) == ("prelu", 5, 3)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("srexp ", set(COMMANDS)),
        ("srexp tr", {"train"}),
        ("srexp train mod", {"model=", "model."}),
        ("srexp train act=le", {"act=leaky_relu"}),
        ("srexp train model.de", {"model.depth="}),
        ("srexp train model=srcnn model.kernel_s", {"model.kernel_sizes="}),
        ("srexp evaluate benchmark=set1", {"benchmark=set14"}),
        ("srexp reproduce table=bi", {"table=bicubic"}),
        (
            "srexp train model.",
            {
                f"model.{key}"
                for key in (
                    "depth",
                    "filters",
                    "kernel_size",
                    "output_activation",
                    "value_range",
                    "residual",
                    "upscale_interpolation",
                )
            },
        ),
        ("srexp train act=prelu act.", {"act.initial_slope="}),
        ("srexp train act=prelu model=srcnn act.", {"act.initial_slope="}),
        ("srexp train experiment=srcnn_915_x3_t91 model.kern", {"model.kernel_sizes="}),
        ("srexp train protocol=[rgb,y_paper] protocol.", {"protocol.rgb.", "protocol.y_paper."}),
        ("srexp train hyd", {"hydra.", "hydra/"}),
        ("srexp train degradation=chain +link@", {"+link@degradation.links."}),
        ("srexp train +link@degradation.links.x=j", {"+link@degradation.links.x=jpeg"}),
        (
            "srexp train degradation=chain link@degradation.links.noise=po",
            {"link@degradation.links.noise=poisson_noise"},
        ),
        (
            "srexp train degradation=chain degradation.links.",
            {f"degradation.links.{name}." for name in ("blur", "resize", "noise", "jpeg")},
        ),
        (
            "srexp train degradation=chain +link@degradation.links.x=jpeg degradation.links.x.q",
            {"degradation.links.x.quality="},
        ),
        ("srexp train trainer.dry_run=", {"trainer.dry_run=true", "trainer.dry_run=false"}),
        ("srexp train -m act=relu,pr", {"act=relu,prelu"}),
        ("srexp evaluate benchmark=[set5,set1", {"benchmark=[set5,set14"}),
        ("srexp evaluate protocol.y_p", {"protocol.y_paper."}),
        ("srexp evaluate protocol.y_paper.lu", {"protocol.y_paper.luma="}),
        ("srexp train --he", {"--help"}),
        ("srexp train --help trainer.ev", {"trainer.eval_every"}),
        ("srexp help train trainer.em", {"trainer.ema"}),
        ("srexp train hydra.launcher.n_j", {"hydra.launcher.n_jobs="}),
        ("srexp train +trai", {"+trainer=", "+trainer."}),
        ("srexp data preview degradation.sc", {"degradation.scale="}),
        ("srexp data fetch se", {"set5", "set14"}),
        ("srexp data check --j", {"--json"}),
        ("srexp compare --fo", {"--format"}),
        ("srexp compare --format ma", {"markdown"}),
        ("srexp leaderboard --sort ga", {"gain"}),
        ("srexp report --ou", {"--output-dir"}),
        ("srexp sync --u", {"--uri"}),
        ("srexp ui --no", {"--no-browser"}),
        ("srexp nothing ", set()),
    ],
)
def test_completion(
    line: str, expected: set[str], monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path
) -> None:
    if "hydra." in line:  # Hydra's own runs once a process
        for shell in ("bash", "zsh"):
            done = _run(tmp_path, "-m", "srexp", "-sc", f"query={shell}", COMP_LINE=line)
            assert done.stdout.split() == [*expected]
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setattr(Parser, "parse_known_args", Parser.parse_known_args)  # put back
    for shell in ("bash", "zsh", "fish"):
        complete(["-sc", f"query={shell}"], COMMANDS)
        words = capsys.readouterr().out
        assert len(words.splitlines()) == (1 if shell == "bash" else len(expected) or 1)
        assert {word.rstrip("=.") for word in words.split()} == {
            word.rstrip("=.") for word in expected
        }


def test_zsh_has_a_script_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    complete(["-sc", "install=zsh"], COMMANDS)
    script = capsys.readouterr().out
    assert "compdef _srexp srexp" in script and "complete " not in script
    if zsh := shutil.which("zsh"):
        assert subprocess.run([zsh, "-n"], input=script, text=True, check=False).returncode == 0


def test_completion_installs_for_the_console_script(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "-sc", "install=bash")
    assert done.returncode == 0, done.stderr
    assert "complete -o nospace -o default -F hydra_bash_completion srexp" in done.stdout


def test_ui_without_a_store_names_the_last_one(tmp_path: Path) -> None:
    done = _run(tmp_path, "-m", "srexp", "ui")
    assert done.returncode == 2
    assert "outputs: no such folder; no run has been tracked yet" in done.stderr
    state = tmp_path / "state" / "srexp"
    state.mkdir(parents=True)
    (state / "last_store").write_text("sqlite:////elsewhere/mlflow.db")
    done = _run(tmp_path, "-m", "srexp", "ui")
    assert "srexp ui --uri sqlite:////elsewhere/mlflow.db" in done.stderr


def test_windows_itself_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("srexp: Windows itself is not supported; in WSL 2")
