"""Damaged and invented picture files: each is enlarged or refused in one line, and nothing else."""

from __future__ import annotations

import io
import resource
from collections import Counter

import pytest
from PIL import Image
from tests_damaged import COUNT, pictures

from srexp.upscaling.files import NotDone, Settings, enlarge_stream
from srexp.upscaling.method import Method
from srexp.upscaling.sizes import Wanted


@pytest.mark.slow
def test_each_is_enlarged_or_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SREXP_MAX_MEGAPIXELS", "1")  # so that a changed size costs no minutes
    settings = Settings(Method("nearest", "", interpolation="nearest"), Wanted(2))
    ended: Counter[str] = Counter()
    lines: set[str] = set()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number, content in enumerate(pictures()):
        file = io.BytesIO()
        try:
            enlarge_stream(content, file, settings)
        except NotDone as refused:
            lines.add(str(refused))
            ended["refused"] += 1
            continue
        except Exception as error:
            raise AssertionError(f"{number}: {type(error).__name__}: {error}") from error
        with Image.open(io.BytesIO(file.getvalue())) as made:
            made.load()
        ended["enlarged"] += 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(dict(ended), f"{grown:.0f} MiB more at the peak")
    assert not [line for line in lines if "\n" in line]
    assert ended.total() == COUNT
    assert min(ended.values()) > COUNT / 20, ended
    assert grown < 600
