"""Plots as SVG in a page: in its colours, dark or light, and sharp at any size."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which all kinds of colour vision tell apart, on dark and on light.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# Stands for the colour of the page's text, which the SVG does not know.
INK = "#010203"
_POINTS = 400  # of a curve: more than there are pixels to show them
_SMOOTHED = 20  # a noisy curve's mean looks this part of it to each side
_LONGEST = 28  # letters of a line of a name


@dataclass(frozen=True)
class PlotLine:
    """One line of a plot.

    Attributes:
        name: For the legend.
        x: Ascending.
        y: As many.
        noisy: Whether to draw it faint, and means of neighbours over it.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    noisy: bool = False


@dataclass(frozen=True)
class ForestLine:
    """One line of a `forest` plot.

    Attributes:
        name: At the axis; may have two lines.
        mean: A dot.
        low: Where the line begins; NaN for none.
        high: Where it ends; likewise.
    """

    name: str
    mean: float
    low: float
    high: float


@contextmanager
def own_style() -> Iterator[None]:
    """Drawing as matplotlib does of itself, whatever a `matplotlibrc` of the user's says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


@own_style()
def curves(
    lines: Sequence[PlotLine],
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    zero: str = "",
    mark: tuple[float, str] | None = None,
) -> str:
    """Curves over a common axis.

    Args:
        lines: Values that are not finite leave a gap.
        xlabel: With its unit.
        ylabel: Likewise.
        log: Whether the y axis is logarithmic.
        zero: The meaning of y = 0, which is then drawn; empty for none.
        mark: An x and its meaning, drawn as a vertical line.

    Returns:
        An SVG element without an `id`.
    """
    figure, axes = _figure(4.4, 2.9)
    for line, colour in zip(lines, _colours(len(lines)), strict=True):
        x, y = _thin(np.asarray(line.x, float), np.asarray(line.y, float))
        dots = "o" if len(x) <= 40 else ""
        name, reach = plain(line.name), len(y) // _SMOOTHED
        if line.noisy and reach:
            axes.plot(x, y, color=colour, alpha=0.3, linewidth=1, label="_")  # not in the legend
            y, dots, name = _means(y, reach), "", f"{name}, smoothed"
        axes.plot(x, y, color=colour, marker=dots, markersize=3.5, linewidth=1.6, label=name)
    if log:
        axes.set_yscale("log")
    if zero:
        axes.axhline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)), label=plain(zero))
    if mark is not None:
        axes.axvline(mark[0], color=INK, linewidth=1, linestyle=":", label=plain(mark[1]))
    if len(axes.get_lines()) > 1:
        figure.legend(loc="outside upper left", ncols=2, **_LEGEND)
    axes.set(xlabel=plain(xlabel), ylabel=plain(ylabel))
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.8)
    return _svg(figure)


@own_style()
def forest(lines: Sequence[ForestLine], *, xlabel: str) -> str:
    """Means with their intervals, one below the other, against zero.

    Args:
        lines: From top to bottom.
        xlabel: With its unit.

    Returns:
        An SVG element without an `id`.
    """
    names = [plain(_narrow(line.name)) for line in lines]
    tallest = max((name.count("\n") + 1 for name in names), default=0)
    figure, axes = _figure(5.0, 0.7 + 0.21 * max(2, tallest) * len(lines))
    for row, line in enumerate(lines):
        # An interval without zero is told by its colour, and by where it lies.
        colour = COLOURS[0] if line.low > 0 else COLOURS[1] if line.high < 0 else INK
        axes.plot([line.low, line.high], [row, row], color=colour, linewidth=2.5)
        axes.plot([line.mean], [row], color=colour, marker="o", markersize=6)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(lines)), names)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_xlabel(plain(xlabel))
    axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.8)
    return _svg(figure)


def plain(text: str) -> str:
    """Text for matplotlib, which takes what stands between two `$` for mathematics."""
    return text.replace("$", r"\$")


def _narrow(name: str) -> str:
    """Each of its lines broken where it is long; nothing is cut, so that no two become alike."""
    return "\n".join(textwrap.fill(part, _LONGEST) for part in name.splitlines())


_LEGEND: dict[str, Any] = {
    "frameon": False, "fontsize": 9, "labelcolor": INK, "borderaxespad": 0, "handlelength": 1.6,
}  # fmt: skip


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    """Inches; shown about half as wide again, so that text of 10 points can be read on a phone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(which="both", colors=INK, labelsize=9)
    axes.xaxis.label.set(color=INK, size=10)
    axes.yaxis.label.set(color=INK, size=10)
    axes.set_axisbelow(True)
    return figure, axes


def _colours(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of neighbours, each at the last x of its part, where there are too many points."""
    if len(x) <= _POINTS:
        return x, y
    parts = np.array_split(np.arange(len(x)), _POINTS)
    return np.array([x[p[-1]] for p in parts]), np.array([y[p].mean() for p in parts])


def _means(y: np.ndarray, reach: int) -> np.ndarray:
    """Of as many neighbours to each side, fewer at the ends, so that nothing lags; gaps stay."""
    means = y.copy()
    for i in np.flatnonzero(np.isfinite(y)):
        near = y[max(0, 2 * i - len(y) + 1, i - reach) : min(2 * i, i + reach) + 1]
        means[i] = near[np.isfinite(near)].mean()
    return means


def _svg(figure: Figure) -> str:
    import matplotlib

    file = io.StringIO()
    # Text stays text, in the page's own font; nothing of the moment is written down.
    with matplotlib.rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # measured only; the page may have it
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor").replace("xlink:href", "href")
    for pattern, instead in _UNWANTED.items():
        text = re.sub(pattern, instead, text, flags=re.DOTALL)
    return text


# What a page does without, and what would be there twice with two plots.
_UNWANTED = {
    r"<metadata>.*?</metadata>\s*": "",
    r"<style.*?</style>\s*": "",
    r"<!--.*?-->\s*": "",
    r' xmlns(:\w+)?="[^"]*"': "",
    r'^<svg width="[^"]*" height="[^"]*"': '<svg role="img"',
    r" id=\"(?![mp][0-9a-f]{10}\")[^\"]*\"": "",
    r"(font(?:-family)?: (?:[\d.]+px )?)'[^;\"]*": r"\1system-ui, sans-serif",
}
