"""A sweep in one picture: what was swept decides its kind."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.config.names import short_keys
from srexp.pages.plots import own_style, plain
from srexp.sweeps.results import JobResult
from srexp.sweeps.summary import (
    Combination,
    as_number,
    combinations,
    ordered,
    swept_keys,
    tasks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.0  # inches, at which text of 9 points can be read on 900 pixels
_DPI = 150
# Okabe and Ito's colours, which all kinds of colour vision tell apart, and shapes besides.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_INK, _FAINT = "#222222", "#8a8a8a"
_MANY = 4  # values that make a number worth a line
_LINES = len(_COLOURS)
_FACETS = 6
_CELLS = 14  # beside each other, that still hold their numbers


@dataclass(frozen=True)
class _Design:
    """What there is to draw.

    Attributes:
        combinations: All of the sweep.
        keys: Those that take more than one value.
        short: Their names on the axes.
        values: Theirs, in the order of the axis.
        label: Of the axis of gains.
    """

    combinations: list[Combination]
    keys: list[str]
    short: dict[str, str]
    values: dict[str, list[str]]
    label: str

    @property
    def measured(self) -> list[Combination]:
        return [combination for combination in self.combinations if combination.gain.n]

    def numeric(self, key: str) -> bool:
        return all(as_number(value) is not None for value in self.values[key])


def _design(jobs: Sequence[JobResult]) -> _Design:
    found = combinations(jobs)
    swept = swept_keys(jobs)
    in_order = sorted(jobs, key=lambda job: job.number)
    values = {key: ordered(job.choices.get(key, "") for job in in_order) for key in swept}
    keys = [key for key in swept if len(values[key]) > 1]
    on = tasks(jobs)
    label = "gain over bicubic, PSNR in dB" + (f" on {on[0]}" if len(on) == 1 else "")
    return _Design(found, keys, short_keys(swept), values, label)


def kind(jobs: Sequence[JobResult]) -> str:
    """Which picture suits: `dots`, `line`, `lines`, `heat map`, `heat maps` or `scatter`.

    One key: a line if it is a number, else dots. Two: lines if just one of them is a number with
    four values or more, else a heat map. Three: heat maps side by side. More, or keys most of whose
    combinations were never tried, as in a random search: a scatter for each key.
    """
    design = _design(jobs)
    keys = design.keys
    if not keys:
        return "dots"
    if len(keys) == 1:
        return "line" if design.numeric(keys[0]) else "dots"
    sizes = {key: len(design.values[key]) for key in keys}
    if len(keys) > 3 or len(design.combinations) < 0.5 * math.prod(sizes.values()):
        return "scatter"
    if len(keys) == 3:
        facets, *rest = sorted(sizes.values())
        return "heat maps" if facets <= _FACETS and max(rest) <= _CELLS else "scatter"
    if _line_key(design) is not None:
        return "lines"
    return "heat map" if min(sizes.values()) <= _CELLS else "scatter"


def _line_key(design: _Design) -> str | None:
    """Of two keys the one to draw lines along, or None."""
    many = [k for k in design.keys if design.numeric(k) and len(design.values[k]) >= _MANY]
    others = [key for key in design.keys if key not in many]
    fits = len(many) == 1 and len(design.values[others[0]]) <= _LINES
    return many[0] if fits else None


@own_style()
def png(jobs: Sequence[JobResult]) -> bytes | None:
    """The picture, 1350 pixels wide, made to be shown at 900; None if no job has a gain."""
    design = _design(jobs)
    if not design.measured:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    draw: dict[str, Callable[[_Design], Figure]] = {
        "dots": _dots, "line": _lines, "lines": _lines, "heat map": _heat_maps,
        "heat maps": _heat_maps, "scatter": _scatter,
    }  # fmt: skip
    figure = draw[kind(jobs)](design)
    file = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font does not have is drawn as a box; the tables have it.
        warnings.filterwarnings("ignore", message="Glyph")
        FigureCanvasAgg(figure).print_figure(file, format="png", dpi=_DPI)
    return file.getvalue()


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")


def _style(axes: Axes, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#dddddd", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=10, length=3)


def _half(combination: Combination) -> float:
    """Half-width of the interval; 0 without one."""
    gain = combination.gain
    return gain.high - gain.mean if gain.n > 1 else 0.0


def _seen(means: Sequence[float]) -> float:
    """The lowest gain to make room for: a run gone astray must not flatten all others."""
    top, middle = max(means), median(means)
    spread = top - middle
    return max(min(means), top - max(6 * spread, 2.0))


def _limits(shown: Sequence[Combination]) -> tuple[float, float]:
    """Ends of the axis of gains: all means but outliers, and intervals as far as they fit."""
    low = _seen([combination.gain.mean for combination in shown])
    means = [c.gain.mean for c in shown if c.gain.mean >= low]
    room = max(max(means) - low, 0.05)
    bottom = min(max(c.gain.mean - _half(c), low - room) for c in shown if c.gain.mean >= low)
    top = max(min(c.gain.mean + _half(c), max(means) + room) for c in shown)
    seeds = [job.gain for c in shown for job in c.jobs if job.counts and job.gain is not None]
    bottom = min([bottom, *(gain for gain in seeds if gain >= low - room)])
    top = max([top, *(gain for gain in seeds if gain <= max(means) + room)])
    margin = 0.08 * max(top - bottom, 0.02)
    return bottom - margin, top + margin


def _seeds(combination: Combination) -> list[float]:
    gains = [job.gain for job in combination.jobs if job.counts and job.gain is not None]
    return gains if len(gains) > 1 else []


def _plain(text: str, length: int = 28) -> str:
    """A value for an axis, in lines that are short, and no mathematics in it; nothing is cut."""
    return plain(textwrap.fill(text, length) or "–")


def _zero_line(axes: Axes, ends: tuple[float, float], line: Callable[..., Any]) -> None:
    if ends[0] < 0 < ends[1]:
        line(0, color=_INK, linewidth=1)


# Dots: one key of names, or only seeds.


def _dots(design: _Design) -> Figure:
    shown = design.measured  # the best on top
    figure = _figure(1.3 + 0.42 * len(design.combinations))
    axes = figure.add_subplot()
    _style(axes, "x")
    ends = _limits(shown)
    rows = [*shown, *(c for c in design.combinations if not c.gain.n)]
    for row, combination in enumerate(rows):
        if not combination.gain.n:
            text = _absence(combination)
            axes.text(0.01, row, text, transform=axes.get_yaxis_transform(), color=_FAINT,
                      va="center", fontsize=10, style="italic")  # fmt: skip
            continue
        mean, half = combination.gain.mean, _half(combination)
        seeds = _seeds(combination)
        axes.plot(seeds, [row] * len(seeds), "o", color=_FAINT, markersize=4, zorder=2)
        if mean < ends[0]:
            axes.text(0.01, row, f"◀ {mean:+.2f}", transform=axes.get_yaxis_transform(),
                      color=_COLOURS[1], va="center", fontsize=10)  # fmt: skip
            continue
        axes.errorbar(mean, row, xerr=half or None, fmt="o", color=_COLOURS[0], markersize=8,
                      capsize=4, linewidth=2, zorder=3)  # fmt: skip
        axes.annotate(f"{mean:+.3f}", (mean, row), (0, 7), textcoords="offset points",
                      ha="center", fontsize=9)  # fmt: skip
    key = design.keys[0] if design.keys else None
    names = [combination.choices.get(key, "") if key else "all seeds" for combination in rows]
    axes.set_yticks(range(len(rows)), [_plain(name) for name in names])
    axes.set_ylim(len(rows) - 0.5, -0.7)
    axes.set_xlim(*ends)
    _zero_line(axes, ends, axes.axvline)
    axes.set_xlabel(_plain(design.label, 90), fontsize=11)
    if key:
        axes.set_ylabel(_plain(design.short[key]), fontsize=11)
    return figure


def _absence(combination: Combination) -> str:
    """Why there is no number."""
    states = list(dict.fromkeys(job.state for job in combination.jobs))
    state = states[0] if len(states) == 1 else "no gain"
    return "no gain" if state == "finished" else state


# Lines: a key of numbers, alone or with another one.


@dataclass(frozen=True)
class _Axis:
    """Where the values of a key stand: on a scale of their own, or one step apart."""

    positions: dict[str, float]
    scale: str
    ticks: bool  # at the values


def _axis(values: list[str], numeric: bool) -> _Axis:
    steps = {value: float(index) for index, value in enumerate(values)}
    numbers = {value: as_number(value) for value in values}
    if not numeric or len(values) < 2:
        return _Axis(steps, "linear", len(values) <= 24)
    at = {value: float(size) for value, size in numbers.items() if size is not None}
    sizes = list(at.values())
    decades = min(sizes) > 0 and max(sizes) >= 10 * min(sizes)
    stretched = np.log10(sizes) if decades else np.array(sizes)
    gaps = np.diff(np.sort(stretched)) / max(np.ptp(stretched), 1e-300)
    legible = len(values) <= 12 and float(gaps.min()) >= 0.05
    if not legible and not decades and len(values) <= 12:
        return _Axis(steps, "linear", True)  # 0, 1e-4, 1e-2: no scale keeps them apart
    return _Axis(at, "log" if decades else "linear", legible)


def _along(axes: Axes, axis: _Axis, name: str, *, rotated: bool = False) -> None:
    axes.set_xscale(axis.scale)
    if axis.ticks:
        axes.set_xticks(list(axis.positions.values()), [_plain(v) for v in axis.positions])
        axes.minorticks_off()
    if rotated:
        for text in axes.get_xticklabels():
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xlabel(_plain(name), fontsize=11)


def _shifted(axis: _Axis, position: float, part: float) -> float:
    """A little aside, by a part of the whole axis, so that intervals do not cover each other."""
    ends = min(axis.positions.values()), max(axis.positions.values())
    if axis.scale == "log":
        return float(position * (ends[1] / ends[0]) ** part)
    return position + (ends[1] - ends[0]) * part


def _lines(design: _Design) -> Figure:
    key = _line_key(design) if len(design.keys) == 2 else design.keys[0]
    assert key is not None
    other = next((k for k in design.keys if k != key), None)
    figure = _figure(4.8)
    axes = figure.add_subplot()
    _style(axes, "y")
    axis = _axis(design.values[key], numeric=True)
    ends = _limits(design.measured)
    names = design.values[other] if other else [""]
    for index, name in enumerate(names):
        part = (index - (len(names) - 1) / 2) * 0.008
        line = [
            (_shifted(axis, axis.positions[value], part), combination)
            for value in design.values[key]
            for combination in design.measured
            if combination.choices.get(key, "") == value
            and (other is None or combination.choices.get(other, "") == name)
        ]
        if not line:
            continue
        label = f"{_plain(design.short[other])} = {_plain(name)}" if other else None
        _line(axes, line, ends, index, label)
    axes.set_ylim(*ends)
    _zero_line(axes, ends, axes.axhline)
    _along(axes, axis, design.short[key], rotated=_crowded(axis))
    axes.set_ylabel(_plain(design.label, 90), fontsize=11)
    if other:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=10)
    _mark_missing(axes, design, axis, key, other)
    return figure


def _crowded(axis: _Axis) -> bool:
    return axis.ticks and sum(len(value) + 2 for value in axis.positions) > 90


def _line(
    axes: Axes,
    line: list[tuple[float, Combination]],
    ends: tuple[float, float],
    index: int,
    label: str | None,
) -> None:
    colour = _COLOURS[index]
    at = [position for position, _ in line]
    means = [combination.gain.mean for _, combination in line]
    halves = [_half(combination) for _, combination in line]
    axes.errorbar(at, means, yerr=halves if any(halves) else None, color=colour, label=label,
                  marker=_MARKERS[index], markersize=7, capsize=4, linewidth=1.8)  # fmt: skip
    for position, combination in line:
        seeds = _seeds(combination)
        axes.plot([position] * len(seeds), seeds, "o", color=colour, alpha=0.35, markersize=3.5)
        mean = combination.gain.mean
        if mean < ends[0]:  # below the axis
            axes.annotate(f"▼ {mean:+.1f}", (position, 0), (0, 4 + 12 * index), color=colour,
                          xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                          ha="center", fontsize=9)  # fmt: skip


def _mark_missing(axes: Axes, design: _Design, axis: _Axis, key: str, other: str | None) -> None:
    """A cross at the top for what has no gain."""
    for combination in design.combinations:
        if combination.gain.n:
            continue
        value = combination.choices.get(key, "")
        names = design.values[other] if other else [""]
        index = names.index(combination.choices.get(other, "")) if other else 0
        axes.annotate(f"× {_absence(combination)}", (axis.positions[value], 1),
                      (0, -12 - 12 * index), xycoords=axes.get_xaxis_transform(),
                      textcoords="offset points", ha="center", fontsize=8.5,
                      color=_COLOURS[index] if len(names) > 1 else _FAINT)  # fmt: skip


# Heat maps: two keys, or three.


def _heat_maps(design: _Design) -> Figure:
    keys = sorted(design.keys, key=lambda key: (len(design.values[key]), not design.numeric(key)))
    facet, rows, columns = keys if len(keys) == 3 else (None, *keys)
    assert rows is not None and columns is not None
    facets = design.values[facet] if facet else [""]
    across = min(len(facets), max(1, _CELLS // len(design.values[columns])))
    down = math.ceil(len(facets) / across)
    cell = 0.62
    height = down * (0.75 + cell * len(design.values[rows])) + 0.5
    figure = _figure(max(height, 3.0))
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    norm, colours, clipped = _colours([c.gain.mean for c in design.measured])
    image: Any = None
    for index, axes in enumerate(grid.flat):
        if index >= len(facets):
            axes.set_axis_off()
            continue
        inside = [c for c in design.combinations if not facet or c.choices[facet] == facets[index]]
        image = _heat_map(axes, design, inside, rows, columns, norm, colours, across)
        if facet:
            axes.set_title(_plain(f"{design.short[facet]} = {facets[index]}", 40), fontsize=11)
        if index % across == 0:
            axes.set_ylabel(_plain(design.short[rows]), fontsize=11)
        if index + across >= len(facets):
            axes.set_xlabel(_plain(design.short[columns]), fontsize=11)
    shrink = min(1.0, 3.6 / figure.get_figheight() + 0.4)
    bar = figure.colorbar(
        image, ax=grid, extend="min" if clipped else "neither", pad=0.02, aspect=30, shrink=shrink
    )
    bar.set_label(_wrapped(_plain(design.label, 90), figure.get_figheight()), fontsize=10)
    bar.ax.tick_params(labelsize=9)
    bar.ax.yaxis.set_major_formatter("{x:+.2f}")
    bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def _wrapped(label: str, height: float) -> str:
    return label if height > 4 else label.replace(", ", ",\n").replace(" on ", "\non ")


def _colours(means: list[float]) -> tuple[Any, Any, bool]:
    """Normalisation and map: around zero where gains have both signs; whether low ones are cut."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize, TwoSlopeNorm

    low, high = _seen(means), max(means)
    clipped = low > min(means)
    if low < 0 < high:
        reach = max(-low, high)
        return TwoSlopeNorm(0, -reach, reach), colormaps["RdBu"], clipped
    if high - low < 1e-9:
        low, high = low - 0.01, high + 0.01
    return Normalize(low, high), colormaps["viridis"], clipped


