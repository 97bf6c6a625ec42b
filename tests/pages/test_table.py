"""Tables as every format writes them, whatever stands in their cells."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from tests_page import read_page

from srexp.pages.table import (
    DOCUMENTS,
    CellPart,
    Table,
    escape_latex,
    escape_markdown,
    to_csv,
    to_text,
)

EVIL = r"a&b_c%d|e<f>g$h#i{j}k~l^m\n`o`*p* [q](r) é ß 日本 α -0.1 <script>alert(1)</script>"
MARKED = (CellPart("33.10", "best"), CellPart("/"), CellPart("0.9246", "second"))


def wide(sets: int = 5, scales: int = 3, rows: int = 12) -> Table:
    """Wider than any page: as many sets and scales as papers have, and long names."""
    head = ["method", *[f"x{2 + scale}" for _ in range(sets) for scale in range(scales)]]
    groups = [("", 1), *[(f"set_{index}", scales) for index in range(sets)]]
    cells = [[f"act=leaky_relu depth={n} {EVIL}", *[MARKED] * (sets * scales)] for n in range(rows)]
    return Table(head, cells, groups=groups, rules=[3], caption=EVIL, notes=[EVIL])


def narrow() -> Table:
    return Table(["method", "x2"], [["bicubic", MARKED], ["Ours", "-"]], caption="narrow",
                 groups=[("", 1), ("set5", 1)])  # fmt: skip


def test_markdown_shows_what_stands_in_the_cells() -> None:
    """Rendered by another program: nothing is emphasised, nothing is markup, no column is lost."""
    text = DOCUMENTS["markdown"]("", [Table([EVIL, "b"], [[EVIL, MARKED]], notes=[EVIL])], [EVIL])
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<strong>33.10</strong>/" in html and "0.9246" in html
    assert "<script" not in html and "<em>" not in html and "<a " not in html
    assert html.count("<td") == 2 and html.count("<th") == 2 + html.count("<thead")
    plain = "a&amp;b_c%d|e&lt;f&gt;g$h#i{j}k~l^m\\n`o`*p* [q](r) é ß 日本 α -0.1"
    assert html.count(plain) == 4


def test_names_of_options_are_left_as_they_are_in_markdown() -> None:
    assert escape_markdown("act=leaky_relu [+0.1, +0.2]") == "act=leaky_relu [+0.1, +0.2]"
    assert escape_markdown("_x_\nnext") == r"\_x\_ next"


def test_a_page_shows_what_stands_in_the_cells() -> None:
    page = read_page(DOCUMENTS["html"](EVIL, [wide(2, 2, 2), narrow()], [EVIL]))
    assert page.tables["table-1"][0] == ["", "set_0", "set_1"]
    assert page.tables["table-1"][2][:2] == [f"act=leaky_relu depth=0 {EVIL}", "33.10/0.9246"]
    assert page.tables["table-2"][2] == ["bicubic", "33.10/0.9246"]


def test_csv_and_text_have_one_line_of_heads() -> None:
    for line in (next(csv.reader(io.StringIO(to_csv(narrow())))), to_text(narrow())[0].split("  ")):
        assert [cell.strip() for cell in line if cell.strip()] == ["method", "set5 x2"]


def test_latex_marks_numbers_and_groups() -> None:
    text = DOCUMENTS["latex"]("", [narrow()], [])
    assert r"bicubic & \textbf{33.10}/\underline{0.9246} \\" in text
    assert r" & \multicolumn{1}{c}{set5} \\" in text and r"\cmidrule(lr){2-2}" in text
    assert r"\begin{table}" in text and r"\begin{table*}" in DOCUMENTS["latex"]("", [wide()], [])
    assert escape_latex("-0.1 +2.5 1e-05 9-1-5 a-1") == "$-0.1$ $+2.5$ 1e-05 9-1-5 a-1"


@pytest.mark.slow
@pytest.mark.parametrize("options", ["", "twocolumn", "twocolumn,a4paper"])
def test_latex_compiles_and_nothing_is_too_wide(tmp_path: Path, options: str) -> None:
    compiler = shutil.which("pdflatex") or shutil.which("lualatex")
    if compiler is None:
        pytest.skip("neither pdflatex nor lualatex is here")
    tables = [narrow(), wide(), wide(1, 1), wide(5, 3, 40)]
    body = DOCUMENTS["latex"]("a title", tables, [EVIL])
    assert re.search(r"^% needs \\usepackage\{booktabs,graphicx\}$", body, re.MULTILINE)
    (tmp_path / "t.tex").write_text(
        f"\\documentclass[{options}]{{article}}\\usepackage{{booktabs,graphicx}}"
        f"\\begin{{document}}\nText.\n{body}\nText.\\end{{document}}",
        encoding="utf-8",
    )
    done = subprocess.run(
        [compiler, "-interaction=nonstopmode", "-halt-on-error", "t.tex"], cwd=tmp_path,
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    log = (tmp_path / "t.log").read_text(errors="replace")
    assert "Overfull" not in log and "Float too large" not in log, log
    assert "4 pages" in log or "Output written" in log
