"""The HTTP interface of `srexp serve`, by another program's requests."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from srexp.images.resize import resize
from srexp.serving.jobs import Job, Jobs, Limits, Refused
from srexp.upscaling import bundled
from srexp.upscaling.files import Settings, enlarge_stream
from srexp.upscaling.method import Method
from srexp.upscaling.network import Network
from srexp.upscaling.sizes import Wanted

Start = Callable[..., str]


def picture(height: int = 12, width: int = 10, seed: int = 0, kind: str = "PNG", mode: str = "RGB",
            **options: Any) -> bytes:  # fmt: skip
    channels = {"RGB": 3, "RGBA": 4, "L": 1}[mode]
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.squeeze(), mode).save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as file:
        return np.asarray(file)


def upscale(server: str, content: bytes, **query: Any) -> requests.Response:
    return requests.post(f"{server}/api/upscale", data=content, params=query, timeout=120)


def finished(server: str, name: str) -> dict[str, Any]:
    for _ in range(600):
        told = requests.get(f"{server}/api/jobs/{name}", timeout=60).json()
        if told["state"] not in ("waiting", "running"):
            return told
        time.sleep(0.05)
    raise AssertionError(told)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("query", [{}, {"scale": 3}, {"width": 25}, {"scale": 4, "kind": "clean"}])
def test_it_gives_what_the_command_gives(server: str, mode: str, query: dict[str, Any]) -> None:
    content = picture(mode=mode)
    size = {"scale": query.get("scale", 2)} if "width" not in query else {"width": query["width"]}
    wanted = io.BytesIO()
    made = enlarge_stream(content, wanted, Settings(bundled.method("clean"), Wanted(**size)))
    answer = upscale(server, content, **query)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "image/png"
    np.testing.assert_array_equal(pixels(answer.content), pixels(wanted.getvalue()))
    assert answer.headers["X-Srexp-Size"] == "x".join(map(str, made.after))
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "read", "kind"),
    [({}, "JPEG", "PNG"), ({"format": "own"}, "JPEG", "JPEG"), ({}, "WEBP", "WEBP"),
     ({}, "TIFF", "TIFF"), ({"format": "webp", "quality": 80}, "PNG", "WEBP"),
     ({"format": "avif"}, "BMP", "AVIF"), ({"format": "own"}, "BMP", "BMP")],
)  # fmt: skip
def test_its_format(server: str, query: dict[str, Any], read: str, kind: str) -> None:
    answer = upscale(server, picture(kind=read), **query)
    with Image.open(io.BytesIO(answer.content)) as file:
        assert (file.format, file.size) == (kind, (20, 24))
    assert answer.headers["Content-Type"] == f"image/{kind.lower()}"


def test_a_job_is_watched_fetched_and_forgotten(server: str) -> None:
    content = picture(kind="JPEG", quality=95)
    begun = requests.post(f"{server}/api/jobs?format=own", data=content, timeout=60)
    assert begun.status_code == 202
    name = begun.json()["id"]
    told = finished(server, name)
    assert told["state"] == "done" and told["share"] == 1 and told["format"] == "JPEG"
    assert (told["before"], told["after"]) == ([10, 12], [20, 24])
    fetched = {
        part: requests.get(f"{server}/api/jobs/{name}/{part}", timeout=60)
        for part in ("result", "shown", "bicubic")
    }
    kinds = [answer.headers["Content-Type"] for answer in fetched.values()]
    assert kinds == ["image/jpeg", "image/png", "image/png"]
    assert len(fetched["result"].content) == told["bytes"]
    # What is shown is the network's, without losses; bicubic is ours, of the same size.
    np.testing.assert_array_equal(
        pixels(fetched["shown"].content), pixels(upscale(server, content).content)
    )
    lr = pixels(content) / np.float32(255)
    bicubic = np.clip(resize(lr, (24, 20), "bicubic") * 255, 0, 255)
    assert np.abs(pixels(fetched["bicubic"].content) - bicubic).max() <= 0.5001
    other = requests.get(f"{server}/api/jobs/{name}/other", timeout=60)
    assert other.status_code == 404 and "result, shown, bicubic" in other.json()["error"]
    assert requests.delete(f"{server}/api/jobs/{name}", timeout=60).status_code == 204
    for address in (name, f"{name}/result"):
        gone = requests.get(f"{server}/api/jobs/{address}", timeout=60)
        assert gone.status_code == 404 and "no such picture" in gone.json()["error"]


@pytest.mark.parametrize(
    ("query", "words"),
    [("scale=7", "scale=7: must be one of 2, 3, 4, 8"), ("scale=-1", "must be a whole number"),
     ("scale=2&width=9", "scale and width: one of them"), ("width=0", "from 1 to 100000"),
     ("kind=dirty", "kind=dirty: must be one of clean"), ("run=../../etc", "no finished run"),
     ("format=psd", "format=psd: must be one of own, png"), ("depth=3", "depth: not known"),
     ("quality=90", "needs format=jpeg"), ("ensemble=1", "must be true or false"),
     ("width=" + "9" * 5000, "must be a whole number")],
)  # fmt: skip
def test_what_cannot_be_had_is_one_line(server: str, query: str, words: str) -> None:
    for address in ("upscale", "jobs"):
        answer = requests.post(f"{server}/api/{address}?{query}", data=picture(), timeout=60)
        assert answer.status_code in (400, 404)
        assert words in answer.json()["error"] and "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [(b"", 400, "no body"), (b"no picture", 422, "not a picture"),
     (picture()[:60], 422, "picture"), (picture(kind="JPEG")[:150], 422, "picture")],
)  # fmt: skip
def test_what_is_no_picture_is_one_line(
    server: str, content: bytes, status: int, words: str
) -> None:
    answer = upscale(server, content)
    assert answer.status_code == status and words in answer.json()["error"]


def test_limits(start: Start) -> None:
    server = start(megabytes=0.001, megapixels=0.0005)
    answer = upscale(server, picture(40, 40))
    assert answer.status_code == 413 and "at most 0.001 MB" in answer.json()["error"]
    parts = (b"x" * 600 for _ in range(3))  # without a length, so told by what comes
    answer = requests.post(f"{server}/api/upscale", data=parts, timeout=60)
    assert answer.status_code == 413
    answer = upscale(server, picture(10, 13))
    assert answer.status_code == 413 and "10" in answer.json()["error"]
    assert "0.00052 megapixels: this server makes at most 0.0005" in answer.json()["error"]
    assert upscale(server, picture(10, 12)).status_code == 200


def slow(seconds: float, gate: threading.Event | None = None) -> Callable[[str], Method]:
    """A run whose network repeats pixels, and takes its time for each tile."""

    def forward(lr: np.ndarray) -> np.ndarray:
        if gate is not None:
            gate.wait(60)
        time.sleep(seconds)
        return lr.repeat(2, axis=1).repeat(2, axis=2)

    def method(name: str) -> Method:
        return Method(name, "", (2,), lambda scale: Network(2, 3, 1, 1, forward))

    return method


RUN = {"a_run": ("a run", 2)}


def test_work_that_takes_too_long_ends(start: Start) -> None:
    server = start(runs=lambda: RUN, of_run=slow(0.2), seconds=0.1)
    answer = upscale(server, picture(), run="a_run")
    assert answer.status_code == 422 and "longer than 0.1 seconds" in answer.json()["error"]


def test_the_queue_says_how_long_it_is_and_has_an_end(start: Start) -> None:
    gate = threading.Event()
    server = start(runs=lambda: RUN, of_run=slow(0, gate), waiting=2)
    jobs = f"{server}/api/jobs"

    def begin() -> requests.Response:
        return requests.post(jobs, data=picture(), params={"run": "a_run"}, timeout=60)

    first = begin().json()["id"]
    while requests.get(f"{jobs}/{first}", timeout=60).json()["state"] == "waiting":
        time.sleep(0.01)
    second, third = begin().json(), begin().json()
    assert (second["before_it"], third["before_it"]) == (0, 1)
    full = begin()
    assert full.status_code == 503 and "2 pictures wait already" in full.json()["error"]
    assert requests.get(f"{server}/api", timeout=60).json()["waiting"] == 2
    assert requests.get(f"{jobs}/{first}/result", timeout=60).status_code == 409
    requests.delete(f"{jobs}/{second['id']}", timeout=60)
    told = requests.get(f"{jobs}/{third['id']}", timeout=60).json()
    assert told["state"] == "waiting" and told["before_it"] == 0
    gate.set()
    assert finished(server, third["id"])["state"] == "done"
    assert finished(server, first)["state"] == "done"


def test_a_job_that_runs_is_stopped(start: Start) -> None:
    server = start(runs=lambda: RUN, of_run=slow(0.05))
    jobs = f"{server}/api/jobs"
    name = requests.post(jobs, data=picture(900, 900), params={"run": "a_run"}, timeout=60).json()
    while requests.get(f"{jobs}/{name['id']}", timeout=60).json()["state"] == "waiting":
        time.sleep(0.01)
    began = time.monotonic()
    requests.delete(f"{jobs}/{name['id']}", timeout=60)
    assert upscale(server, picture(), run="a_run").status_code == 200  # the worker is free again
    assert time.monotonic() - began < 10


def test_nobody_gets_anothers_picture(start: Start) -> None:
    server = start(workers=2, waiting=100)

    def one(number: int) -> bool:
        level = 4 * number
        flat = io.BytesIO()
        Image.new("RGB", (20 + number % 7, 16), (level, 255 - level, 60)).save(flat, "PNG")
        answer = upscale(server, flat.getvalue())
        made = pixels(answer.content).astype(int)
        assert made.shape == (32, 2 * (20 + number % 7), 3)
        inner = made[8:-8, 8:-8]  # the network feels the edges: up to 4 levels of 0 and 255
        return bool(np.abs(inner - [level, 255 - level, 60]).max() <= 1)

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(one, range(60)))


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 200), ({"Host": "evil.example"}, 403), ({"Host": "127.0.0.1.evil.example"}, 403),
     ({"Host": "pc.lan:80"}, 200), ({"Origin": "http://evil.example"}, 403),
     ({"Origin": "null"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403),
     ({"Sec-Fetch-Site": "same-site"}, 403), ({"Sec-Fetch-Site": "same-origin"}, 200),
     ({"Sec-Fetch-Site": "none"}, 200)],
)  # fmt: skip
def test_pages_of_other_sites_are_not_answered(
    start: Start, headers: dict[str, str], status: int
) -> None:
    server = start(hosts=["pc.lan"])
    for method, address in (("GET", "/"), ("POST", "/api/upscale")):
        answer = requests.request(
            method, server + address, headers=headers, data=picture(), timeout=60
        )
        assert answer.status_code == status, (method, answer.text)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    own = requests.get(server, headers={"Origin": server}, timeout=60)
    assert own.status_code == 200


def test_no_path_of_the_machine_is_reached(server: str) -> None:
    for path in ("/../pyproject.toml", "/page/page.js", "/%2e%2e/cli.py", "/page.html"):
        with requests.Session() as session:
            request = requests.Request("GET", server).prepare()
            request.url = server + path
            assert session.send(request, timeout=60).status_code == 404, path


def test_what_nobody_fetches_is_forgotten() -> None:
    jobs = Jobs(Limits(kept_seconds=0.2, kept_megabytes=100))
    settings = Settings(Method("", ""), Wanted(2))

    def done(**limits: Any) -> Job:
        job = Job(picture(), settings, lambda: Method("bicubic", ""))
        jobs.add(job)
        assert job.over.wait(30) and job.state == "done" and job.content == b""
        return job

    first = done()
    assert jobs.get(first.id) is first
    time.sleep(0.3)
    with pytest.raises(Refused, match="no such picture"):
        jobs.get(first.id)
    few = Jobs(Limits(kept_megabytes=1e-9))
    job = Job(picture(), settings, lambda: Method("bicubic", ""))
    few.add(job)
    assert job.over.wait(30)
    with pytest.raises(Refused):
        few.get(job.id)


def test_a_fault_in_one_picture_does_not_end_the_server() -> None:
    def method() -> Method:
        raise ZeroDivisionError("by nobody")

    jobs = Jobs(Limits())
    settings = Settings(Method("", ""), Wanted(2))
    broken = Job(picture(), settings, method)
    jobs.add(broken)
    assert broken.over.wait(30) and broken.state == "failed" and "by nobody" in broken.error
    sound = Job(picture(), settings, lambda: Method("bicubic", ""))
    jobs.add(sound)
    assert sound.over.wait(30) and sound.state == "done"


def test_nothing_is_written(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    server = start()
    for kind in ("PNG", "TIFF", "WEBP"):
        assert upscale(server, picture(kind=kind), format="own").status_code == 200
    assert not list(tmp_path.rglob("*"))


def test_the_description_says_what_there_is(server: str) -> None:
    told = requests.get(f"{server}/openapi.json", timeout=60).json()
    assert told["openapi"] == "3.1.0"
    assert set(told["paths"]) == {
        "/api", "/api/upscale", "/api/jobs", "/api/jobs/{id}", "/api/jobs/{id}/{name}",
    }  # fmt: skip
    parameters = {p["name"] for p in told["paths"]["/api/upscale"]["post"]["parameters"]}
    refused = requests.post(f"{server}/api/upscale?x=1", data=b"x", timeout=60).json()["error"]
    assert parameters == set(refused.removeprefix("x: not known; there are ").split(", "))
    about = requests.get(f"{server}/api", timeout=60).json()
    assert about["kinds"] == bundled.KINDS and about["limits"]["megapixels"] == 64
