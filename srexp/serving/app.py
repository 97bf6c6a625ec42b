"""The HTTP interface, and the page that uses it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from srexp import __version__
from srexp.images.io import ImageFileError
from srexp.pages import enlarging
from srexp.pictures import reading, writing
from srexp.serving.jobs import Job, Jobs, Limits, Refused
from srexp.serving.openapi import description, parameters
from srexp.upscaling import bundled
from srexp.upscaling.files import Settings
from srexp.upscaling.method import Method
from srexp.upscaling.sizes import Wanted

_PAGE = Path(__file__).parent / "page"
_SCALES = (2, 3, 4, 8)
# A page of another site can do nothing here, and this one loads nothing from elsewhere.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass
class Networks:
    """By what this server enlarges: the bundled networks, and finished runs.

    Attributes:
        runs: Lists them now: id -> title and scale.
        of_run: Makes the method of one of these ids.
    """

    runs: Callable[[], Mapping[str, tuple[str, int]]]
    of_run: Callable[[str], Method]
    # Interpreters cannot be shared by threads.
    _here: threading.local = field(default_factory=threading.local)

    def method(self, kind: str | None, run: str | None, *, ensemble: bool) -> Method:
        """Called in the thread that enlarges."""
        known: dict[str, Method] = self._here.__dict__
        key = f"run {run}" if run else f"kind {kind}"
        if key not in known:
            known[key] = self.of_run(run) if run else bundled.method(kind or bundled.USUAL)
        method = known[key]
        method.ensemble = ensemble
        return method


class Guard:
    """Answers requests from its own page, and from programs; not from pages of other sites."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        """Args:
        app: What answers.
        hosts: Names that this server is called by, without ports; `*` for any.
        """
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        fault = self._fault(headers)

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                sent = {name.lower() for name, _ in message["headers"]}
                message["headers"] += [
                    (name.encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.lower().encode() not in sent
                ]
            await send(message)

        if fault is None:
            await self._app(scope, receive, with_headers)
        else:
            await _error(Refused(403, fault))(scope, receive, with_headers)

    def _fault(self, headers: Mapping[str, str]) -> str | None:
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if "*" not in self._hosts and name not in self._hosts:
            return f"Host {host!r}: not a name of this server; srexp serve --allow-host adds one"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"Origin {origin!r}: pages of other sites are not answered"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "pages of other sites are not answered"
        return None


def application(
    networks: Networks, limits: Limits, *, workers: int = 1, hosts: frozenset[str]
) -> ASGIApp:
    """The server.

    Args:
        networks: What enlarges.
        limits: What is taken on.
        workers: Pictures at a time.
        hosts: As of `Guard`.
    """
    api = _Api(networks, limits, Jobs(limits, workers))
    routes = [
        Route("/", partial(_content, enlarging.render(_PAGE, "page.html.jinja"), "text/html")),
        *(
            Route(f"/{file.name}", partial(_content, file.read_text(encoding="utf-8"), kind))
            for file, kind in (
                (enlarging.FOLDER / "enlarging.css", "text/css"),
                (enlarging.FOLDER / "viewer.js", "text/javascript"),
                (_PAGE / "page.js", "text/javascript"),
            )
        ),
        Route("/openapi.json", _openapi),
        Route("/api", api.about),
        Route("/api/upscale", _answered(api.upscale), methods=["POST"]),
        Route("/api/jobs", _answered(api.begin), methods=["POST"]),
        Route("/api/jobs/{id}", _answered(api.job), methods=["GET", "DELETE"]),
        Route("/api/jobs/{id}/{name}", _answered(api.result)),
    ]
    return Guard(Starlette(routes=routes), hosts)


def _error(refused: Refused) -> Response:
    return JSONResponse({"error": str(refused)}, refused.status)


Endpoint = Callable[[Request], Awaitable[Response]]


def _answered(endpoint: Endpoint) -> Endpoint:
    """With refusals as JSON."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            return _error(refused)
        except ClientDisconnect:
            return Response(status_code=400)

    return answer


async def _content(content: str, kind: str, request: Request) -> Response:
    return Response(content, media_type=kind)


async def _openapi(request: Request) -> Response:
    return JSONResponse(description())


