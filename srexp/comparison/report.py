"""A comparison as one HTML page. Takes plain data: what stands in a cell is for others to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srexp.pages import plots
from srexp.pages.page import data_uri, render
from srexp.pages.slider import Slider
from srexp.pages.table import Table


@dataclass(frozen=True)
class Section:
    """One image set under one degradation and protocol.

    Attributes:
        name: `set5_x2/y_paper`.
        label: All of it in words, with the digest.
        scores: A row for bicubic and for each method.
        pairs: A row for each two methods; None where there is one method.
        differences: Likewise, to be drawn; in dB unless `unit` says otherwise.
        unit: Of the differences, for the axis.
        remarks: What a reader should know: images left out, too few for a small p-value.
        sliders: The same part of an image from each method.
        figure: A PNG; None for none.
    """

    name: str
    label: str
    scores: Table
    pairs: Table | None = None
    differences: Sequence[plots.ForestLine] = ()
    unit: str = "PSNR difference in dB"
    remarks: Sequence[str] = ()
    sliders: Sequence[Slider] = ()
    figure: bytes | None = None


def html(
    title: str,
    sections: Sequence[Section],
    *,
    command: str,
    standard: Sequence[Table] = (),
    methods: Table | None = None,
    configuration: Table | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """The page.

    Args:
        title: Its heading.
        sections: One a task.
        command: What makes it again.
        standard: Of all tasks, as in a paper.
        methods: What each method is: its runs, seeds, parameters; None leaves it out.
        configuration: Where those of the methods are not the default; None leaves it out.
        remarks: What a reader should know of all of it.

    Returns:
        The content of the HTML file. All that comes from the user is escaped.
    """
    return render(
        Path(__file__).parent,
        "report.html.jinja",
        slider=any(section.sliders for section in sections),
        title=title,
        command=command,
        standard=standard,
        methods=methods,
        configuration=configuration,
        remarks=remarks,
        sections=[
            {
                "of": section,
                "figure": data_uri(section.figure) if section.figure else None,
                "plot": plots.forest(section.differences, xlabel=section.unit)
                if section.differences
                else None,
            }
            for section in sections
        ],
    )
