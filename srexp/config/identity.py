"""What a run is: the typed values that decide its weights and scores, and the code behind them.

Whoever asks whether two runs are the same asks here: a sweep, `compare`, `reproduce`, a resume.
The images' content and the version of srexp's results come on top (`Materials.identity`).
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from srexp.config.effect import has_effect
from srexp.config.registry import groups, implementation
from srexp.options import OptionError, Options, additions, each_nested, flatten, nested
from srexp.protocol import digest
from srexp.training.experiment import Experiment

# Groups whose code needs no place in the identity: what it reads is known by its content, or it
# has no part in the result.
_CODE_WITHOUT_EFFECT = ("data", "benchmark", "tracking", "metric")


def deciding(config: dict[str, Any]) -> dict[str, Any]:
    """Dotted key -> typed value of all that decides the weights and the scores of a training.

    Keys without effect beside the others stand at one value. The order of protocols and benchmarks
    counts where it decides: `protocol.name` is that of the first one, which makes the training
    pairs and chooses the weights, `benchmark.name` of the last one, whose gain is the result.

    Args:
        config: Resolved, as plain data; of an older run, too.
    """
    config = _each_option(with_additions(config), _typed)
    config = usual(config)
    degradation, model = config.get("degradation") or {}, config.get("model") or {}
    if model.get("upscale_interpolation", "") == degradation.get("interpolation"):
        config["model"] = {**model, "upscale_interpolation": None}  # what None means
    config.pop("experiment", None)  # what it chose counts
    values = {key: value for key, value in flatten(config).items() if has_effect(key)}
    for key, value in values.items():
        if key.startswith("protocol.") and key.endswith(".border"):
            values[key] = None if value == degradation.get("scale") else value
    for key, place in (("protocol", 0), ("benchmark", -1)):
        names = list(config.get(key) or {})
        values[f"{key}.name"] = names[place] if names else None
    return values


def config_digest(config: dict[str, Any]) -> str:
    """Equal for configurations that give the same result from the same images.

    Of `deciding`, without later additions that stand at the old behaviour, and of the code of
    options from elsewhere (`sources`).
    """
    added = flatten(_each_option(config, lambda node, cls: additions(cls)))
    added |= flatten(additions(Experiment))
    values = {key: value for key, value in deciding(config).items() if added.get(key, ...) != value}
    return digest([values, sources(config)], digits=16)


def usual(config: dict[str, Any]) -> dict[str, Any]:
    """With what has no effect beside the rest at one value, and links by their place."""
    return _each_option(dict(config), _usual)


def with_additions(config: dict[str, Any]) -> dict[str, Any]:
    """An older run's configuration with what was added since, at the old behaviour."""
    return _each_option(config, _with_added)


