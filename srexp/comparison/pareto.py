"""Gain against cost in a picture: what a decibel costs."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from srexp.comparison.leaderboard import Board, RankedRun, pareto
from srexp.comparison.ranking import amount
from srexp.pages.plots import own_style, plain
from srexp.tracking.record import RunError
from srexp.words import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 11.0, 4.4  # inches, for one task
_DPI = 150
_POINT, _FRONT, _INK = "#56B4E9", "#D55E00", "#222222"  # Okabe and Ito's
_BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
_TASKS = 6
_LONGEST = 30  # of a line of a name, in characters
_ROOM = 0.12  # of the width, between two names
_LINEAR = 4  # costs that differ by less stand on a linear axis
_COSTS: tuple[tuple[str, Callable[[RankedRun], float]], ...] = (
    ("multiply-adds for 1280x720", lambda row: row.multiply_adds),
    ("parameters", lambda row: row.parameters),
)


@own_style()
def draw(boards: Sequence[Board], kind: str) -> bytes:
    """One row of pictures a task: gain against multiply-adds, and against parameters.

    Args:
        boards: What to draw; all of their rows, one a method (`leaderboard.pooled`).
        kind: `png`, `svg` or `pdf`.

    Raises:
        RunError: Too many tasks for a picture, or no run whose cost is known.
    """
    if len(boards) > _TASKS:
        raise RunError(
            f"--plot: {len(boards)} tables, and a picture has room for {_TASKS}; choose with "
            "--benchmark, --scale, --protocol"
        )
    drawn = [board for board in boards if any(map(_known, board.rows))]
    if not drawn:
        raise RunError("--plot: no finished run here says how many parameters it has")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure((_WIDTH, _HEIGHT * len(drawn)), layout="constrained", facecolor="white")
    figure.supxlabel(
        "line: no method gains more for less; bars: 95 % interval over seeds, of one seed over "
        "images",
        fontsize=9,
    )
    for board, row in zip(drawn, figure.subplots(len(drawn), 2, squeeze=False), strict=True):
        _draw_board(board, row)
    file = io.BytesIO()
    # Without the date, so that the same runs give the same file.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "srexp"}):
        warnings.filterwarnings("ignore", message="Glyph")  # drawn as a box
        figure.savefig(file, format=kind, dpi=_DPI, metadata=metadata)
    return file.getvalue()


def _known(row: RankedRun) -> bool:
    return math.isfinite(row.parameters + row.multiply_adds + row.summary.gain.mean)


def _draw_board(board: Board, row: Sequence[Axes]) -> None:
    known = [row for row in board.rows if _known(row)]
    missing = len(board.rows) - len(known)
    for axes, (name, cost) in zip(row, _COSTS, strict=True):
        _draw(axes, known, cost)
        axes.set_xlabel(name, fontsize=11)
        axes.set_ylabel("gain over bicubic, PSNR in dB", fontsize=11)
    runs = count(missing, "method of unknown cost is", "methods of unknown cost are")
    left = f"; {runs} not drawn" if missing else ""
    row[0].set_title(plain(board.label + left), loc="left", fontsize=10)


def _draw(axes: Axes, rows: Sequence[RankedRun], cost: Callable[[RankedRun], float]) -> None:
    front = pareto(rows, cost)
    for shown, style in (
        (rows, {"color": _POINT, "markersize": 5, "capsize": 2, "linewidth": 0.8}),
        (front, {"color": _FRONT, "markersize": 7, "capsize": 3, "linewidth": 1}),
    ):
        costs = [cost(row) for row in shown]
        gains = [row.summary.gain for row in shown]
        halves = [gain.high - gain.mean if gain.n > 1 else 0.0 for gain in gains]
        axes.errorbar(costs, [gain.mean for gain in gains], yerr=halves, fmt="o", **style)  # type: ignore[arg-type]
    axes.step(costs, [gain.mean for gain in gains], where="post", color=_FRONT, linewidth=1.5)
    _style(axes, [cost(row) for row in rows])
    _name(axes, front, cost)


def _style(axes: Axes, costs: Sequence[float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    ratio = max(costs) / max(min(costs), 1.0)
    if ratio > _LINEAR:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if ratio < 100 else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: amount(value))
    axes.margins(0.15)
    axes.autoscale_view()
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=_INK, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _name(axes: Axes, front: Sequence[RankedRun], cost: Callable[[RankedRun], float]) -> None:
    """Name the methods of the front from the best down, where there is room."""
    to_axes = axes.transData + axes.transAxes.inverted()
    taken: list[float] = []
    for row in reversed(front):
        point = (cost(row), row.summary.gain.mean)
        x = float(to_axes.transform(point)[0])
        if any(abs(x - other) < _ROOM for other in taken):
            continue
        taken.append(x)
        label = textwrap.fill(row.title or row.run, _LONGEST)
        # Above and to the left of the front there are no points.
        name = axes.annotate(plain(label), point, (-5 if x > 0.5 else 5, 7),
                             textcoords="offset points", ha="right" if x > 0.5 else "left",
                             fontsize=8, color=_INK, bbox=_BEHIND)  # fmt: skip
        name.set_in_layout(False)
