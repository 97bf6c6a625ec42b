"""Write docs/models.md: every network, what it is made of, what it costs.

    python scripts/models.py

Builds each network of `conf/model/` as its file says, at its smallest scale, and counts.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import re
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from srexp.config.catalogue import Option, catalogue
from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.evaluation import cost
from srexp.evaluation.inference import upscaler
from srexp.models.base import Model, Published
from srexp.training.experiment import Experiment

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
_HEAD = """\
# Networks

Made by `python scripts/models.py`. Each row is the network as its file in `conf/model/` says, which is
smaller than the paper's where that file says so, at the smallest scale that it has (in colour):
parameters, multiply-adds for a result of 1280x720, and the square of input pixels that a result's
pixel depends on. Below each: what it is made of, and its sizes as papers print them, which the
tests find again in it.

| `model=` | `act=` | parameters | G multiply-adds | sees |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole document."""
    options = catalogue("train").groups["model"].options
    rows, parts = [], []
    for name, option in options.items():
        experiment = _experiment(name)
        network = experiment.model.build(scale=_scale(experiment.model), channels=3, act=experiment.act)
        measured = cost.measure(network, experiment.model, _scale(experiment.model))
        seen = upscaler(network, experiment.model, experiment.degradation, 3).receptive_field
        rows.append(
            f"| [`{name}`](#{name}) | `{experiment.act.name}` | {measured.parameters:,} | "
            f"{measured.multiply_adds / 1e9:.2f} (x{_scale(experiment.model)}) | "
            f"{'the whole image' if seen is None else f'{seen.size}x{seen.size}'} |"
        )
        parts.append(_part(name, option, experiment.model))
    return _HEAD + "\n".join(rows) + "\n\n" + "\n".join(parts)


def _experiment(name: str) -> Experiment:
    scale = _scale(experiment_of(compose(overrides=[f"model={name}", *_ROOM])).model)
    return experiment_of(compose(overrides=[f"model={name}", *_ROOM, f"degradation.scale={scale}"]))


_ROOM = ("trainer.hr_patch_size=96",)


def _scale(model: Model) -> int:
    return min(model.scales)


def _part(name: str, option: Option, model: Model) -> str:
    words = re.sub(r"\s+", " ", inspect.getdoc(type(model)).split("Attributes:")[0])  # type: ignore[union-attr]
    module = inspect.getmodule(type(model))
    paper = re.sub(r"\s+", " ", (module.__doc__ or "").split("\n\n", 1)[-1])  # type: ignore[union-attr]
    keys = ", ".join(f"`{key.name}={_value(key.value)}`" for key in option.keys if key.name != "name")
    lines = [f"## {name}", "", words.strip(), "", f"{paper.strip()} File: `conf/model/{name}.yaml`: {keys}.", ""]
    lines += [f"- {_stated(stated)}" for stated in type(model).published]
    return "\n".join(lines + [""] * bool(type(model).published))


def _value(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _stated(stated: Published) -> str:
    settings = " ".join(f"model.{key}={_value(value)}" for key, value in stated.settings.items())
    what = {"weights": "weights", "weights+bias": "weights and biases", "all": "parameters"}
    colour = "colour" if stated.channels == 3 else "luma"
    return f"x{stated.scale}, {colour}{f', `{settings}`' if settings else ''}: {stated.parameters:,} {what[stated.counts]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE}: {len(page().splitlines())} lines")
