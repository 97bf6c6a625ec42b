"""The HTML file: writing it, saying in it what it is, and running it in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.options import OptionError
from srexp.pages import enlarging

if TYPE_CHECKING:
    import keras

_HERE = Path(__file__).parent
_LIBRARIES = (
    "tf-core.es2017.min.js",
    "tf-converter.es2017.min.js",
    "tf-backend-wasm.es2017.min.js",
)
_WASM = "tfjs-backend-wasm-simd.wasm"
# Of these the first one that runs it tries the file.
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
    "microsoft-edge", "msedge", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)  # fmt: skip
# To start and load the network, and for a picture.
_FIRST, _SECONDS = 60.0, 180.0
_KNOWN = '<script type="application/json" id="known">'
_NOTHING = "{}</script>"


def write(network: keras.Model, path: Path, weights: str) -> None:
    """The page with a network, of which it does not yet say what it is (`describe`)."""
    from markupsafe import Markup

    from srexp.upscaling.browser.graph import graph_of

    text = {file.name: file.read_text(encoding="utf-8") for file in _HERE.glob("*.js")}
    script = (enlarging.FOLDER / "viewer.js").read_text(encoding="utf-8") + text["page.js"]
    page = enlarging.render(
        _HERE,
        "page.html.jinja",
        digest=_digest(script),
        css=Markup((enlarging.FOLDER / "enlarging.css").read_text(encoding="utf-8")),
        tfjs=Markup(
            "\n".join((_HERE / "tfjs" / name).read_text(encoding="utf-8") for name in _LIBRARIES)
        ),
        worker=Markup(text["worker.js"]),
        wasm=base64.b64encode((_HERE / "tfjs" / _WASM).read_bytes()).decode(),
        model=Markup(_in_script(graph_of(network, weights).as_json())),
        known=Markup(_KNOWN + _NOTHING),
        script=Markup(script),
    )
    path.write_text(page, encoding="utf-8")


def describe(path: Path, facts: str) -> None:
    """Put facts, as JSON, where the page reads them."""
    page = path.read_text(encoding="utf-8")
    known = _KNOWN + _in_script(facts) + "</script>"
    path.write_text(page.replace(_KNOWN + _NOTHING, known), encoding="utf-8")


def load(path: Path) -> Callable[[np.ndarray], np.ndarray] | None:
    """What a browser makes of the page's network, one browser for each LR.

    Returns:
        LR -> SR; None where no browser runs the page. There may be one that cannot: without a
        sandbox, or not allowed to read the file.

    Raises:
        OptionError: The page fails in it, or, later, does not answer.
    """
    page = path.read_text(encoding="utf-8")
    for browser in filter(None, map(shutil.which, BROWSERS)):
        if _answer(browser, page, {"lr": None}, _FIRST) is None:
            continue

        def forward(lr: np.ndarray, browser: str = browser) -> np.ndarray:
            _, height, width, channels = lr.shape
            content = base64.b64encode(lr.astype("<f4").tobytes()).decode()
            given = {"lr": content, "height": height, "width": width, "channels": channels}
            body = _answer(browser, page, given, _SECONDS)
            if body is None:
                raise OptionError(f"--format html: {browser} has not answered in {_SECONDS:g} s")
            sr = np.frombuffer(body, "<f4")
            scale = round((sr.size / lr.size) ** 0.5)
            return sr.reshape(1, height * scale, width * scale, channels)

        return forward
    return None


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _in_script(text: str) -> str:
    """JSON that cannot end the script element that it stands in."""
    return text.replace("</", "<\\/")


class _Answers(BaseHTTPRequestHandler):
    """Takes the one thing that the page sends when it is tried."""

    def do_POST(self) -> None:
        self.server.body = self.rfile.read(int(self.headers["Content-Length"]))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="srexp_", ignore_cleanup_errors=True)


def _answer(browser: str, page: str, given: dict[str, Any], seconds: float) -> bytes | None:
    """The bytes that the page's network gives for an LR; None where nothing comes.

    The page may then send its result to this process, and to nothing else.
    """
    with HTTPServer(("127.0.0.1", 0), _Answers) as server, _folder() as folder:
        address = f"http://127.0.0.1:{server.server_port}"
        check = json.dumps({**given, "address": address})
        tried = page.replace("connect-src blob:", f"connect-src blob: {address}").replace(
            _KNOWN, f'<script type="application/json" id="check">{check}</script>{_KNOWN}'
        )
        file = Path(folder, "page.html")
        file.write_text(tried, encoding="utf-8")
        arguments = [
            browser, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            f"--user-data-dir={folder}/profile",
            *(["--no-sandbox"] if sys.platform == "linux" and os.geteuid() == 0 else []),
            file.as_uri(),
        ]  # fmt: skip
        nothing, until = subprocess.DEVNULL, time.monotonic() + seconds
        body: bytes | None = None
        server.timeout = 0.2
        with subprocess.Popen(
            arguments, stdout=nothing, stderr=nothing, start_new_session=True
        ) as process:
            try:
                while body is None and process.poll() is None and time.monotonic() < until:
                    server.handle_request()
                    body = getattr(server, "body", None)
            finally:
                # With all its processes, which otherwise still write into the folder.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if body is not None and body.startswith(b"error:"):
        raise OptionError(f"--format html: the page says: {body[6:].decode(errors='replace')}")
    return body
