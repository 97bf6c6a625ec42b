"""Texts are UTF-8 wherever srexp runs, not what a machine's locale says."""

from __future__ import annotations

import ast

import pytest
from tests_environment import ROOT

# What would ask the locale, and which argument says that it is no text.
_TEXT = {"read_text", "write_text", "open", "fdopen", "NamedTemporaryFile", "TemporaryFile"}
_BINARY_BY_DEFAULT = {"NamedTemporaryFile", "TemporaryFile"}
# Whose `open` is not one of files.
_OTHERS = {"os", "Image", "tarfile", "zipfile", "webbrowser", "opened", "RunFolder", "gzip"}
_FILES = sorted(
    path
    for folder in ("srexp", "hydra_plugins", "scripts")
    for path in (ROOT / folder).rglob("*.py")
)


def _asks_the_locale(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given:
        return False
    if isinstance(given.get("text"), ast.Constant):  # subprocess
        return True
    if name not in _TEXT:
        return False
    owner = function.value if isinstance(function, ast.Attribute) else None
    if name == "open" and isinstance(owner, ast.Name) and owner.id in _OTHERS:
        return False
    words = [
        value.value
        for argument in (*call.args, *given.values())
        for value in ast.walk(argument)
        if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]
    modes = [word for word in words if set(word) <= set("rwaxbt+")]
    if name in _BINARY_BY_DEFAULT:
        return any("b" not in mode for mode in modes)
    return not any("b" in mode for mode in modes) or name.endswith("_text")


@pytest.mark.parametrize("text", ["p.read_text()", "open(p)", "p.open('w')", "run([], text=True)"])
def test_this_test_sees(text: str) -> None:
    call = ast.parse(text).body[0].value  # type: ignore[attr-defined]
    assert _asks_the_locale(call)


@pytest.mark.parametrize("text", ["p.read_text('utf-8', encoding='utf-8')", "open(p, 'rb')"])
def test_this_test_lets_go(text: str) -> None:
    assert not _asks_the_locale(ast.parse(text).body[0].value)  # type: ignore[attr-defined]


def test_no_text_is_read_or_written_as_the_locale_says() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _asks_the_locale(node)
    ]
    assert not found, 'give encoding="utf-8"'
