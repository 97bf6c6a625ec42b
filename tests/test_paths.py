"""Paths as people give them: one rule."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from srexp.options import OptionError
from srexp.paths import OUTPUT_DIR, PathError, absolute, checked, from_environment, to_path


def test_homes_are_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert to_path("~") == tmp_path
    assert to_path("~/a b") == tmp_path / "a b"
    user = pwd.getpwuid(os.getuid())
    assert to_path(f"~{user.pw_name}/x") == Path(user.pw_dir) / "x"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"), (" ", "is empty"), ("a\0b", "NUL"), ("~no-such-user/x", "./~no-such"),
        ("x" * 256, "too long"), ("ü" * 128, "too long"), ("/".join(["x" * 99] * 50), "too long"),
    ],
)  # fmt: skip
def test_what_is_no_path_is_said(text: str, reason: str) -> None:
    with pytest.raises(PathError, match=reason):
        to_path(text)


def test_a_folder_whose_name_begins_with_a_tilde(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~x").mkdir()
    assert to_path("~x") == Path("~x")
    assert absolute("./~y/../z") == tmp_path / "z"


def test_the_key_or_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r"^data\.train_dir=: is empty"):
        checked("data.train_dir", "")
    monkeypatch.delenv("SREXP_OUTPUT_DIR", raising=False)
    assert from_environment(OUTPUT_DIR) == Path("outputs")
    monkeypatch.setenv("SREXP_OUTPUT_DIR", "~nobody-here/x")
    with pytest.raises(OptionError, match=r"^SREXP_OUTPUT_DIR=~nobody-here/x: ~nobody-here is no"):
        from_environment(OUTPUT_DIR)
