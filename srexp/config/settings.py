"""A composed configuration as checked, typed options: what the commands work with."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, fields, make_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from srexp.config.catalogue import SEVERAL
from srexp.config.effect import is_folder
from srexp.config.registry import implementation
from srexp.data.sources import Benchmark
from srexp.degradations.base import Degradation
from srexp.metrics.base import Metric
from srexp.models.base import Model
from srexp.models.upscaler import check_kernel
from srexp.options import EMPTY, OptionError, Options, additions, nested
from srexp.paths import DATA_DIR, OUTPUT_DIR, PathError, absolute, checked, giver
from srexp.protocol import Protocol
from srexp.tracking.options import MlflowTracking, absolute_uri, check_place
from srexp.training.experiment import Experiment, Paths

# What Hydra's grammar takes without quotes.
_WORD = re.compile(r"[\w.\-]+", re.ASCII)
# What says where things lie unless `paths` does.
_VARIABLES = {"output_dir": OUTPUT_DIR, "data_dir": DATA_DIR}
# Groups whose node holds one named option; those of `SEVERAL` hold several, by name.
_SINGLE = (
    "trainer", "data", "degradation", "model", "act", "loss", "optimizer", "schedule", "tracking",
    "algorithm",
)  # fmt: skip


@dataclass
class EvaluateSettings:
    """Everything that `srexp evaluate` needs to know; `conf/evaluate.yaml` says what each is."""

    degradation: Degradation
    model: Model
    protocol: dict[str, Protocol]
    benchmark: dict[str, Benchmark]
    metric: dict[str, Metric]
    paths: Paths
    run: str | None
    weights: str
    sr_dir: str | None
    method: str | None
    ensemble: bool
    timing: bool
    timing_repeats: int
    save_sr: bool | str
    json: bool

    def __post_init__(self) -> None:
        for key in ("ensemble", "timing", "json"):
            if not isinstance(getattr(self, key), bool):
                raise OptionError(f"{key}={getattr(self, key)}: must be true or false")
        repeats = self.timing_repeats
        if not isinstance(repeats, int) or isinstance(repeats, bool) or not 1 <= repeats <= 1000:
            raise OptionError(f"timing_repeats={repeats}: must be a whole number from 1 to 1000")
        if isinstance(self.save_sr, str):
            check_text("save_sr", self.save_sr)
            check_folder("save_sr", self.save_sr)
        elif not isinstance(self.save_sr, bool):
            raise OptionError(f"save_sr={self.save_sr}: must be true, false or a folder")
        if self.method is not None and (len(self.method) > 100 or "\n" in self.method):
            raise OptionError("method: must be one line of at most 100 characters")
        if self.method == "bicubic" and self.model.name != "bicubic":
            raise OptionError("method=bicubic: is what tables call the baseline; choose another")
        if self.sr_dir is not None:
            self._check_sr_dir()
        if self.weights not in ("best", "last"):
            raise OptionError(f"weights={self.weights}: must be best or last")
        if not self.protocol or not self.benchmark:
            raise OptionError("protocol and benchmark: must each name at least one")
        if self.run is None:
            check_kernel(self.model, self.degradation)
        if self.run is None and self.model.trainable:
            raise OptionError(
                f"model={self.model.name}: has weights; say which run's (run=RUN), or choose a "
                "resampler (model=nearest, bilinear, bicubic, lanczos)"
            )

    def _check_sr_dir(self) -> None:
        for key, unset in (
            ("run", None), ("ensemble", False), ("timing", False), ("save_sr", False),
        ):  # fmt: skip
            if (value := getattr(self, key)) != unset:
                typed = "true" if value is True else value
                raise OptionError(
                    f"{key}={typed}: with sr_dir the files are scored as they are; "
                    f"leave {key} or sr_dir out"
                )


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration as plain data, interpolations resolved.

    Raises:
        OptionError: An interpolation cannot be resolved.
    """
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise OptionError(str(error).splitlines()[0]) from None


def as_yaml(config: dict[str, Any]) -> str:
    """A configuration as the YAML that people read."""
    return OmegaConf.to_yaml(OmegaConf.create(config))


