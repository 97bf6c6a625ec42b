"""The pages in Chromium; skipped where there is none, or no `chromedriver`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from tests_browser import at_width, opened_browser
from tests_samples import sample
from tests_scored import make_report, scored_run

from srexp.commands import compare, report
from srexp.evaluation.samples import keep

browser = pytest.fixture(scope="module")(opened_browser)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run's and a comparison's."""
    output = tmp_path_factory.mktemp("outputs")
    runs = []
    for seed, depth in enumerate((3, 5)):
        scores = make_report([0.1 * depth, 0.2, 0.3], images="a set with a long name " * 3)
        run = scored_run(output, [scores], f"model.depth={depth}", title="a_long_title" * 9)
        keep(run.folder, [sample(scores, i, 0.1 * i, seed=10 * seed + i) for i in range(3)])
        for step in range(10, 100, 10):
            run.log(step, {"train/loss": 1 / step, "val_x2/rgb/psnr_gain": step / 100})
        runs.append(str(run.folder))
    report.main(runs[:1])
    compare.main([*runs, "--html", str(output / "compared.html")])
    return {"run": Path(runs[0], "report.html"), "comparison": output / "compared.html"}


@pytest.mark.parametrize("name", ["run", "comparison"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_it_fits_and_nothing_is_amiss(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    at_width(browser, width)
    browser.get(pages[name].as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    assert all(name.startswith("data:") for name in browser.execute_script(loaded))
    broken = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    assert browser.get_log("browser") == []  # what the policy forbids would be here


def shown(slider: Any) -> dict[str, str]:
    """Which pictures can be seen, and how they are clipped."""
    return {
        image.get_attribute("data-name"): image.value_of_css_property("clip-path")
        for image in slider.find_elements("css selector", "img")
        if image.value_of_css_property("visibility") == "visible"
    }


@pytest.mark.parametrize("width", [360, 1400])
def test_the_edge_follows_the_finger(browser: Any, pages: dict[str, Path], width: int) -> None:
    at_width(browser, width)
    browser.get(pages["run"].as_uri())
    slider = browser.find_element("css selector", ".slider")
    stage = slider.find_element("css selector", ".stage")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", stage)
    assert shown(slider) == {"bicubic": "inset(0px 50% 0px 0px)", "net": "none"}
    names = [e.text for e in slider.find_elements("css selector", ".name")]
    assert names == ["bicubic", "net"]
    box = stage.rect
    chain = webdriver.ActionChains(browser)
    # From the middle to a quarter of the width.
    chain.move_to_element(stage).click_and_hold().move_by_offset(-box["width"] / 4, 0).release()
    chain.perform()
    at = float(browser.execute_script(
        "return arguments[0].querySelector('input').value", stage
    ))  # fmt: skip
    assert at == pytest.approx(25, abs=1.5)
    assert shown(slider)["bicubic"] == f"inset(0px {100 - at:g}% 0px 0px)"
    edge = stage.find_element("css selector", ".edge").rect
    assert edge["x"] + 1 - box["x"] == pytest.approx(box["width"] * at / 100, abs=1)


def test_any_two_pictures_can_be_chosen(browser: Any, pages: dict[str, Path]) -> None:
    at_width(browser, 1400)
    browser.get(pages["comparison"].as_uri())
    first, second = browser.find_elements("css selector", ".slider")[:2]
    before = shown(second)
    left, right = first.find_elements("css selector", "select")

    def choose(select: Any, name: str) -> None:
        (option,) = [o for o in select.find_elements("css selector", "option") if o.text == name]
        option.click()

    choose(left, "HR")
    assert shown(first) == {"HR": "inset(0px 50% 0px 0px)", "depth=5": "none"}
    choose(right, "bicubic")
    assert set(shown(first)) == {"HR", "bicubic"}
    assert [e.text for e in first.find_elements("css selector", ".name")] == ["HR", "bicubic"]
    choose(right, "HR")
    assert shown(first) == {"HR": "none"}  # whole
    assert shown(second) == before


def test_dark_is_dark(browser: Any, pages: dict[str, Path]) -> None:
    at_width(browser, 800)

    def lightness(scheme: str) -> tuple[int, int]:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get(pages["run"].as_uri())
        script = """
            const of = (what, where) => getComputedStyle(document.querySelector(where))[what]
              .match(/\\d+/g).slice(0, 3).map(Number).reduce((a, b) => a + b);
            return [of("backgroundColor", "body"), of("fill", ".plot svg text")];
        """
        return tuple(browser.execute_script(script))

    paper, ink = lightness("light")
    assert paper > 600 > 300 > ink
    paper, ink = lightness("dark")
    assert ink > 600 > 300 > paper
