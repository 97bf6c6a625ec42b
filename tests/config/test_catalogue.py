"""What `conf/` holds, in words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from srexp.config import COMMANDS
from srexp.config.catalogue import Catalogue, catalogue, commands_with, conf_dir

# Groups whose options are made of other groups' keys, or of published values.
PRESETS = ("experiment", "sweep", "debug", "table")


@pytest.fixture(scope="module")
def known() -> dict[str, Catalogue]:
    return {command: catalogue(command) for command in COMMANDS}


@pytest.mark.parametrize("command", COMMANDS)
def test_everything_in_conf_is_explained_by_a_comment(
    command: str, known: dict[str, Catalogue]
) -> None:
    ours = known[command]
    silent = [command] if not ours.words else []
    silent += [key.path for key in ours.keys.values() if not key.words]
    for group in ours.every_group:
        silent += [group.name] if not group.words else []
        for option in group.options.values():
            silent += [f"{group.name}={option.name}"] if not option.words else []
            if group.name not in PRESETS:
                keys = ours.of(group, option)
                silent += [f"{key.path} of {option.name}" for key in keys if not key.words]
    assert silent == []


def test_every_file_of_conf_is_an_option_of_some_command(known: dict[str, Catalogue]) -> None:
    found = {
        (group.name, option)
        for ours in known.values()
        for group in ours.every_group
        for option in group.options
    }
    files = {(path.parent.name, path.stem) for path in conf_dir().glob("*/*.yaml")}
    assert found == files


def test_every_key_of_every_file_is_in_the_catalogue(known: dict[str, Catalogue]) -> None:
    """By PyYAML alone: nothing is lost where comments are read."""
    every = {key for ours in known.values() for key in ours.every_key}
    for group in (group for ours in known.values() for group in ours.inner.values()):
        for key in (key for option in group.options.values() for key in option.keys):
            every.add(f"{group.name}.{key.path.removeprefix(f'{group.place}.')}")
        every.add(f"{group.name}.name")
    for path in conf_dir().glob("*/*.yaml"):
        group = path.parent.name
        if group not in PRESETS:
            content = yaml.safe_load(path.read_text())
            for key, value in content.items():
                assert key == "defaults" or f"{group}.{key}" in every
                for inner in value if isinstance(value, dict) else ():
                    assert f"{group}.{key}.{inner}" in every


def test_comments_above_and_behind_a_key_are_its_words(tmp_path: Path) -> None:
    (tmp_path / "act").mkdir()
    (tmp_path / "act" / "mine.yaml").write_text(
        "# Of mine. Second sentence\n# goes on.\n#\n#   indented\nname: leaky_relu\n"
        "# what it is,\n# at length:\nnegative_slope: 0.2 # below 0\n"
        'quoted: "a # b" # c\nlisted: [1, 2] # two\nblock: # three\n  - 1\nsilent: null\n'
    )
    option = catalogue("train", [tmp_path]).groups["act"].options["mine"]
    assert option.words == "Of mine. Second sentence goes on.\n\n  indented"
    assert option.summary == "Of mine."
    assert [(key.path, key.default, key.words) for key in option.keys] == [
        ("act.negative_slope", "0.2", "what it is, at length: below 0"),
        ("act.quoted", "a # b", "c"),
        ("act.listed", "[1,2]", "two"),
        ("act.block", "[1]", "three"),
        ("act.silent", "null", ""),
    ]


def test_an_option_has_the_keys_of_the_one_that_it_is_based_on(known: dict[str, Catalogue]) -> None:
    data = known["train"].groups["data"]
    t91 = {key.name: key for key in data.options["t91"].keys}
    folder = {key.name: key for key in data.options["folder"].keys}
    assert t91.keys() == folder.keys()
    assert (t91["expected_images"].default, folder["expected_images"].default) == ("91", "null")
    assert t91["expected_images"].words == folder["expected_images"].words


def test_a_command_replaces_defaults_of_a_group(known: dict[str, Catalogue]) -> None:
    """`srexp reproduce` measures all scales where none is given."""
    group = known["reproduce"].groups["degradation"]
    keys = {k.path: k for k in known["reproduce"].of(group, group.options["bicubic"])}
    assert keys["degradation.scale"].default == "null"
    assert known["train"].groups["degradation"].options["bicubic"].keys[0].default == "2"


def test_which_commands_have_a_group() -> None:
    assert commands_with("act") == ["train"]
    assert commands_with("table") == ["reproduce"]
    assert commands_with("protocol") == ["train", "evaluate", "reproduce"]
