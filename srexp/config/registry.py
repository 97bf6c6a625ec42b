"""Which class implements an option: the file tree is the registry.

A group belongs to a package, or to a module where its options are few. Somebody else's package
adds options by naming its modules under the entry point group `srexp.options`, and the YAML files
with `--config-dir`.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points

from srexp.options import OptionError, Options

# group -> module that holds its base class, and what to import to know the implementations.
_GROUPS = {
    "data": ("srexp.data.sources", "Data"),
    "degradation": ("srexp.degradations.base", "Degradation"),
    "link": ("srexp.degradations.links.base", "Link"),
    "model": ("srexp.models.base", "Model"),
    "act": ("srexp.activations.base", "Activation"),
    "loss": ("srexp.losses.base", "Loss"),
    "algorithm": ("srexp.training.algorithms.base", "Algorithm"),
    "discriminator": ("srexp.training.discriminators.base", "Discriminator"),
    "optimizer": ("srexp.training.optimizers", "Optimizer"),
    "schedule": ("srexp.training.schedules", "Schedule"),
    "trainer": ("srexp.training.trainer", "Trainer"),
    "protocol": ("srexp.protocol", "Protocol"),
    "metric": ("srexp.metrics.base", "Metric"),
    "benchmark": ("srexp.data.sources", "Benchmark"),
    "tracking": ("srexp.tracking.options", "Tracking"),
}
# Packages in which every module may hold options.
_PACKAGES = (
    "srexp.activations", "srexp.degradations", "srexp.degradations.links", "srexp.losses",
    "srexp.metrics", "srexp.models", "srexp.training.algorithms",
    "srexp.training.discriminators",
)  # fmt: skip


def groups() -> tuple[str, ...]:
    """Names of all groups of options."""
    return tuple(_GROUPS)


@cache
def _import_all() -> None:
    for package in _PACKAGES:
        module = importlib.import_module(package)
        for info in pkgutil.iter_modules(module.__path__, f"{package}."):
            importlib.import_module(info.name)
    for entry in entry_points(group="srexp.options"):
        try:
            entry.load()
        except Exception as error:  # somebody else's code: name it, whatever it did
            raise OptionError(
                f"the options of {entry.value} (entry point {entry.name}) cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error


def _base(group: str) -> type[Options]:
    """The class that all options of a group derive from; somebody else's package may add groups."""
    if group in _GROUPS:
        module, name = _GROUPS[group]
        return getattr(importlib.import_module(module), name)
    waiting: list[type[Options]] = [Options]
    while waiting:
        cls = waiting.pop()
        if vars(cls).get("group") == group:
            return cls
        waiting += cls.__subclasses__()
    raise OptionError(f"{group}: no such group of options")


def implementations(group: str) -> dict[str, type[Options]]:
    """Name -> class of every implementation of a group."""
    _import_all()
    base = _base(group)
    known: dict[str, type[Options]] = {base.name: base} if base.name else {}
    for cls in base.implementations():
        other = known.setdefault(cls.name, cls)
        if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
            raise OptionError(
                f"{group}={cls.name}: {other.__module__} and {cls.__module__} both have it; one of "
                "them must take another name"
            )
    return known


def implementation(group: str, name: object) -> type[Options]:
    """The class of `GROUP.name`.

    Raises:
        OptionError: There is none; names the nearest.
    """
    known = implementations(group)
    if isinstance(name, str) and name in known:
        return known[name]
    near = get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise OptionError(f"name={name}: must be one of {', '.join(sorted(known))}{hint}", "name")
