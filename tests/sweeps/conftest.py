"""Jobs of a sweep, as data."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from srexp.sweeps.results import JobResult

Gain = Callable[[dict[str, str]], float | str]


def job(number: int, choices: dict[str, str], gain: float | str, **changes: object) -> JobResult:
    """A finished job with a gain, or one in the state that is given in its place."""
    measured = isinstance(gain, float)
    values = {
        "number": number,
        "name": " ".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in choices.items()),
        "choices": choices,
        "overrides": ["trainer.steps=7", *(f"{key}={value}" for key, value in choices.items())],
        "state": "finished" if measured else gain,
        "note": "new" if measured else f"why it {gain}",
        "run": f"2026-01-05_07-30-00_deconv-x2_{number:04x}",
        "gain": gain if measured else None,
        "psnr": 30 + gain if isinstance(gain, float) else None,
        "task": "photos_x2/rgb" if measured else "",
        "seconds": 61.4,
    }
    return JobResult(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def grid() -> Callable[..., list[JobResult]]:
    """`grid({"act": ["relu", "elu"]}, gain)`: every combination, in Hydra's order."""

    def make(keys: dict[str, list[str]], gain: Gain, **changes: object) -> list[JobResult]:
        def choices() -> Iterator[dict[str, str]]:
            for values in itertools.product(*keys.values()):
                yield dict(zip(keys, values, strict=True))

        return [job(n, c, gain(c), **changes) for n, c in enumerate(choices(), 1)]

    return make


@pytest.fixture
def one() -> Callable[..., JobResult]:
    """`one(1, {"act": "relu"}, 1.2)`: a job."""
    return job
