"""What is typed as KEY=VALUE arrives letter by letter where a key holds a text or a path."""

from __future__ import annotations

import shlex
import typing
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from srexp.config.compose import compose
from srexp.config.hydra_settings import check_sweeper_params
from srexp.config.reproduction import ReproduceSettings
from srexp.config.settings import EvaluateSettings, evaluate_settings, experiment_of
from srexp.config.typed import as_typed, quoted, text_key, typed_override
from srexp.options import OptionError
from srexp.training.experiment import Experiment, Paths

Composed = Callable[..., dict[str, Any]]

# What Hydra's grammar, YAML, a shell or a URI would read as something else.
ODD = (
    "2024", "1e3", "1_000", "4e12", "0123", "1e-4", "inf", "nan", "true", "off", "a=b", "a#b",
    "a&b", "{q}", "[x]", "[a", "a]", "{", "(x)", "choice(a)", "ünï", "it's", 'a"b', "'", '"', "a b",
    " a", "a ", "50%", "%2F", "what?", "a:b", "a;b", "a|b", "a@b", "a+b", "a\\b", "a\\", "a\\'b",
    "$HOME", "x$y", "a,b", "a, b", "~~", "-a", "=", "e\u0301", "a\tb", "null2", "!", "*", "${x",
)  # fmt: skip


def resolved(override: str) -> Any:
    """What a configuration has in the end: `\\${x}` is `${x}` there."""
    config = OmegaConf.create({"key": read(override)})
    return OmegaConf.to_container(config, resolve=True)["key"]  # type: ignore[index, call-overload]


def read(override: str) -> Any:
    """What Hydra makes of an override's value."""
    return OverridesParser.create().parse_override(override).value()


@pytest.mark.parametrize("text", ODD)
def test_a_text_arrives_as_it_was_typed(text: str) -> None:
    (given,) = as_typed([f"tracking.experiment={text}"])
    assert resolved(given) == text


@pytest.mark.parametrize("text", ["2024", "a=b", "it's", "${x"])
def test_a_whole_configuration_has_it(text: str) -> None:
    assert compose(overrides=[f"tracking.experiment={text}"])["tracking"]["experiment"] == text


@pytest.mark.parametrize("text", ["x${y}", "${paths.data_dir}", "\\${y}", "[a,b]", "a,b", *ODD])
def test_what_is_there_under_the_very_name_is_meant(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / text).mkdir()
    for key in ("data.train_dir", "benchmark.folder.dir"):
        (given,) = as_typed([f"{key}={text}"])
        assert resolved(given) == text
    # Quoted as Hydra wants it, too, but that Hydra would resolve ${...} even in quotes.
    (given,) = as_typed(["sr_dir='" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"])
    if "\\" not in text:
        assert resolved(given) == text


@pytest.mark.parametrize("text", ["x${y}", "\\${y}", "\\\\${y}", "a'${y}'", *ODD])
def test_quotes_keep_any_text(text: str) -> None:
    assert resolved(f"tracking.experiment={quoted(text)}") == text


@pytest.mark.parametrize("text", ODD)
def test_a_shown_argument_works_when_typed_as_printed(text: str) -> None:
    (argument,) = shlex.split(typed_override("tracking.experiment", text))
    assert resolved(*as_typed([argument])) == text


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.val_dir=null", None),
        ("data.train_dir=[a,b]", ["a", "b"]),
        ("data.train_dir=[2024, it's,'a,b',a=b]", ["2024", "it's", "a,b", "a=b"]),
        ("data.train_dir=['a b']", ["a b"]),
        ("data.train_dir='a,b'", "a,b"),
        ("save_sr=true", True), ("save_sr=False", False), ("save_sr=2024", "2024"),
        ("data.train_dir=${paths.data_dir}/x", "${paths.data_dir}/x"),
        ("data.train_dir=${paths.data_dir}/a=b", "${paths.data_dir}/a=b"),
        ("++data.train_dir=2024", "2024"),
        ("experiment=2024", "2024"), ("experiment=null", None),
        ("model.depth=3", 3), ("trainer.dry_run=true", True),
    ],
)  # fmt: skip
def test_what_keeps_its_meaning(override: str, value: Any) -> None:
    (given,) = as_typed([override])
    assert read(given) == value


def test_in_a_sweep_a_comma_still_sweeps() -> None:
    (_, given) = as_typed(["-m", "data.train_dir='a,b',2024,[2024,x],it's,a=b"])
    override = OverridesParser.create().parse_override(given)
    assert override.is_sweep_override()
    jobs = [read(f"data.train_dir={text}") for text in override.sweep_string_iterator()]
    assert jobs == ["a,b", "2024", ["2024", "x"], "it's", "a=b"]
    assert as_typed(["-m", "run=choice(a,b)"])[1] == "run=choice(a,b)"


def test_a_sweep_has_one_output_folder() -> None:
    with pytest.raises(OptionError, match="has one output folder") as caught:
        as_typed(["-m", "model.depth=2,3", "paths.output_dir=a b,c/../ü"])
    (typed,) = shlex.split(str(caught.value).partition("in its name: ")[2])
    given = as_typed(["-m", "model.depth=2,3", typed])
    assert read(given[2]) == "a b,c/../ü"


def test_a_swept_key_is_given_once() -> None:
    with pytest.raises(OptionError, match="is given twice, as 2,3 and as 2"):
        as_typed(["-m", "model.depth=2,3", "act=relu", "model.depth=2"])
    as_typed(["-m", "model.depth=2", "act=relu,prelu", "model.depth=3"])  # nothing is lost


