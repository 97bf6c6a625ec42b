"""Composing, and Hydra's own errors as one line with a suggestion."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

import srexp
from srexp.config.catalogue import Catalogue, catalogue, commands_with
from srexp.config.compose import compose, conf_dir
from srexp.config.errors import readable
from srexp.config.registry import groups, implementation, implementations
from srexp.config.settings import experiment_of
from srexp.options import OptionError, flatten

Composed = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def known() -> Catalogue:
    """What the command line hands over for suggestions."""
    return catalogue("train")


def message(known: Catalogue, *overrides: str, command: str = "train") -> str:
    with pytest.raises((HydraException, OmegaConfBaseException, ValueError)) as caught:
        compose(command, list(overrides))
    text = readable(caught.value, known)
    assert "\n" not in text
    assert text.strip()
    return text


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("seeed=1", "seeed: no such key; did you mean seed?"),
        ("model.dept=3", "model.dept: no such key; did you mean model.depth?"),
        ("modle.depth=3", "modle.depth: no such key; did you mean model.depth?"),
        ("trainer.step=3", "trainer.step: no such key; did you mean trainer.steps?"),
        ("optimiser=adam", "optimiser: no such key; did you mean optimizer?"),
        ("qqqqq=1", "qqqqq: no such key; srexp train --help lists them all"),
        ("model=deconvv", "model=deconvv: no such option; did you mean deconv? (there are"),
        ("act=leaky_rely", "did you mean leaky_relu? (there are elu, gelu, "),
        ("optimizer=zzz", "no such option (there are adam, adamw, lamb, lion, rmsprop, sgd)"),
        ("experiment=tutorial", "no such option; did you mean tutorial2018?"),
        ("benchmark=set55", "benchmark=set55: no such option; did you mean set5?"),
    ],
)
def test_a_typo_is_answered_with_the_nearest_name(
    known: Catalogue, override: str, wanted: str
) -> None:
    assert wanted in message(known, override)


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("model.depth", "model.depth: must be KEY=VALUE"),
        ("latest", "(a run: resume=latest or init_from=latest)"),
        ("benchmark=set5,set14",
         "are a list, 'benchmark=[set5,set14]'; one run for each of several values: -m benchmark="),
        ("model.value_range=0,1", "values are a list, 'model.value_range=[0,1]'"),
        ("model.depth=3,5", "takes one value; one run for each of several values: -m model.depth="),
        ("act=relu,prelu", "takes one option, as in act=relu; one run for each: -m act=relu,prelu"),
        ('seed=1, "m" é', "wants quotes of its own"), ("model.depth=[1", "[1"),
        ("model.depth=3=", "=3="),
        ("link@degradation.links.noise=jpeg,webp", "each: -m link@degradation.links.noise="),
        ("~foo", "~foo: no such key or group"), ("+model.depth=3", "already at 'model.depth'"),
    ],
)  # fmt: skip
def test_other_mistakes_fit_one_line_and_name_the_override(
    known: Catalogue, override: str, wanted: str
) -> None:
    assert wanted in message(known, override)


def test_a_place_in_a_chain_takes_one_link(known: Catalogue) -> None:
    given = "link@degradation.links.noise=[jpeg,webp]"
    with pytest.raises(
        OptionError, match=f"^{re.escape(given)}: takes one option, as in link@degr"
    ):
        compose("train", ["degradation=chain", given])
    for link in ("jpeg", "gaussian_noise"):
        with pytest.raises(HydraException) as twice:
            compose("train", ["degradation=chain", f"+link@degradation.links.noise={link}"])
        assert readable(twice.value, known).startswith(
            "+link@degradation.links.noise: there is degradation.links.noise already; leave + out"
        )


@pytest.mark.parametrize(
    "group",
    sorted(
        {p.name for p in conf_dir().iterdir() if p.is_dir()} - {"hydra", "link", "discriminator"}
    ),
)
def test_only_some_groups_take_lists(composed: Composed, group: str, tmp_path: Path) -> None:
    """Hydra would merge both options into one, and the run would have the label of both."""
    command = commands_with(group)[0]
    names = [path.stem for path in sorted((conf_dir() / group).glob("*.yaml"))][:2]
    names = names if len(names) == 2 else names * 2
    given = f"{group}=[{','.join(names)}]"
    if group in ("protocol", "benchmark", "metric"):
        assert set(composed(command, given)[group]) == set(names)
        return
    with pytest.raises(OptionError, match=f"^{re.escape(given)}: takes one option, as in") as error:
        compose(command, [given])
    # In an experiment's file too; and what the message says can be typed.
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(
        f"# @package _global_\ndefaults:\n  - override /{group}: [{', '.join(names)}]\n"
    )
    if group not in ("experiment", "sweep", "debug", "table"):
        with pytest.raises(OptionError, match=f"^{re.escape(given)}: takes one option"):
            compose("train", ["experiment=mine"], config_dir=str(tmp_path))
    if "-m" in str(error.value):
        assert f"-m {group}={','.join(names)} " in str(error.value)


@pytest.mark.parametrize(
    ("override", "near"),
    [("benchmark=[set5,set144]", "set14"), ("protocol=[rgb,ypaper]", "y_paper")],
)
def test_a_typo_in_a_list_of_options_is_answered_too(
    known: Catalogue, override: str, near: str
) -> None:
    assert f"did you mean {near}?" in message(known, override)


def test_evaluating_a_network_by_name_says_that_a_run_is_wanted(known: Catalogue) -> None:
    """`srexp evaluate model=srcnn`: its YAML overrides act, which evaluate does not have."""
    from srexp.config.settings import evaluate_settings

    try:
        with pytest.raises(OptionError) as caught:
            evaluate_settings(compose("evaluate", ["model=srcnn"]))
        text = str(caught.value)
    except HydraException as error:
        text = readable(error, known)
    assert "run=" in text


@pytest.mark.parametrize("override", ["model=null", "act=null", "=3"])
def test_nothing_in_the_place_of_an_option_is_an_error_that_the_command_line_knows(
    known: Catalogue, override: str
) -> None:
    """Anything else than these kinds of error reaches the user as a traceback."""
    message(known, override)


def test_an_error_within_an_error_is_found(known: Catalogue) -> None:
    inner = HydraException("Could not override 'model.dept'.\nKey 'dept' is not in struct")
    outer = HydraException("while\n  composing")
    outer.__cause__ = inner
    assert readable(outer, known) == "model.dept: no such key; did you mean model.depth?"
    outer.__cause__, outer.__context__ = None, inner
    outer.__suppress_context__ = True  # `raise ... from None`
    assert readable(outer, known) == "while composing"
    outer.__suppress_context__ = False
    assert readable(outer, known) == "model.dept: no such key; did you mean model.depth?"
    assert readable(ValueError(), known) == "ValueError"


def test_every_key_of_the_configuration_can_be_suggested(composed: Composed) -> None:
    for command in ("train", "evaluate"):
        found = set(catalogue(command).every_key)
        values = composed(command)
        assert set(values) <= found | {"experiment"}
        for key in flatten(values):
            # benchmark.photos.photos stands in the file without the name of its own file.
            assert key in found, key


def test_a_suggestion_of_hydras_own_is_left_alone(known: Catalogue) -> None:
    """Hydra 1.4 will have them."""
    error = HydraException("Could not override 'model.dept'.\nDid you mean model.depth?")
    assert readable(error, known) == "Could not override 'model.dept'. Did you mean model.depth?"


def test_an_interpolation_that_leads_nowhere_is_one_line() -> None:
    with pytest.raises(OptionError, match="'nowhere' not found"):
        compose(overrides=["model.depth=${nowhere}"])


def test_every_key_can_be_overridden_without_a_plus(composed: Composed) -> None:
    """No key of the defaults is hidden from the command line: set each to what it is."""
    values = composed()
    overrides = [
        f"{key}={'null' if value is None else value}"
        for key, value in flatten(values).items()
        if isinstance(value, (int, float)) or value is None
    ]
    assert len(overrides) > 30
    again = compose(overrides=[o for o in overrides if not o.startswith("experiment=")])
    assert again == values


def test_the_command_line_wins_over_the_experiment_and_it_over_the_defaults(
    composed: Composed,
) -> None:
    default = composed()
    chosen = composed("train", "experiment=tutorial2018")
    assert (default["model"]["residual"], chosen["model"]["residual"]) == (True, False)
    mixed = compose(overrides=["experiment=tutorial2018", "model.residual=true", "act=prelu"])
    assert mixed["model"]["residual"] is True
    assert mixed["model"]["value_range"] == [-1, 1]
    assert mixed["act"]["name"] == "prelu"


def test_the_schedule_follows_the_number_of_steps(composed: Composed) -> None:
    values = composed("train", "trainer.steps=77")
    assert values["schedule"]["steps"] == 77


def test_several_benchmarks_and_protocols_stand_side_by_side(composed: Composed) -> None:
    values = composed("train", "benchmark=[set5,set14]", "protocol=[y_paper,rgb]")
    assert list(values["benchmark"]) == ["set5", "set14"]
    assert list(values["protocol"]) == ["y_paper", "rgb"]  # the first makes the training pairs
    experiment = experiment_of(values)
    assert experiment.benchmark["set14"].expected_images == 14


def test_environment_variables_say_where_things_lie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SREXP_OUTPUT_DIR", str(tmp_path / "o"))
    monkeypatch.setenv("SREXP_DATA_DIR", str(tmp_path / "d"))
    values = compose(overrides=["data=t91"])
    assert values["paths"] == {"output_dir": f"{tmp_path}/o", "data_dir": f"{tmp_path}/d"}
    assert values["data"]["train_dir"] == f"{tmp_path}/d/t91"


def test_a_folder_of_ones_own_adds_options_and_shadows_none(tmp_path: Path) -> None:
    (tmp_path / "act").mkdir()
    (tmp_path / "act" / "steep.yaml").write_text("name: leaky_relu\nnegative_slope: 0.9\n")
    (tmp_path / "act" / "relu.yaml").write_text("name: tanh\n")
    values = compose(overrides=["act=steep"], config_dir=str(tmp_path))
    assert experiment_of(values).act.negative_slope == 0.9
    assert compose(overrides=["act=relu"], config_dir=str(tmp_path))["act"]["name"] == "relu"


def test_conf_lies_in_the_checkout_or_in_the_package() -> None:
    assert (conf_dir() / "train.yaml").is_file()
    assert conf_dir().parent in (Path(srexp.__file__).parent, Path(srexp.__file__).parents[1])


def test_composing_and_checking_needs_neither_keras_nor_tensorflow() -> None:
    script = (
        "import sys\n"
        "from srexp.config.compose import compose\n"
        "from srexp.config.settings import experiment_of\n"
        "experiment_of(compose())\n"
        "print([m for m in ('keras', 'tensorflow', 'mlflow') if m in sys.modules])\n"
    )
    root = str(Path(srexp.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": root}, check=True, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


# The registry.


def test_an_unknown_implementation_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match=r"name=srcn: must be one of .*; did you mean srcnn\?"):
        implementation("model", "srcn")


@pytest.mark.parametrize("group", groups())
def test_names_and_classes_belong_together(group: str) -> None:
    found = implementations(group)
    assert found
    for name, cls in found.items():
        assert (cls.name, cls.group) == (name, group)


def test_an_entry_point_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from srexp.config import registry

    class Entry:
        name, value = "theirs", "their.package"

        def load(self) -> None:
            raise ModuleNotFoundError("No module named 'their'")

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()])
    with pytest.raises(
        OptionError, match=r"their\.package \(entry point theirs\) cannot be import"
    ):
        registry._import_all.__wrapped__()
