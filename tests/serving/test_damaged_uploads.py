"""Damaged and invented pictures as uploads: each has its answer, and the server goes on."""

from __future__ import annotations

import io
import os
import resource
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from PIL import Image
from tests_damaged import COUNT, pictures

# All of them take some minutes: SREXP_TEST_UPLOADS=10000.
_TAKEN = int(os.environ.get("SREXP_TEST_UPLOADS", "2500"))


@pytest.mark.slow
def test_each_is_answered(start: Callable[..., str]) -> None:
    """By the bundled network, 24 at a time."""
    server = start(megapixels=1, waiting=32)
    with requests.Session() as session:
        session.post(f"{server}/api/upscale", data=next(pictures()), timeout=120)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def answer(content: bytes) -> str:
        got = requests.post(f"{server}/api/upscale", data=content, timeout=120)
        if got.status_code == 200:
            with Image.open(io.BytesIO(got.content)) as made:
                made.load()
            return "enlarged"
        assert got.status_code in (400, 413, 422), (got.status_code, got.text)
        (line,) = got.json().values()
        assert line and "\n" not in line, got.text
        return "refused"

    uploads = [content for n, content in enumerate(pictures()) if n % (COUNT // _TAKEN) == 0]
    with ThreadPoolExecutor(24) as pool:
        ended = Counter(pool.map(answer, uploads))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(dict(ended), f"{grown:.0f} MiB more at the peak")
    assert ended.total() == len(uploads) and min(ended.values()) > _TAKEN / 20
    assert grown < 600
    assert requests.get(f"{server}/api", timeout=60).json()["waiting"] == 0
