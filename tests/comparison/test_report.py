"""The page of a comparison, read as a browser would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests_page import Page, read_page
from tests_samples import sample
from tests_scored import make_report

from srexp.commands import compare
from srexp.comparison import report
from srexp.comparison.report import Section
from srexp.evaluation.samples import keep
from srexp.pages.plots import ForestLine
from srexp.pages.slider import Slider, SliderPicture
from srexp.pages.table import Table
from srexp.tracking.record import RunFolder

EVIL = "<script>alert(1)</script>\"'&amp;{{ 7*7 }}"
SCORES = Table(("method", "PSNR"), (("bicubic", "30.00"), ("net", "31.00")), best=1)


def page(*sections: Section, **more: object) -> Page:
    return read_page(report.html("title", sections, command="srexp compare", **more))  # type: ignore[arg-type]


def test_tables_and_remarks_of_each_task() -> None:
    pairs = Table(("first", "second", "difference"), (("a", "b", "+0.10"),), words=2)
    found = page(
        Section("set5_x2/rgb", "label 1", SCORES, pairs=pairs, remarks=["n is small"]),
        Section("set14_x2/rgb", "label 2", SCORES),
        methods=Table(("method",), (("net",),)),
        remarks=["of all"],
    )
    assert found.tables["scores-1"] == [["method", "PSNR"], ["bicubic", "30.00"], ["net", "31.00"]]
    assert found.tables["pairs-1"][1] == ["a", "b", "+0.10"]
    assert found.tables["methods"][1] == ["net"]
    assert set(found.tables) == {"methods", "scores-1", "pairs-1", "scores-2"}
    assert found.text["li"] == ["of all", "n is small"]
    assert [a.get("class") for tag, a in found.tags if tag == "tr"].count("best") == 2
    assert found.text["code"] == ["srexp compare"]


def test_differences_are_drawn_in_one_page_without_clashes() -> None:
    differences = [ForestLine("a\n− b", 0.1, 0.05, 0.15)]
    sections = [Section(str(i), "l", SCORES, differences=differences) for i in range(3)]
    found = page(*sections)
    assert sum(tag == "svg" for tag, _ in found.tags) == 3


def test_what_comes_from_the_user_is_shown_not_run() -> None:
    picture = SliderPicture(EVIL, "data:image/png;base64,", EVIL)
    found = page(
        Section(
            EVIL,
            EVIL,
            Table((EVIL,), ((EVIL,),)),
            remarks=[EVIL],
            differences=[ForestLine(EVIL, 0.1, 0.0, 0.2)],
            sliders=[Slider(EVIL, 3, 2, (picture, picture), 0, 1, EVIL)],
        )
    )
    assert sum(tag == "script" for tag, _ in found.tags) == 1
    assert found.tables["scores-1"] == [[EVIL], [EVIL]]
    assert found.text["li"] == [EVIL]


@pytest.fixture
def kept(make: Callable[..., RunFolder]) -> list[RunFolder]:
    """Two networks, the first with two seeds, which kept one image."""
    found = []
    for index, more in enumerate(["seed=0", "seed=1", "model.depth=3"]):
        scores = make_report([0.1 * (index + 1), 0.2, 0.3])
        run = make([scores], more)
        keep(run.folder, [sample(scores, 0, 0.1 * (index + 1), seed=index)])
        found.append(run)
    return found


def test_compare_writes_a_page(
    kept: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "page.html"
    compare.main([*(str(run.folder) for run in kept), "--html", str(file)])
    printed = capsys.readouterr().out
    found = read_page(file.read_text())
    names = [row[0] for row in found.tables["methods"][1:]]
    assert len(names) == 2
    assert found.tables["methods"][1][1:] == ["0, 1", f"{kept[0].id}, {kept[1].id}"]
    assert [row[0] for row in found.tables["scores-1"][1:]] == ["bicubic", *names]
    (best,) = (i for i, (tag, a) in enumerate(found.tags) if tag == "tr" and a.get("class"))
    rows = [i for i, (tag, _) in enumerate(found.tags) if tag == "tr"]
    # After the three rows of the methods: the header, bicubic, 0.217 and 0.267 dB over it.
    assert rows.index(best) == 3 + 3
    # The same figures as on the terminal.
    for row in found.tables["scores-1"][1:]:
        assert all(cell in printed for cell in row)
    assert len(found.tables["pairs-1"]) == 2
    shown = [a["data-name"] for tag, a in found.tags if tag == "img" and "data-name" in a]
    assert shown == ["bicubic", *names, "HR"]
    assert any("lowest" in remark for remark in found.text["li"])
    assert sum(tag == "img" for tag, _ in found.tags) == 4 + 1  # and the figure


def test_without_pictures_the_page_has_its_tables(
    make: Callable[..., RunFolder], tmp_path: Path
) -> None:
    more = {3: ["act=prelu", "seed=1"], 7: []}
    runs = [make([0.1, 0.2, 0.3], f"model.depth={depth}", *more[depth]) for depth in more]
    file = tmp_path / "page.html"
    compare.main([*(str(run.folder) for run in runs), "--html", str(file)])
    found = read_page(file.read_text())
    assert not any(tag in ("img", "script") for tag, _ in found.tags)
    assert "pairs-1" in found.tables
    # The default network has depth 7 and leaky ReLU; the seed stands with the method.
    assert found.tables["configuration"] == [
        ["method", "act.initial_slope", "act.name", "model.depth"],
        ["default", "–", "leaky_relu", "7"],
        ["act=prelu depth=3", "0.25", "prelu", "3"],
        ["act=leaky_relu depth=7", "–", "leaky_relu", "7"],
    ]


def test_of_many_methods_the_best_are_shown(make: Callable[..., RunFolder], tmp_path: Path) -> None:
    folders = []
    for depth in range(3, 11):
        scores = make_report([0.1 * depth, 0.2])
        run = make([scores], f"model.depth={depth}")
        keep(run.folder, [sample(scores, 0, 0.1 * depth, seed=depth)])
        folders.append(str(run.folder))
    file = tmp_path / "page.html"
    compare.main([*folders, "--html", str(file)])
    found = read_page(file.read_text())
    assert len(found.tables["scores-1"]) == 10
    shown = [a["data-name"] for tag, a in found.tags if tag == "img" and "data-name" in a]
    assert shown == ["bicubic", *(f"depth={depth}" for depth in range(5, 11)), "HR"]


def test_tables_of_other_programs_stand_in_the_page_without_pictures(
    kept: list[RunFolder], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own,) = (kept[0].folder / "evaluations").glob("*/*/final.csv")
    other = tmp_path / "evaluations" / own.relative_to(kept[0].folder / "evaluations")
    other.parent.mkdir(parents=True)
    other.write_text(own.read_text().replace(",deconv,", ",swinir,"))
    file = tmp_path / "page.html"
    compare.main([str(kept[2].folder), str(other), "--html", str(file)])
    found = read_page(file.read_text())
    assert found.tables["methods"][2] == ["swinir", "–", str(other)]
    shown = [a["data-name"] for tag, a in found.tags if tag == "img" and "data-name" in a]
    assert "swinir" not in shown
    assert len(shown) == 3
    with pytest.raises(SystemExit):
        compare.main([str(other), "--figure", str(tmp_path / "f.png")])
    assert "--figure: needs a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--image", "image0"], "--image: belongs to --figure FILE"),
        (["--crop", "1,2,3,4"], "--crop: belongs to --figure FILE"),
        (["--figure", "f.png", "--crop", "1,2"], "1,2: must be four whole numbers, X,Y,W,H"),
        (["--figure", "f.png"], "no such checkpoint"),
        (["--html", "missing/page.html"], "--html missing/page.html: cannot be written"),
    ],
)
def test_bad_input_is_one_line_and_2(
    kept: list[RunFolder], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.main([str(kept[0].folder), str(kept[2].folder), *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]