def _with_added(node: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    # A group of which nothing is chosen has no node.
    added = {key: value for key, value in additions(cls).items() if value != {}}
    return node | {key: value for key, value in added.items() if key not in node}


def sources(config: dict[str, Any]) -> dict[str, str]:
    """What implements the options that are not srexp's own: where they stand -> version.

    The `code_version` that the class declares, or a digest of its module and of what that imports
    from its own package, without comments and docstrings. All of srexp's own options have one
    version, `RESULTS_VERSION`, but for those that declare the library that does their work.
    """
    return {
        key: version
        for key, cls in _classes(usual(config)).items()
        if key.split(".")[0] not in _CODE_WITHOUT_EFFECT and (version := _version(cls))
    }


def _classes(config: dict[str, Any]) -> dict[str, type[Options]]:
    """The classes of the options of a configuration, by where they stand; without unknown ones."""
    found: dict[str, type[Options]] = {}

    def note(group: str, node: Any, key: str) -> None:
        cls = _class(group, node)
        if cls is not None:
            found[key] = cls
            for name, base in nested(cls).items():
                for inner, one in _nodes(node.get(name)):
                    note(base.group, one, f"{key}.{name}{inner}")

    for group in groups():
        for inner, node in _nodes(config.get(group)):
            note(group, node, f"{group}{inner}")
    return found


def _class(group: str, node: Any) -> type[Options] | None:
    """None where it is of a package that is not here, or no option at all."""
    try:
        return implementation(group, node.get("name"))
    except (OptionError, AttributeError):
        return None


def _nodes(value: Any) -> Iterator[tuple[str, Any]]:
    """An option's node, or each in a dictionary or list of them, and where it stands in it."""
    if isinstance(value, dict) and "name" in value:
        yield "", value
    elif isinstance(value, dict):
        yield from ((f".{name}", node) for name, node in value.items())
    elif isinstance(value, list):
        yield from ((f".{index}", node) for index, node in enumerate(value))


def _each_option(
    config: dict[str, Any], change: Callable[[dict[str, Any], type[Any]], dict[str, Any]]
) -> dict[str, Any]:
    """A training's configuration with `change(node, class)` applied to it and all its options."""

    def changed(group: str, node: Any) -> Any:
        cls = _class(group, node)
        if cls is None:
            return node
        values = change(node, cls)
        inner = {
            name: each_nested(values[name], partial(changed, base.group))
            for name, base in nested(cls).items()
            if name in values
        }
        return {**values, **inner}

    values = change(config, Experiment)
    for group in groups():
        for inner, node in _nodes(config.get(group)):
            if _class(group, node) is None:
                continue
            if inner:
                values[group] = {**values.get(group, {}), inner[1:]: changed(group, node)}
            else:
                values[group] = changed(group, node)
    return values


def _usual(node: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    return cls.usual(node) if issubclass(cls, Options) else node


def _typed(node: dict[str, Any], cls: type[Any]) -> dict[str, Any]:
    """With numbers of their fields' types: `clip_norm=1` is 1.0."""
    types = {f.name: "float" if "spread" in f.metadata else str(f.type) for f in fields(cls)}
    return {key: _as(value, types.get(key, "")) for key, value in node.items()}


def _as(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_as(item, kind) for item in value]
    if value is None or isinstance(value, dict):
        return value
    try:
        if kind == "bool" and not isinstance(value, bool):
            return str(value).lower() in ("true", "yes", "on", "y", "1")
        if "float" in kind:
            return float(value)
        return int(value) if "int" in kind else value
    except (TypeError, ValueError):
        return value  # which the checks refuse


def _version(cls: type[Options]) -> str:
    """Of an option from elsewhere, or of the library behind one of srexp's own; else empty."""
    modules = {one.__module__ for one in cls.__mro__ if issubclass(one, Options)}
    theirs = sorted(name for name in modules if name.split(".")[0] != "srexp")
    declared = str(vars(cls).get("code_version", ""))
    return declared if declared or not theirs else source_digest(theirs)


def source_digest(modules: Sequence[str]) -> str:
    """Of the code of modules and of what they import from their own packages, at any depth.

    Comments, docstrings and layout do not count.
    """
    content = hashlib.sha256()
    waiting, seen = list(modules), set(modules)
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None:
            continue
        tree = ast.parse(path.read_bytes())
        for other in _imported(tree, name, path.name == "__init__.py"):
            if other.split(".")[0] == name.split(".")[0] and other not in seen:
                seen.add(other)
                waiting.append(other)
        found[name] = ast.unparse(_without_docstrings(tree))
    for name in sorted(found):
        content.update(f"{name}\n{found[name]}\n".encode())
    return content.hexdigest()[:16]


def _file(module: str) -> Path | None:
    """The Python file of a module; None where there is none."""
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded is None:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            return None
        loaded = spec.origin if spec is not None else None
    path = Path(loaded) if loaded else None
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def _imported(tree: ast.Module, module: str, package: bool) -> Iterator[str]:
    """The names that may be modules, of all imports, those within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                above = parts[: len(parts) - node.level + package]
                base = ".".join([*above, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            text = body[0].value
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                body[0] = ast.Expr(ast.Constant(...))
    return tree