def build_option(group: str, node: Any, key: str) -> Any:
    """One option from its plain node.

    Args:
        group: Of the registry.
        node: Keys and values; `name` chooses the class.
        key: Where the node stands, for messages: `model` or `benchmark.set5`.

    Raises:
        OptionError: Unknown key, wrong type, value out of range.
    """
    if not isinstance(node, dict):
        raise OptionError(f"{key}={node}: must be an option of the group {group}")
    values = dict(node)
    name = values.pop("name", None)
    try:
        cls = implementation(group, name)
    except OptionError as error:
        hint = ""
        if (
            group == "benchmark"
            and isinstance(name, str)
            and key.rsplit(".")[-1] in ("folder", "pairs")
        ):
            typed = shlex.quote(
                f"{key}.title={name}" if _WORD.fullmatch(name) else f"{key}.title='{name}'"
            )
            hint = f"; to call the image set {name}: {typed}"
        raise type(error)(f"{key}.{error}{hint}", f"{key}.{error.key}") from None
    return typed_option(cls, values, key)


def typed_option(cls: type[Any], values: dict[str, Any], key: str) -> Any:
    """One option of a known class from its keys and values.

    Args:
        cls: A subclass of `Options`.
        values: Of all its fields.
        key: Where they stand, for messages.

    Raises:
        OptionError: Unknown key, wrong type, value out of range.
    """
    values = {**getattr(cls, "absent", {}), **values}
    try:
        _check_keys(values, cls)
        for one in fields(cls):
            if "texts" in one.metadata or one.type in (str, "str", "str | None"):
                check_text(one.name, values.get(one.name))
        inner = {
            name: _build_nested(base.group, values[name], name)
            for name, base in nested(cls).items()
            if name in values
        }
        plain_values = {name: value for name, value in values.items() if name not in inner}
        merged = OmegaConf.merge(OmegaConf.structured(_without_nested(cls)), plain_values)
        return cls(**OmegaConf.to_container(merged), **inner)  # type: ignore[arg-type]
    except OptionError as error:
        raise type(error)(f"{key}.{error}", f"{key}.{error.key}") from None
    except OmegaConfBaseException as error:
        where = f"{key}.{error.full_key}" if error.full_key else key
        value = values.get(error.full_key or "")
        if isinstance(value, float) and value.is_integer() and "Integer" in str(error):
            message = f"{where}={value:g}: must be a whole number: type {where}={int(value)}"
            raise OptionError(message, where) from None
        if "is not a ListConfig" in str(error):
            raise OptionError(f"{where}={value}: must be a list: [{value}]", where) from None
        raise OptionError(f"{where}: {_type_message(error)}", where) from None


def _build_nested(group: str, value: Any, key: str) -> Any:
    """The option in a field, or each in a list or dictionary of them."""
    if isinstance(value, dict) and "name" not in value:
        return {k: build_option(group, node, f"{key}.{k}") for k, node in value.items()}
    if isinstance(value, list):
        return [build_option(group, node, f"{key}.{i}") for i, node in enumerate(value)]
    return value if value is None else build_option(group, value, key)


def _without_nested(cls: type[Any]) -> type[Any]:
    """The class with the fields alone that OmegaConf can check."""
    inner = nested(cls)
    if not inner:
        return cls
    hints = get_type_hints(cls)
    return make_dataclass(
        cls.__name__,
        [
            (f.name, hints[f.name], field(default=f.default, metadata=f.metadata))
            for f in fields(cls)
            if f.name not in inner
        ],
        kw_only=True,
    )


def _check_keys(values: dict[str, Any], cls: type[Options]) -> None:
    known = [field.name for field in fields(cls)]
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(known)}"
            raise OptionError(f"{name}: {cls.name} has no such key{hint}", str(name))
    missing = [name for name in known if name not in values and name not in additions(cls)]
    if missing:
        raise OptionError(f"{missing[0]}: is missing", missing[0])


