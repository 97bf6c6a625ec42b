"""Write docs/models.md: every network, what it is made of, what it costs.

    python scripts/models.py

Builds each network of `conf/model/` as its file says, in colour, and counts.
"""

from __future__ import annotations

import csv
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

Does it learn? The last column is the gain over bicubic in dB after 1,000 steps of 8 patches of
48x48 (Adam, 1e-3 falling along a cosine, seed 0), on each of three photographs held out:
`astronaut`, `chelsea`, `coffee`; `python scripts/rungs.py` on two shared CPU cores. It says that a
network learns, not how good it becomes: those that add nothing to an enlarged image begin far below
bicubic, and so few steps do not bring all of them there. Large ones were made smaller
(`docs/results/rungs.csv` says how). The 2018 tutorial's own network, `deconv` without its residual
and with tanh, has {tutorial}.

| `model=` | `act=` | parameters | G multiply-adds | sees | after 1,000 steps |
|---|---|---|---|---|---|
"""
_RUNGS = PAGE.parent / "results" / "rungs.csv"
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
    head = _HEAD.replace("{tutorial}", _gains("deconv", first=True))
    return head + "\n".join(rows) + "\n" + "".join(parts)


def _row(name: str, experiment: Experiment) -> str:
    model = experiment.model
    network = model.build(scale=2, channels=3, act=experiment.act)
    measured = cost.measure(network, model, 2)
    field = upscaler(network, model, experiment.degradation, 3).receptive_field
    seen = "the whole image" if field is None else field.size
    giga = f"{measured.multiply_adds / 1e9:.3g}"
    act = experiment.act.name
    counted = f"{measured.parameters:,} | {giga} | {seen}"
    return f"| [`{name}`](#{name}) | `{act}` | {counted} | {_gains(name)} |"


def _gains(name: str, *, first: bool = False) -> str:
    """As `scripts/rungs.py` measured them, in its last trial of a network, or in its first."""
    with _RUNGS.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == name]
    of = rows[0 if first else -1]["settings"]
    return ", ".join(f"{float(r['psnr_gain']):+.2f}" for r in rows if r["settings"] == of)


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