@pytest.mark.parametrize(
    ("argument", "typed"),
    [
        ("+hydra.sweeper.params.act=relu", "act=relu"),
        ('hydra.sweeper.params={act:"[relu,prelu]"}', "act=relu,prelu"),
        ("hydra.sweeper.params={model.depth:[2,3]}", "model.depth=2,3"),
        ("++hydra.sweeper.params.seed='0,1'", "seed=0,1"),
    ],
)
def test_parameters_of_the_sweeper_are_typed_with_m(argument: str, typed: str) -> None:
    with pytest.raises(OptionError, match=f"type -m {typed}$"):
        check_sweeper_params(["-m", argument])


def test_functions_are_texts_where_nothing_is_swept() -> None:
    (given,) = as_typed(["method=choice(1)"])
    assert read(given) == "choice(1)"


@pytest.mark.parametrize(
    "key",
    ["data.train_dir", "data.val_dir", "benchmark.folder.dir", "benchmark.street.hr_dir", "sr_dir",
     "save_sr", "method", "run", "resume", "init_from", "paths.output_dir", "paths.data_dir",
     "tracking.uri", "tracking.experiment", "metric.lpips.model", "hydra.sweep.dir"],
)  # fmt: skip
def test_an_empty_value_is_refused(key: str) -> None:
    """`KEY=$NOT_SET`: it was the current folder."""
    for empty in ("", " ", "''"):
        if not empty.strip("'") and empty:
            continue
        with pytest.raises(OptionError, match=rf"^{key}=: is empty"):
            as_typed([f"{key}={empty}"])
    with pytest.raises(OptionError, match=rf"^{key}=: is empty"):
        as_typed(["-m", f"{key}=a,"])


def test_an_empty_value_in_quotes_or_in_yaml_is_refused_too(composed: Composed) -> None:
    for key, overrides in (
        ("data.train_dir", ["data=folder", "data.train_dir=''"]),
        ("data.train_dir", ["data=folder", "data.train_dir=[a,'']"]),
        ("tracking.experiment", ["tracking.experiment=' '"]),
        ("resume", ["resume=''"]),
    ):
        with pytest.raises(OptionError, match=rf"^{key}=.*: is empty"):
            experiment_of(composed("train", *overrides))
    for key in ("sr_dir", "save_sr", "method", "run"):
        with pytest.raises(OptionError, match=rf"^{key}=: is empty"):
            evaluate_settings(composed("evaluate", f"{key}=''"))


def test_an_empty_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SREXP_OUTPUT_DIR", "SREXP_DATA_DIR"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "")
            with pytest.raises(OptionError, match=f"^{name}=: is empty"):
                experiment_of(compose())


@pytest.mark.parametrize("yaml", ["2024", "1e3", "1_000", "true", "off"])
def test_a_name_that_yaml_reads_as_a_number_is_not_guessed(yaml: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    content = f"# @package _global_\ntracking:\n  experiment: {yaml}\n"
    (tmp_path / "experiment" / "2024.yaml").write_text(content)
    values = compose(overrides=["experiment=2024"], config_dir=str(tmp_path))
    with pytest.raises(OptionError, match=r"^tracking\.experiment=.* in YAML, where such a name"):
        experiment_of(values)


def test_several_folders_without_brackets_say_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        as_typed(["data.train_dir=a,b"])
    message = str(caught.value)
    assert "data.train_dir=a,b: several values are a list" in message
    listed, swept = shlex.split(message.split("list, ")[1].split("; ")[0]), message.split("-m ")[1]
    assert read(as_typed(listed)[0]) == ["a", "b"]
    assert as_typed(["-m", *shlex.split(swept.split(";")[0])])


def test_a_folder_called_null_is_not_none_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_typed(["data.val_dir=null"]) == ["data.val_dir=null"]
    (tmp_path / "null").mkdir()
    with pytest.raises(OptionError, match=r"means none; .*: data\.val_dir=\./null$"):
        as_typed(["data.val_dir=null"])
    assert as_typed(["data.val_dir=./null"]) == ["data.val_dir=./null"]


def test_a_folder_of_options_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a b,c=d [1]'#"
    (folder / "act").mkdir(parents=True)
    (folder / "act" / "steep.yaml").write_text("name: leaky_relu\nnegative_slope: 0.9\n")
    assert compose(overrides=["act=steep"], config_dir=str(folder))["act"]["negative_slope"] == 0.9
    home = as_typed(["--config-dir", "~/x=y", "-cd=~/z"])
    assert home == ["--config-dir", str(Path.home() / "x=y"), f"-cd={Path.home() / 'z'}"]


def test_every_text_of_the_settings_is_known() -> None:
    for cls in (Experiment, EvaluateSettings, ReproduceSettings):
        kinds = typing.get_type_hints(cls)
        for field in fields(cls):
            known = text_key(field.name)
            if kinds[field.name] in (
                str | None,
                bool | str,
            ):  # any text, not one of a few
                assert known is not None
                assert known.flag == (kinds[field.name] == bool | str)
            else:
                assert known is None
    assert all(text_key(f"paths.{field.name}") for field in fields(Paths))
    for key in ("data.train_dir", "benchmark.street.dir", "metric.lpips.model", "tracking.uri"):
        assert text_key(key)
    for key in ("model.depth", "data.prepare", "data.train", "model", "seed", "trainer.strategy"):
        assert text_key(key) is None
