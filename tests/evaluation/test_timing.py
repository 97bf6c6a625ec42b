"""Milliseconds per megapixel, with a clock that is known."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from srexp.evaluation import timing
from srexp.evaluation.scoring import Case, Score
from srexp.evaluation.timing import Stopwatch, peak_memory


def _case(height, width):
    return Case("a", *(np.zeros((height, width, 1), np.float32),) * 3, Score(0.0, 0.0))


def test_medians_over_all_pixels(monkeypatch):
    clock = iter([0, 3, 10, 11, 20, 27, 100, 104, 110, 119, 120, 125])  # 3 1 7, then 4 9 5
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    seen = []

    def upscaler(lr, *, eight_bit=False):
        seen.append(eight_bit)
        return lr.repeat(2, 0).repeat(2, 1)

    watch = Stopwatch(upscaler, True, repeats=3)
    watch.time(_case(50, 100))  # 100x200 of output: 0.02 megapixels
    watch.time(_case(100, 200))  # 0.08
    found = watch.result("a device")
    assert found.ms_per_megapixel == pytest.approx((3 + 5) * 1000 / 0.1)
    assert (found.repeats, found.images, found.device) == (3, 2, "a device")
    assert seen == [True] * 6
    assert "8e+04 ms per megapixel of output (median of 3 after a warm-up, n = 2)" in str(found)
    assert "; on a device" in str(found)
    assert ", peak host memory of the process so far " in str(found)


def test_peak_memory_is_the_largest_and_this_process_own():
    """A child of ours starts at its own size, and keeps what it once had."""
    code = (
        "import numpy as np; from srexp.evaluation.timing import peak_memory as p; a = p();"
        "x = np.ones(2**25); b = p(); del x; print(a, b, p())"
    )
    held = np.ones(2**26)  # 512 MiB
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    before, during, after = map(int, done.stdout.split())
    assert 2**24 < before < held.nbytes
    assert during - before == pytest.approx(2**28, rel=0.05)
    assert after == pytest.approx(during, rel=0.01)  # the kernel counts in batches
    assert peak_memory() > held.nbytes