def check_text(key: str, value: Any) -> None:
    """Raises OptionError: an empty text, or what YAML made of one that looks like a number."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, (bool, int, float)):
            kind = "true or false" if isinstance(item, bool) else "a number"
            raise OptionError(
                f"{key}={item}: is {kind} in YAML, where such a name stands in quotes", key
            )
        if isinstance(item, str) and not item.strip():
            raise OptionError(f"{key}={item}: {EMPTY}", key)


def _type_message(error: OmegaConfBaseException) -> str:
    line = str(error).splitlines()[0]
    line = line.replace("is not a valid bool", "is not true or false")
    for old, new in (
        ("Integer", "a whole number"),
        ("Float", "a number"),
    ):
        line = line.replace(f"could not be converted to {old}", f"is not {new}")
    return line[0].lower() + line[1:]


def settings_of(cls: type[Any], config: dict[str, Any]) -> Any:
    """Check a composed configuration: `cls` has a field for each of its keys.

    Raises:
        OptionError: In one line: what was received, what would be right.
    """
    values = dict(config)
    values.pop("experiment", None)
    known = [field.name for field in fields(cls)]
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise OptionError(f"{name}: no such key{hint}", str(name))
    for one in fields(cls):
        if one.type == "str | None":
            check_text(one.name, values.get(one.name))
    for group in _SINGLE:
        if group in known:
            absent = additions(cls).get(group)  # of a group that was added later
            values[group] = build_option(group, values.get(group, absent), group)
    for group in SEVERAL:
        if group not in known:
            continue
        nodes = values.get(group) or {}
        if not isinstance(nodes, dict):
            raise OptionError(f"{group}={nodes}: must be options of the group {group}")
        values[group] = {
            name: build_option(group, node, f"{group}.{name}") for name, node in nodes.items()
        }
    if "benchmark" in known:
        values["benchmark"] = _image_sets(values["benchmark"])
    values["paths"] = _paths(values.get("paths"))
    return cls(**values)


def _image_sets(benchmarks: dict[str, Benchmark]) -> dict[str, Benchmark]:
    """Each image set under what tables, files and metrics call it."""
    sets: dict[str, Benchmark] = {}
    for key, option in benchmarks.items():
        try:
            found = option.named(key)
        except OptionError as error:
            raise type(error)(f"benchmark.{key}.{error}", f"benchmark.{key}.{error.key}") from None
        if both := sets.keys() & found.keys():
            raise OptionError(f"benchmark: two image sets are called {both.pop()}")
        sets |= found
    return sets


def _paths(node: Any) -> Paths:
    known = [field.name for field in fields(Paths)]
    if not isinstance(node, dict) or set(node) - set(known):
        raise OptionError(f"paths={node}: must hold {' and '.join(known)}")
    folders = {}
    for name in known:
        value = node.get(name)
        key = giver(f"paths.{name}", value, _VARIABLES[name])
        check_text(key, value)
        if not isinstance(value, str):
            raise OptionError(f"{key}={value}: must be a folder", key)
        folders[name] = Path(os.path.abspath(checked(key, value)))
    check_folder("paths.output_dir", str(folders["output_dir"]))
    return Paths(**folders)


def check_folder(key: str, value: str) -> None:
    """Raises OptionError: a folder that can neither be written nor made."""
    folder = Path(os.path.abspath(checked(key, value)))
    nearest = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    if not nearest.is_dir():
        raise OptionError(f"{key}={folder}: {nearest} is a file, not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OptionError(f"{key}={folder}: {nearest} may not be written")


def experiment_of(config: dict[str, Any]) -> Experiment:
    """Check a composed training configuration.

    Raises:
        OptionError: In one line: what was received, what would be right.
    """
    experiment: Experiment = settings_of(Experiment, config)
    if isinstance(experiment.tracking, MlflowTracking):
        check_place(experiment.paths.output_dir, experiment.tracking)
    return experiment


def evaluate_settings(config: dict[str, Any]) -> EvaluateSettings:
    """Check a composed evaluation configuration.

    Raises:
        OptionError: In one line: what was received, what would be right.
    """
    return settings_of(EvaluateSettings, config)  # type: ignore[no-any-return]


def with_folders(config: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """The same configuration with `change` applied to every key that names folders."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(item) for item in value]
        return change(value) if isinstance(value, str) else value

    def walk(node: dict[str, Any], prefix: str) -> dict[str, Any]:
        return {
            key: walk(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else changed(value)
            if is_folder(f"{prefix}{key}")
            else value
            for key, value in node.items()
        }

    return walk(config, "")


def absolute_paths(config: dict[str, Any]) -> dict[str, Any]:
    """The same configuration with every folder absolute, to be found again from anywhere."""

    def full(folder: str) -> str:
        try:
            return str(absolute(folder))
        except PathError:
            return folder  # as it is; it is refused where its key is known

    values = with_folders(config, full)
    tracking = values.get("tracking")
    if isinstance(tracking, dict) and isinstance(tracking.get("uri"), str):
        values["tracking"] = {**tracking, "uri": absolute_uri(tracking["uri"])}
    return values
