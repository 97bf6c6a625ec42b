"""The report as a browser would read it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from tests_page import Page, read_page

from srexp.sweeps import figures, report, summary
from srexp.sweeps.results import JobResult

Grid = Callable[..., list[JobResult]]
One = Callable[..., JobResult]

ABOUT = report.AboutSweep(
    name="2026-01-05_07-30-00_ab12",
    command="srexp train -m act=relu,elu seed=0,1",
    when="2026-01-05 07:30 to 09:12",
    rerun="srexp train -m act=relu,elu seed=0,1,2",
)


def page(jobs: list[JobResult], about: report.AboutSweep = ABOUT, **more: object) -> Page:
    values = {"png": figures.png(jobs), "best_yaml": None, "best_command": None, **more}
    return read_page(report.html(about, jobs, **values))  # type: ignore[arg-type]


def test_the_tables_hold_the_numbers(grid: Grid) -> None:
    gains = {"relu": [1.10, 1.30], "elu": [0.5, 0.7]}
    jobs = grid(
        {"model.act": ["elu", "relu"], "model.depth": ["3"], "seed": ["0", "1"]},
        lambda c: gains[c["model.act"]][int(c["seed"])],
    )
    found = page(jobs, best_yaml="act:\n  x: <y>\n", best_command="do it")
    # t(0.975, 1) = 12.7062; half-width 12.7062 * 0.141421 / sqrt(2) = 1.271
    assert found.tables["combinations"] == [
        ["act", "depth", "gain in dB", "seeds"],
        ["relu", "3", "+1.200 ± 1.271", "2"],
        ["elu", "3", "+0.600 ± 1.271", "2"],
    ]
    head, *rows = found.tables["jobs"]
    assert len(rows) == 4
    assert dict(zip(head, rows[0], strict=True)) == {
        "#": "1", "job": "act=elu depth=3 seed=0", "state": "finished", "gain in dB": "+0.500",
        "PSNR in dB": "30.50", "training": "1:01", "note": "new", "run": jobs[0].run,
    }  # fmt: skip
    effects = found.tables["effects"]
    assert ["act", "relu", "+1.200", "1"] in effects
    assert found.text["pre"] == ["act:\n  x: <y>\n"]
    assert "do it" in found.text["code"]
    assert ABOUT.command in found.text["code"]
    assert "trainer.steps=7" in found.text["code"]  # common to all jobs
    assert summary.count(jobs) in found.text["dd"]


def test_nothing_is_loaded_from_elsewhere_and_links_are_relative(
    grid: Grid, tmp_path: Path
) -> None:
    jobs = grid({"act": ["elu", "relu"]}, lambda c: 0.1 * len(c["act"]))
    found = page(jobs)
    loading = {"script", "link", "iframe", "object", "embed", "base", "video", "audio", "source"}
    assert not loading & {tag for tag, _ in found.tags}
    images = [attributes["src"] or "" for tag, attributes in found.tags if tag == "img"]
    assert len(images) == 1
    data = images[0].removeprefix("data:image/png;base64,")
    assert base64.b64decode(data, validate=True) == figures.png(jobs)
    style = "".join(found.text["style"])
    assert "url(" not in style
    assert "@import" not in style
    policy = [a["content"] or "" for _, a in found.tags if a.get("http-equiv")]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    # From where the report lies, each link leads to its run's folder.
    sweep = tmp_path / "sweeps" / ABOUT.name
    for job, (_, attributes) in zip(jobs, (t for t in found.tags if t[0] == "a"), strict=True):
        target = os.path.normpath(sweep / unquote(attributes["href"] or ""))
        assert target == str(tmp_path / str(job.run))


def test_what_comes_from_the_user_is_shown_not_run(one: One) -> None:
    evil = "<script>alert(1)</script>\"'&amp;{{ 7*7 }}"
    jobs = [
        one(1, {evil: evil}, 1.0, run='"><img src=x onerror=y>', note=evil, task=evil, name=evil),
        one(2, {evil: "b"}, "failed", note=evil, run="javascript:alert(1)/../?x#y"),
    ]
    about = report.AboutSweep(name=evil, command=evil, when=evil, rerun=evil)
    found = page(jobs, about, best_yaml=evil, best_command=evil)
    assert "script" not in {tag for tag, _ in found.tags}
    assert sum(tag == "img" for tag, _ in found.tags) == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert found.tables["combinations"][1][0] == evil
    assert found.tables["jobs"][1][1] == evil
    assert found.text["pre"] == [evil]
    hrefs = [a["href"] or "" for t, a in found.tags if t == "a"]
    assert all(re.match(r"\.\./\.\./[^/]+/$", href) for href in hrefs)
    assert len(hrefs) == 2


@pytest.mark.parametrize("jobs_gain", ["failed", float("nan"), "not started"])
def test_without_any_gain_it_still_tells_what_happened(grid: Grid, jobs_gain: object) -> None:
    jobs = grid({"act": ["elu", "relu"]}, lambda _: jobs_gain, run=None, seconds=None)
    found = page(jobs)
    assert len(found.tables["jobs"]) == 3
    assert not any(tag in ("img", "a", "pre") for tag, _ in found.tags)
    assert [row[-2:] for row in found.tables["combinations"][1:]] == [["–", "0 of 1"]] * 2


def test_hours_are_written_as_hours(one: One) -> None:
    jobs = [one(1, {}, 1.0, seconds=3661.2), one(2, {}, 1.0, seconds=float("nan"))]
    training = [row[5] for row in page(jobs).tables["jobs"][1:]]
    assert training == ["1:01:01", "–"]
