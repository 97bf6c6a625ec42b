"""The page of `srexp serve` in Chromium; skipped where there is none, or no `chromedriver`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from tests_browser import at_width, dropped_and_pasted, find, opened_browser, shown, wait

from srexp.upscaling.method import Method
from srexp.upscaling.network import Network

Start = Callable[..., str]
browser = pytest.fixture(scope="module")(opened_browser)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a small photo.png"
    rows, columns = np.mgrid[:60, :90]
    levels = np.stack([rows * 4, columns * 2, 255 - rows * 2], axis=2).astype(np.uint8)
    Image.fromarray(levels).save(path)
    return path


def loaded(browser: Any, address: str) -> None:
    browser.get(address)
    wait(browser, lambda b: find(b, "version").text)


def amiss(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


@pytest.mark.parametrize("width", [390, 1300])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_chosen_and_compared(
    browser: Any, server: str, photo: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    at_width(browser, width)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    loaded(browser, server)
    find(browser, "file").send_keys(str(photo))
    wait(browser, lambda b: shown(b, "result"))
    assert "90 x 60 to 180 x 120 pixels" in find(browser, "facts").text
    link = find(browser, "download")
    assert link.get_attribute("download") == "a small photo_180x120.png"
    wait(browser, lambda b: b.execute_script("return before.naturalWidth && after.naturalWidth"))
    sizes = browser.execute_script(
        "return [before, after].map((i) => [i.naturalWidth, i.naturalHeight])"
    )
    assert sizes == [[180, 120], [180, 120]]
    # What is downloaded is the picture that was made.
    there = {"behavior": "allow", "downloadPath": str(tmp_path / "got")}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", there)
    link.click()
    got = tmp_path / "got" / "a small photo_180x120.png"
    wait(browser, lambda b: got.exists())
    with Image.open(got) as file:
        assert (file.format, file.size) == ("PNG", (180, 120))
    slider = find(browser, "slider")
    slider.send_keys(Keys.END)
    assert "inset(0px 0%" in find(browser, "before").value_of_css_property("clip-path")
    slider.send_keys(Keys.HOME)
    assert "inset(0px 100%" in find(browser, "before").value_of_css_property("clip-path")
    for step, wide in (("2", 360), ("1", 180)):
        browser.find_element(By.CSS_SELECTOR, f".zoom[data-zoom='{step}']").click()
        assert find(browser, "stage").size["width"] == wide
    inner = browser.execute_script("return [document.body.scrollWidth, innerWidth]")
    assert inner[0] <= inner[1], "the page is wider than the screen"
    assert amiss(browser) == []


def test_a_picture_is_dropped_and_pasted(browser: Any, server: str) -> None:
    loaded(browser, server)
    dropped_and_pasted(browser)


def test_what_is_no_picture_is_said(browser: Any, server: str, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    loaded(browser, server)
    find(browser, "file").send_keys(str(tmp_path / "notes.png"))
    wait(browser, lambda b: shown(b, "error"))
    assert "not a picture" in find(browser, "error").text
    assert not shown(browser, "work") and not shown(browser, "result")
    browser.get_log("browser")  # the 422 that it is


def test_a_run_is_chosen_watched_and_cancelled(browser: Any, start: Start, photo: Path) -> None:
    gate = threading.Event()

    def forward(lr: np.ndarray) -> np.ndarray:
        gate.wait(60)
        return lr.repeat(3, axis=1).repeat(3, axis=2)

    def of_run(name: str) -> Method:
        return Method(name, "", (3,), lambda scale: Network(3, 3, 1, 1, forward))

    server = start(runs=lambda: {"my_run": ("depth=3", 3)}, of_run=of_run)
    loaded(browser, server)
    find(browser, "network").send_keys("x3 depth=3")
    assert find(browser, "scale").get_attribute("value") == "3"
    find(browser, "file").send_keys(str(photo))
    wait(browser, lambda b: "%" in find(b, "state").text)
    find(browser, "cancel").click()
    wait(browser, lambda b: not shown(b, "work"))
    gate.set()
    time.sleep(0.5)
    assert not shown(browser, "result") and not shown(browser, "error")
    find(browser, "file").send_keys(str(photo))
    wait(browser, lambda b: shown(b, "result"))
    assert "90 x 60 to 270 x 180" in find(browser, "facts").text
    assert amiss(browser) == []
