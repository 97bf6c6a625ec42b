"""The README's table of options is the folder `conf/`."""

from __future__ import annotations

import re

import pytest
from tests_environment import ROOT

TABLE = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "README.md").read_text(), re.M))
# Of the launcher and sweeper, of paths; of `adversarial`, whose row names them.
ELSEWHERE = {"hydra", "paths", "discriminator", "trainer"}


@pytest.mark.parametrize(
    "group",
    sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir()),
)
def test_every_option_stands_in_the_table_of_the_readme(group: str) -> None:
    if group in ELSEWHERE:
        return
    missing = [
        path.stem
        for path in (ROOT / "conf" / group).glob("*.yaml")
        if f"`{path.stem}`" not in TABLE[group]
    ]
    assert missing == []