class _Api:
    def __init__(self, networks: Networks, limits: Limits, jobs: Jobs) -> None:
        self._networks, self._limits, self._jobs = networks, limits, jobs

    async def about(self, request: Request) -> Response:
        """What there is."""
        runs = await asyncio.to_thread(self._networks.runs)
        return JSONResponse(
            {
                "version": __version__,
                "kinds": bundled.KINDS,
                "scales": list(_SCALES),
                "formats": list(writing.FORMATS),
                "runs": [
                    {"id": name, "title": title, "scale": scale}
                    for name, (title, scale) in runs.items()
                ],
                "limits": {
                    "megabytes": self._limits.megabytes,
                    "megapixels": self._limits.megapixels,
                    "seconds": self._limits.seconds,
                },
                "waiting": len(self._jobs),
            }
        )

    async def begin(self, request: Request) -> Response:
        """Put a picture into the queue."""
        job = await self._taken(request, views=True)
        self._jobs.add(job)
        return JSONResponse(job.told(self._jobs.place(job)), 202)

    async def job(self, request: Request) -> Response:
        """How far it is; or stop and forget it."""
        job = self._jobs.get(request.path_params["id"])
        if request.method == "DELETE":
            self._jobs.remove(job)
            return Response(status_code=204)
        return JSONResponse(job.told(self._jobs.place(job)))

    async def result(self, request: Request) -> Response:
        """A picture that came of it."""
        job = self._jobs.get(request.path_params["id"])
        if job.state != "done":
            raise Refused(409, f"the picture is {job.state}")
        name = request.path_params["name"]
        if name not in job.results:
            raise Refused(404, f"{name}: must be one of {', '.join(job.results)}")
        kind, content = job.results[name]
        return Response(content, media_type=kind.media_type)

    async def upscale(self, request: Request) -> Response:
        """A picture in, a larger one out."""
        job = await self._taken(request, views=False)
        self._jobs.add(job)
        try:
            while not job.over.is_set():
                if await request.is_disconnected():
                    return Response(status_code=499)
                await asyncio.sleep(0.02)
            if job.state != "done":
                raise Refused(422, job.error or f"the picture is {job.state}")
            kind, content = job.results["result"]
            made = job.made
        finally:
            self._jobs.remove(job)
        assert made is not None
        sizes = {
            "X-Srexp-Size": "x".join(map(str, made.after)),
            "X-Srexp-Seconds": f"{job.seconds:.3f}",
        }
        return Response(content, media_type=kind.media_type, headers=sizes)

    async def _taken(self, request: Request, *, views: bool) -> Job:
        # Listing them opens every run's folder.
        named = "run" in request.query_params
        runs = await asyncio.to_thread(self._networks.runs) if named else {}
        asked = _Asked(request.query_params, runs)
        content = await self._body(request)
        await asyncio.to_thread(self._check, content, asked)
        method = partial(self._networks.method, asked.kind, asked.run, ensemble=asked.ensemble)
        settings = Settings(
            Method("", ""), asked.wanted, format=asked.format, quality=asked.quality,
            strip=asked.strip, version=__version__,
        )  # fmt: skip
        return Job(content, settings, method, own=asked.own, views=views)

    async def _body(self, request: Request) -> bytes:
        most = int(self._limits.megabytes * 1e6)
        fault = Refused(413, f"a picture may have at most {self._limits.megabytes:g} MB")
        with suppress(ValueError):
            if int(request.headers.get("content-length", 0)) > most:
                raise fault
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > most:
                raise fault
        if not content:
            raise Refused(400, "the request has no body; it must be a picture file")
        return bytes(content)

    def _check(self, content: bytes, asked: _Asked) -> None:
        """Raises Refused: it is no picture, or becomes too large."""
        try:
            with reading.opened(content, "the picture") as picture:
                before, count = (picture.width, picture.height), picture.count
        except (ImageFileError, OSError) as error:
            raise Refused(422, str(error)) from None
        width, height = asked.wanted.of(*before)
        megapixels = width * height * count / 1e6
        most = self._limits.megapixels
        if megapixels > most or before[0] * before[1] * count / 1e6 > most:
            frames = f" in {count} frames" if count > 1 else ""
            raise Refused(
                413,
                f"from {before[0]}x{before[1]} to {width}x{height}{frames}, {megapixels:.3g} "
                f"megapixels: this server makes at most {most:g}",
            )


class _Asked:
    """What the address of a request asks for."""

    def __init__(self, query: Mapping[str, str], runs: Mapping[str, tuple[str, int]]) -> None:
        """Raises Refused: it cannot be had."""
        known = {parameter["name"] for parameter in parameters()}
        if other := sorted(set(query) - known):
            raise Refused(400, f"{other[0]}: not known; there are {', '.join(sorted(known))}")
        self.run = query.get("run")
        self.kind = query.get("kind")
        if self.run is not None and self.run not in runs:
            raise Refused(404, f"run={self.run}: no finished run of that id; GET api lists them")
        if self.run is not None and self.kind is not None:
            raise Refused(400, "kind and run: one of the two")
        if self.kind is not None and self.kind not in bundled.KINDS:
            raise Refused(400, f"kind={self.kind}: must be one of {', '.join(bundled.KINDS)}")
        sizes = [key for key in ("scale", "width", "height") if key in query]
        if len(sizes) > 1:
            raise Refused(400, f"{' and '.join(sizes)}: one of them")
        width, height = (_number(query, key, 1, 100_000) for key in ("width", "height"))
        usual = runs[self.run][1] if self.run is not None else 2
        scale = _number(query, "scale", 1, 8)
        if scale is not None and scale not in _SCALES:
            raise Refused(400, f"scale={scale}: must be one of {', '.join(map(str, _SCALES))}")
        self.wanted = Wanted(None if width or height else scale or usual, width, height)
        self.own = query.get("format") == "own"
        self.format: writing.Format | None = None
        if (name := query.get("format")) is not None and not self.own:
            if name not in writing.FORMATS:
                names = ", ".join(("own", *writing.FORMATS))
                raise Refused(400, f"format={name}: must be one of {names}")
            self.format = writing.FORMATS[name]
        self.quality = _number(query, "quality", 1, 100)
        if self.quality is not None and (self.format is None or self.format.quality is None):
            raise Refused(400, f"quality={self.quality}: needs format=jpeg, webp or avif")
        self.ensemble, self.strip = (_yes(query, key) for key in ("ensemble", "strip"))


def _number(query: Mapping[str, str], key: str, low: int, high: int) -> int | None:
    text = query.get(key)
    if text is None:
        return None
    whole = text.isascii() and text.isdigit() and len(text) < 16
    if not whole or not low <= int(text) <= high:
        raise Refused(400, f"{key}={text}: must be a whole number from {low} to {high}")
    return int(text)


def _yes(query: Mapping[str, str], key: str) -> bool:
    text = query.get(key, "false")
    if text not in ("true", "false"):
        raise Refused(400, f"{key}={text}: must be true or false")
    return text == "true"
