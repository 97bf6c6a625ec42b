"""Chromium without a window, for the tests of pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def opened_browser() -> Iterator[Any]:
    """A fixture's function: a driver; skips where there is no Chromium, or no `chromedriver`."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        pytest.skip("no chromium, or no chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(driver)
    with webdriver.Chrome(options=options, service=service) as opened:
        yield opened


def at_width(browser: Any, width: int) -> None:
    """A window of so many pixels across; below 600 a phone's."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def find(browser: Any, name: str) -> Any:
    """The element of an id."""
    return browser.find_element(By.ID, name)


def wait(browser: Any, seen: Callable[[Any], Any]) -> None:
    WebDriverWait(browser, 60, 0.05).until(seen)


def shown(browser: Any, name: str) -> bool:
    return bool(find(browser, name).is_displayed())


def dropped_and_pasted(browser: Any) -> None:
    """The page that enlarges twice gets a picture of 24x16, and shows that it made 48x32 of it."""
    make = (
        "const c = new OffscreenCanvas(24, 16); c.getContext('2d').fillRect(3, 3, 9, 9);"
        "const done = arguments[0];"
        "c.convertToBlob().then((blob) => { const d = new DataTransfer();"
        "d.items.add(new File([blob], 'dropped.png', {type: 'image/png'}));"
    )
    for event in (
        "dispatchEvent(new DragEvent('drop', {dataTransfer: d, cancelable: true}))",
        "dispatchEvent(new ClipboardEvent('paste', {clipboardData: d}))",
    ):
        browser.execute_script("result.hidden = true")
        browser.execute_async_script(f"{make} {event}; done(); }});")
        wait(browser, lambda b: shown(b, "result"))
        assert "24 x 16 to 48 x 32" in find(browser, "facts").text
    assert browser.get_log("browser") == []
