"""A network as one HTML file, in Chromium; skipped where there is none, or no `chromedriver`."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data
from tests_browser import at_width, dropped_and_pasted, find, opened_browser, shown, wait

import srexp
from srexp.images.quantize import to_uint8
from srexp.images.resize import enlarge
from srexp.options import OptionError
from srexp.tracking.record import find_run
from srexp.upscaling.browser import file as html
from srexp.upscaling.export_file import export_bundled, export_run

browser = pytest.fixture(scope="module")(opened_browser)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network for x2; written, and not tried: what it gives is compared here."""
    path = tmp_path_factory.mktemp("html") / "tiny_clean_x2.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "BROWSERS", ())
        done = export_bundled("clean", 2, "html", path=path)
    assert done.parity is None and done.nbytes < 2e6
    return path


def made(browser: Any, name: str) -> np.ndarray:
    """What the page shows as `after` or `before`."""
    url = browser.execute_async_script(
        "const [name, done] = arguments; const c = document.getElementById(name);"
        "await c.decode(); const o = new OffscreenCanvas(c.naturalWidth, c.naturalHeight);"
        "o.getContext('2d').drawImage(c, 0, 0); const r = new FileReader();"
        "r.onload = () => done(r.result); r.readAsDataURL(await o.convertToBlob());",
        name,
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def enlarged(browser: Any, page: Path, picture: np.ndarray, folder: Path) -> None:
    file = folder / "a photo.png"
    Image.fromarray(picture).save(file)
    browser.get(page.as_uri())
    find(browser, "file").send_keys(str(file))
    wait(browser, lambda b: shown(b, "result") or shown(b, "error"))
    assert not shown(browser, "error"), find(browser, "error").text


# More than one tile both ways, odd; two that each overlap all of it; a line; less than a kernel.
@pytest.mark.parametrize("size", [(301, 275), (105, 100), (1, 40), (2, 3), (1, 1)])
def test_the_page_gives_what_upscale_gives(
    browser: Any, page: Path, tmp_path: Path, size: tuple[int, int]
) -> None:
    picture = data.astronaut()[100 : 100 + size[0], 100 : 100 + size[1]]
    enlarged(browser, page, picture, tmp_path)
    network, bicubic = made(browser, "after")[..., :3], made(browser, "before")[..., :3]
    ours = np.asarray(srexp.load("tiny", scale=2).upscale(picture))
    difference = np.abs(network.astype(int) - ours)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    beside = to_uint8(enlarge(picture / np.float32(255), 2, "bicubic", "matlab"))
    difference = np.abs(bicubic.astype(int) - beside)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    text = find(browser, "facts").text
    assert f"{size[1]} x {size[0]} to {2 * size[1]} x {2 * size[0]} pixels" in text
    link = find(browser, "download").get_attribute("download")
    assert link == f"a photo_{2 * size[1]}x{2 * size[0]}.png"
    assert browser.get_log("browser") == []


def test_transparent_pictures_have_no_dark_edge(browser: Any, page: Path, tmp_path: Path) -> None:
    """As `upscale`: what lies under transparent pixels is not drawn into the edge."""
    y, x = np.mgrid[:40, :40] - 20
    alpha = np.clip((13 - np.hypot(y, x)) * 255, 0, 255).astype(np.uint8)
    picture = np.dstack([np.where(alpha, 250, 0), np.zeros((40, 40)), np.zeros((40, 40)), alpha])
    enlarged(browser, page, picture.astype(np.uint8), tmp_path)
    got = made(browser, "after")
    assert got.shape == (80, 80, 4)
    assert (got[40, 40] == (250, 0, 0, 255)).all() and got[0, 0, 3] == 0
    # A canvas keeps colours times alpha in 8 bits, which leaves few levels where alpha is small.
    seen = got[got[..., 3] > 100]
    assert np.abs(seen[:, :3].astype(int) - (250, 0, 0)).max() <= 4
    assert set(np.unique(got[..., 3][got[..., 3] < 255])) != {0}, "the edge is soft"


def test_a_picture_is_dropped_and_pasted(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    dropped_and_pasted(browser)


@pytest.mark.parametrize("width", [390, 1300])
def test_work_is_cancelled_and_begun_again(
    browser: Any, page: Path, tmp_path: Path, width: int
) -> None:
    at_width(browser, width)
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.fromarray(np.tile(data.astronaut(), (3, 3, 1))).save(large)
    Image.fromarray(data.astronaut()[:50, :60]).save(small)
    browser.get(page.as_uri())
    find(browser, "file").send_keys(str(large))
    wait(browser, lambda b: "%" in find(b, "state").text)
    find(browser, "cancel").click()
    assert not shown(browser, "work") and not shown(browser, "result")
    find(browser, "file").send_keys(str(small))
    wait(browser, lambda b: shown(b, "result"))
    assert "60 x 50 to 120 x 100" in find(browser, "facts").text and not shown(browser, "error")
    inner = browser.execute_script("return [document.body.scrollWidth, innerWidth]")
    assert inner[0] <= inner[1], "the page is wider than the screen"
    # A picture in place of another one that is still at work.
    find(browser, "file").send_keys(str(large))
    wait(browser, lambda b: "%" in find(b, "state").text)
    find(browser, "file").send_keys(str(small))
    wait(browser, lambda b: shown(b, "result"))
    assert "60 x 50 to 120 x 100" in find(browser, "facts").text and not shown(browser, "error")


def test_what_cannot_be_enlarged_is_said(browser: Any, page: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    Image.new("RGB", (9000, 20)).save(tmp_path / "wide.png")
    browser.get(page.as_uri())
    for name, words in (
        ("notes.png", "notes.png is not a picture that this browser can read"),
        ("wide.png", "9000 x 20 pixels would become 18000 x 40; at most 16384 to a side"),
    ):
        find(browser, "file").send_keys(str(tmp_path / name))
        wait(browser, lambda b, words=words: words in find(b, "error").text)
        assert not shown(browser, "work") and not shown(browser, "result")


def test_nothing_leaves_the_page(browser: Any, page: Path) -> None:
    """Its policy forbids it, to whoever might put a script into it."""
    browser.get(page.as_uri())
    text = browser.execute_async_script(
        "const done = arguments[0];"
        "fetch('http://127.0.0.1:9/').then(() => done('sent'), (e) => done(String(e)));"
    )
    assert text == "TypeError: Failed to fetch"
    assert any("Content Security Policy" in one["message"] for one in browser.get_log("browser"))


def test_a_luma_network_leaves_the_colours_to_bicubic(browser: Any, tmp_path: Path) -> None:
    run = srexp.train(
        "model=srexp_tiny", "color=y", "trainer.steps=5", "trainer.batch_size=2", "tracking=none",
        f"paths.output_dir={tmp_path}",
    )  # fmt: skip
    folder = find_run(run.id, tmp_path)
    done = export_run(folder, "html", path=tmp_path / "luma.html", weights="float32")
    assert done.parity is None or done.parity.psnr > 100
    picture = data.astronaut()[100:160, 100:180]
    enlarged(browser, done.path, picture, tmp_path)
    ours = np.asarray(run.upscale(picture))
    difference = np.abs(made(browser, "after")[..., :3].astype(int) - ours)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_the_export_tries_the_file_and_says_what_it_is(tmp_path: Path) -> None:
    done = export_bundled("clean", 2, "html", path=tmp_path / "a.html", licence="CC0 </script>")
    text = done.path.read_text(encoding="utf-8")
    (stored,) = [
        part.partition("</script>")[0] for part in text.split('id="known">')[1:]
    ]  # nothing in it ends the script
    assert json.loads(stored) == done.facts and done.facts["licence"] == "CC0 </script>"
    if done.parity is None:
        pytest.skip(f"none of {', '.join(html.BROWSERS)}")
    assert done.parity.psnr > 55 and (3, 3) in done.parity.sizes
    assert list(tmp_path.iterdir()) == [done.path]


def test_a_browser_that_cannot_run_it_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ends at once, and one that never answers."""
    (tmp_path / "hangs").write_text("#!/bin/sh\nsleep 60\n")
    (tmp_path / "hangs").chmod(0o755)
    monkeypatch.setattr(html, "BROWSERS", ("false", str(tmp_path / "hangs")))
    monkeypatch.setattr(html, "_FIRST", 0.5)
    assert export_bundled("clean", 2, "html", path=tmp_path / "a.html").parity is None


def test_a_page_that_fails_is_not_tried_for_nothing(
    browser: Any, page: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace('"op":"_FusedConv2D"', '"op":"Unheard"'))
    run = html.load(broken)
    assert run is not None
    with pytest.raises(OptionError, match=r"the page says: .*Unheard"):
        run(np.zeros((1, 4, 4, 3), np.float32))