def _heat_map(
    axes: Axes,
    design: _Design,
    inside: list[Combination],
    rows: str,
    columns: str,
    norm: Any,
    colours: Any,
    across: int,
) -> Any:
    down, right = design.values[rows], design.values[columns]
    means = np.full((len(down), len(right)), np.nan)
    written = len(right) * across <= _CELLS
    cells = {(c.choices.get(rows, ""), c.choices.get(columns, "")): c for c in inside}
    highest = design.measured[0]
    for row, y in enumerate(down):
        for column, x in enumerate(right):
            combination = cells.get((y, x))
            if combination is None or not combination.gain.n:
                _empty(axes, row, column, combination, written)
                continue
            means[row, column] = combination.gain.mean
            if written:
                _number(axes, row, column, combination, colours(norm(combination.gain.mean)))
            if combination is highest:
                _frame(axes, row, column)
    image = axes.imshow(means, norm=norm, cmap=colours, aspect="auto")
    names = [_plain(value, 18) for value in right]
    long = max(map(len, names)) * len(right) * across > 75
    axes.set_xticks(range(len(right)), names, fontsize=10,
                    rotation=30 if long else 0, ha="right" if long else "center")  # fmt: skip
    axes.set_yticks(range(len(down)), [_plain(v, 18) for v in down], fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _number(axes: Axes, row: int, column: int, combination: Combination, colour: Any) -> None:
    red, green, blue = colour[:3]
    dark = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.18
    ink = "white" if dark else "black"
    mean = f"{combination.gain.mean:+.2f}"
    if combination.gain.n < 2:
        axes.text(column, row, mean, ha="center", va="center", color=ink, fontsize=10.5)
        return
    axes.text(column, row - 0.02, mean, ha="center", va="bottom", color=ink, fontsize=10.5)
    axes.text(column, row + 0.06, f"±{_half(combination):.2f}", ha="center", va="top", color=ink,
              fontsize=9)  # fmt: skip


def _empty(axes: Axes, row: int, column: int, combination: Combination | None, text: bool) -> None:
    from matplotlib.patches import Rectangle

    corner = (column - 0.5, row - 0.5)
    axes.add_patch(Rectangle(corner, 1, 1, facecolor="#f2f2f2", edgecolor="#d5d5d5", hatch="///",
                             linewidth=0))  # fmt: skip
    if text:
        absence = (_absence(combination) if combination else "–").replace(" ", "\n")
        axes.text(column, row, absence, ha="center", va="center", fontsize=9, color="#555555",
                  bbox={"facecolor": "#f2f2f2", "edgecolor": "none", "pad": 1})  # fmt: skip


def _frame(axes: Axes, row: int, column: int) -> None:
    """Around the best."""
    from matplotlib.patches import Rectangle

    corner = (column - 0.47, row - 0.45)
    axes.add_patch(Rectangle(corner, 0.94, 0.9, fill=False, edgecolor=_COLOURS[1], linewidth=2.5))


# Scatter: many keys, or values that were drawn at random.


def _scatter(design: _Design) -> Figure:
    keys = design.keys
    across = 2 if len(keys) in (2, 4) else min(3, len(keys))
    down = math.ceil(len(keys) / across)
    figure = _figure(0.6 + 2.7 * down)
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    ends = _limits(design.measured)
    for index, axes in enumerate(grid.flat):
        if index >= len(keys):
            axes.set_axis_off()
            continue
        _style(axes, "y")
        _points(axes, design, keys[index], ends)
    grid.flat[0].set_ylim(*ends)
    figure.supylabel(_plain(design.label, 90), fontsize=11)
    return figure


def _points(axes: Axes, design: _Design, key: str, ends: tuple[float, float]) -> None:
    values = design.values[key]
    named = not design.numeric(key) or len(values) <= _FACETS
    axis = _axis(values, not named)
    # From the worst to the best, so that the best lies on top.
    for rank, combination in enumerate(reversed(design.measured)):
        at = axis.positions[combination.choices.get(key, "")]
        # Points of one value beside each other: by a rule, so that the picture stays the same.
        aside = (rank * 0.618034 % 1 - 0.5) * 0.5 if named else 0.0
        mean = combination.gain.mean
        highest = combination is design.measured[0]
        inside = mean >= ends[0]
        axes.plot(
            [at + aside],
            [mean if inside else ends[0] + 0.02 * (ends[1] - ends[0])],
            marker="*" if highest else "o" if inside else "v",
            color=_COLOURS[1] if highest else _COLOURS[0],
            markeredgecolor="white",
            markeredgewidth=0.7,
            markersize=15 if highest else 7,
            zorder=3,
        )
    if named:
        axes.set_xlim(-0.5, len(values) - 0.5)
    rotated = axis.ticks and sum(len(_plain(value)) + 1 for value in values) > 26
    _along(axes, axis, design.short[key], rotated=rotated)
    _zero_line(axes, ends, axes.axhline)
