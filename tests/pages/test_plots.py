"""Plots that stand in a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest

from srexp.pages import plots
from srexp.pages.plots import COLOURS, ForestLine, PlotLine


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()).strip() for element in ET.fromstring(svg).iter("text")]


def strokes(svg: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """Colour and points of every line that is drawn."""
    found = []
    for path in ET.fromstring(svg).iter("path"):
        style = path.get("style") or ""
        if path.get("clip-path") and (colour := re.search(r"stroke: ([#\w]+)", style)):
            numbers = [float(n) for n in re.findall(r"-?[\d.]+", path.get("d") or "")]
            found.append((colour[1], list(zip(numbers[::2], numbers[1::2], strict=True))))
    return found


def of_colour(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    return [points for found, points in strokes(svg) if found.lower() == colour.lower()]


def test_a_curve_is_drawn_where_its_points_are() -> None:
    svg = plots.curves([PlotLine("a", [0, 1, 2, 3], [0, 1, 0, 3])], xlabel="step", ylabel="loss")
    (line,) = of_colour(svg, COLOURS[0])
    x, y = np.array(line).T
    # Equal steps to the right; SVG's y goes down.
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0], rtol=1e-4)
    np.testing.assert_allclose((y[0] - y) / (y[0] - y[1]), [0, 1, 0, 3], atol=1e-3)
    assert {"step", "loss"} <= set(texts(svg))


def test_ink_is_the_pages_and_nothing_is_loaded() -> None:
    svg = plots.curves(
        [PlotLine("a", [1, 2], [1, 2])], xlabel="x", ylabel="y", zero="bicubic", mark=(1.5, "best")
    )
    assert plots.INK not in svg
    assert "currentColor" in svg
    assert "http" not in svg
    assert "DejaVu" not in svg
    assert {"a", "bicubic", "best"} <= set(texts(svg))
    for black in ("#000000", "fill: black"):
        assert black not in svg


def test_two_plots_can_stand_in_one_page() -> None:
    one, other = (
        plots.curves([PlotLine("a", [1, 2], [value, 2])], xlabel="x", ylabel="y")
        for value in (1, 3)
    )
    ids = re.findall(r'\bid="([^"]*)"', one + other)
    assert ids
    assert len(set(ids)) == len(ids)
    for svg in (one, other):
        wanted = set(re.findall(r'href="#(\w+)"|url\(#(\w+)\)', svg))
        assert {a or b for a, b in wanted} <= set(re.findall(r'\bid="([^"]*)"', svg))


def test_many_points_become_means_of_neighbours() -> None:
    x, y = plots._thin(np.arange(4000.0), np.arange(4000.0) ** 2)
    assert len(x) == len(y) == 400
    assert (x[0], x[-1]) == (9, 3999)
    assert y[0] == np.mean(np.arange(10.0) ** 2)
    # Parts of one size: the mean stays what it is.
    assert np.mean(y) == pytest.approx(np.mean(np.arange(4000.0) ** 2))
    few = np.arange(400.0)
    assert plots._thin(few, few)[1] is few


def test_a_noisy_curve_is_faint_behind_its_means() -> None:
    x = np.arange(100.0)
    y = 3 * x + 20 * (-1) ** x
    svg = plots.curves([PlotLine("loss", x, y, noisy=True)], xlabel="step", ylabel="loss")
    raw, smooth = (np.array(line) for line in of_colour(svg, COLOURS[0]))
    assert "loss, smoothed" in texts(svg) and "opacity: 0.3" in svg
    np.testing.assert_allclose(smooth[[0, -1]], raw[[0, -1]], atol=1e-3)  # it ends where it ends
    # Eleven neighbours of a line with +-20 about it: the line itself, +-20 / 11.
    slope = (raw[-2, 1] - raw[0, 1]) / 98 / 3
    np.testing.assert_allclose(
        (smooth[5:95, 1] - raw[0, 1]) / slope + 20,
        3 * x[5:95] - 20 * (-1) ** x[5:95] / 11,
        atol=0.1,
    )
    few = plots.curves([PlotLine("loss", x[:19], y[:19], noisy=True)], xlabel="step", ylabel="loss")
    assert len(of_colour(few, COLOURS[0])) == 1


def test_a_matplotlibrc_of_the_users_counts_for_nothing() -> None:
    line = PlotLine("a", [1, 2, 3], [1, 2, 3])

    def drawn() -> str:
        return re.sub(r"\b[mp][0-9a-f]{10}\b", "", plots.curves([line], xlabel="x", ylabel="y"))

    plain = drawn()
    with matplotlib.rc_context({"text.usetex": True, "lines.linewidth": 9, "axes.grid": True}):
        assert drawn() == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9


def test_means_leave_a_gap_where_there_was_one() -> None:
    y = np.array([1.0, 1, 1, np.nan, 4, 4, 4])
    np.testing.assert_array_equal(plots._means(y, 1), [1, 1, 1, np.nan, 4, 4, 4])


def test_a_gap_is_left_where_there_is_no_number() -> None:
    svg = plots.curves([PlotLine("a", [0, 1, 2], [1, float("nan"), 3])], xlabel="x", ylabel="y")
    assert len([p for line in of_colour(svg, COLOURS[0]) for p in line]) < 3


def test_an_interval_without_zero_has_a_colour() -> None:
    lines = [
        ForestLine("better", 0.5, 0.2, 0.8),
        ForestLine("worse", -0.5, -0.8, -0.2),
        ForestLine("unclear", 0.1, -0.1, 0.3),
        ForestLine("one image", 0.1, float("nan"), float("nan")),
    ]
    svg = plots.forest(lines, xlabel="dB")

    def drawn(colour: str) -> list[list[tuple[float, float]]]:
        lines = [points for points in of_colour(svg, colour) if len(points) == 2]
        return [[start, end] for start, end in lines if start[1] == end[1]]  # level ones

    (better,), (worse,), (unclear,) = (drawn(c) for c in (COLOURS[0], COLOURS[1], "currentColor"))
    # From 0.2 to 0.8, and from -0.8 to -0.2: of one length.
    assert better[1][0] - better[0][0] == pytest.approx(worse[1][0] - worse[0][0], rel=1e-3)
    assert worse[1][0] < unclear[0][0] < better[0][0]
    assert better[0][1] < worse[0][1] < unclear[0][1]  # the first one is on top
    assert {"better", "worse", "unclear", "one image", "dB"} <= set(texts(svg))


def test_a_dollar_is_no_mathematics() -> None:
    """Two of them are for matplotlib, which fails at what is none."""
    name = r"a$\nosuch{$b"
    svg = plots.forest([ForestLine(f"{name}\n{name}", 1, 0, 2)], xlabel=name)
    assert texts(svg).count(name) == 3
    lines = [PlotLine(name, [1, 2], [1, 2]), PlotLine("b", [1, 2], [2, 1])]
    svg = plots.curves(lines, xlabel=name, ylabel=name, zero=name, mark=(1, name))
    assert texts(svg).count(name) == 5


def test_a_name_that_no_font_has_is_no_warning() -> None:
    assert "数据" in plots.forest([ForestLine("数据", 1, 0, 2)], xlabel="dB")
