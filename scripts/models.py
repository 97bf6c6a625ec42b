"""Write docs/models.md: every network, what it is made of, what it costs.

    python scripts/models.py

Builds each network of `conf/model/` as its file says, in colour, and counts.
"""

from __future__ import annotations

import inspect
from pathlib import Path

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

Made by `python scripts/models.py`. Each row is the network as its file in `conf/model/` says, which
is smaller than the paper's where that file says so; x2, in colour: parameters, multiply-adds for a
result of 1280x720, and the side of the square that a pixel of the result depends on, in pixels of
the network's first input. Below: what each is made of, and the sizes that its paper states, which
the tests find in it.

| `model=` | `act=` | parameters | G multiply-adds | sees |
|---|---|---|---|---|
"""
_COUNTED = {"weights": "weights", "weights+bias": "weights and biases", "all": "parameters"}


def page() -> str:
    """The whole document."""
    options = catalogue("train").groups["model"].options
    made = {
        name: experiment_of(compose(overrides=[f"model={name}", "degradation.scale=2"]))
        for name in options
    }
    rows = [_row(name, experiment) for name, experiment in made.items()]
    parts = [_part(option, made[name].model) for name, option in options.items()]
    return _HEAD + "\n".join(rows) + "\n" + "".join(parts)


def _row(name: str, experiment: Experiment) -> str:
    model = experiment.model
    network = model.build(scale=2, channels=3, act=experiment.act)
    measured = cost.measure(network, model, 2)
    field = upscaler(network, model, experiment.degradation, 3).receptive_field
    seen = "the whole image" if field is None else field.size
    giga = f"{measured.multiply_adds / 1e9:.3g}"
    act = experiment.act.name
    return f"| [`{name}`](#{name}) | `{act}` | {measured.parameters:,} | {giga} | {seen} |"


def _part(option: Option, model: Model) -> str:
    about = (inspect.getdoc(type(model)) or "").split("\n\nAttributes:")[0]
    lines = ["", f"## {option.name}", "", option.words.replace("\n", " "), "", about]
    if stated := type(model).published:
        lines += ["", *(f"- {_stated(one)}" for one in stated)]
    return "\n".join([*lines, ""])


def _stated(stated: Published) -> str:
    typed = [f"model.{key}={str(value).lower()}" for key, value in stated.settings.items()]
    what = f"x{stated.scale}, {'colour' if stated.channels == 3 else 'luma'}"
    given = f" with `{' '.join(typed)}`" if typed else ""
    return f"{what}{given}: {stated.parameters:,} {_COUNTED[stated.counts]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
