"""What is kept of a few images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srexp.data.sets import ImageSet
from srexp.degradations.downscale import Downscale
from srexp.evaluation import samples
from srexp.evaluation.samples import Extremes, Sample, keep, kept_samples
from srexp.evaluation.scoring import Case, ImageResult, Score, Task
from srexp.images.quantize import from_uint8, to_uint8
from srexp.protocol import Protocol

SCORE = Score(30.0, 0.9)


def make_task() -> Task:
    images = {"a": np.zeros((64, 64, 3), np.float32)}
    return Task(
        ImageSet("set", images),
        Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True),
        "rgb",
        Protocol(degrade="rgb", lr_8bit=True, compare="rgb", border=None),
    )


def seen(name: str, gain: float, size: tuple[int, int] = (20, 24)) -> tuple:
    """A result whose bicubic image errs at rows 3 to 6 and columns 5 to 8."""
    hr = np.full((*size, 3), 100, np.uint8)
    bicubic = hr.copy()
    bicubic[3:7, 5:9] = 200
    sr = from_uint8(np.full((*size, 3), 110, np.uint8))
    case = Case(name, hr, hr[::2, ::2], bicubic, SCORE)
    return ImageResult(name, Score(30.0 + gain, 0.95), SCORE), case, sr


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("n", [1, 3, 4, 5, 30])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_least_and_the_greatest_gains_are_kept_whatever_their_order(
    count: int, n: int, seed: int
) -> None:
    gains = np.random.default_rng(seed).normal(size=n)
    extremes = Extremes(make_task(), "net", count)
    for index, gain in enumerate(gains):
        extremes.see(*seen(str(index), gain))
    order = [str(i) for i in np.argsort(gains)]
    wanted = order if n <= count else order[: count // 2] + order[n - (count - count // 2) :]
    assert [sample.image for sample in extremes.samples] == wanted


def test_equal_gains_are_kept_too() -> None:
    extremes = Extremes(make_task(), "net", 4)
    for name in "abcdefg":
        extremes.see(*seen(name, 1.0))
    assert len({sample.image for sample in extremes.samples}) == 4


def test_none_are_kept_where_none_are_wanted_or_a_gain_is_infinite() -> None:
    none, some = Extremes(make_task(), "net", 0), Extremes(make_task(), "net", 4)
    for extremes in (none, some):
        extremes.see(*seen("a", float("inf")))
    assert none.samples == some.samples == []
    none.see(*seen("b", 1.0))
    assert none.samples == []


def test_the_square_is_where_bicubic_errs_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SIDE", 4)
    extremes = Extremes(make_task(), "net", 4)
    extremes.see(*seen("a", 1.0))
    (sample,) = extremes.samples
    assert sample.crop == (5, 3, 4, 4)  # left, top
    assert sample.size == (24, 20)
    assert (sample.bicubic == 200).all()
    assert (sample.hr == 100).all()
    assert (sample.sr == 110).all()
    assert sample.gain == pytest.approx(1.0)


def test_an_image_smaller_than_the_square_is_kept_as_far_as_it_goes() -> None:
    extremes = Extremes(make_task(), "net", 4)
    extremes.see(*seen("a", 1.0, size=(20, 30)))
    assert extremes.samples[0].sr.shape == (20, 20, 3)


def kept(name: str, level: int = 0, channels: int = 3) -> Sample:
    picture = np.random.default_rng(level).integers(0, 256, (8, 8, channels), np.uint8)
    return Sample(
        "set_x2/rgb", "abc", name, "net", Score(31.0, 0.95), SCORE, (1, 2, 8, 8), (30, 20),
        picture, picture // 2, picture // 3,
    )  # fmt: skip


def test_what_was_kept_is_read_back(tmp_path: Path) -> None:
    written = [kept("a", 1), kept("../deep/b.png", 2, channels=1), kept("x" * 300, 3), kept("a", 4)]
    keep(tmp_path, written)
    read = kept_samples(tmp_path)
    assert len(read) == 4
    for ours, theirs in zip(written, read, strict=True):
        for name, value in vars(ours).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(theirs, name))
            else:
                assert value == getattr(theirs, name)
    inside = {path.parent for path in tmp_path.rglob("*.png")}
    assert inside == {tmp_path / "samples" / "set_x2" / "rgb"}


def test_those_of_before_are_gone(tmp_path: Path) -> None:
    keep(tmp_path, [kept("a", 1), kept("b", 2)])
    keep(tmp_path, [kept("c", 3)])
    assert [sample.image for sample in kept_samples(tmp_path)] == ["c"]
    assert len(list(tmp_path.rglob("*.png"))) == 3
    keep(tmp_path, [])
    assert kept_samples(tmp_path) == []
    assert not list(tmp_path.iterdir())


def test_damage_costs_that_sample_alone(tmp_path: Path) -> None:
    keep(tmp_path, [kept("a", 1), kept("b", 2), kept("c", 3), kept("d", 4)])
    (tmp_path / "samples/set_x2/rgb/1_a_sr.png").write_bytes(b"\x89PNG")
    (tmp_path / "samples/set_x2/rgb/2_b_hr.png").unlink()
    index = tmp_path / "samples" / "samples.json"
    content = json.loads(index.read_text())
    del content[2]["method"]
    index.write_text(json.dumps(content))
    assert [sample.image for sample in kept_samples(tmp_path)] == ["d"]
    content[0] = 1
    content[1] |= {"score": ["high", 0.9]}
    content[2] |= {"method": "net", "crop": [1, 2]}
    index.write_text(json.dumps(content))
    assert [sample.image for sample in kept_samples(tmp_path)] == ["d"]
    for damaged in ("[{", '{"a": 1}', "1", "null", '["files"]'):
        index.write_text(damaged)
        assert kept_samples(tmp_path) == []


def test_further_metrics_come_back_too(tmp_path: Path) -> None:
    keep(tmp_path, [replace(kept("a"), score=Score(31.0, 0.95, {"mae": 0.5}))])
    assert kept_samples(tmp_path)[0].score.further == {"mae": 0.5}


def test_values_between_levels_are_rounded_as_for_scoring() -> None:
    result, case, sr = seen("a", 1.0)
    extremes = Extremes(make_task(), "net", 1)
    extremes.see(result, case, sr + 0.5 / 255)
    np.testing.assert_array_equal(
        extremes.samples[0].sr, to_uint8(sr + 0.5 / 255)[:20, : extremes.samples[0].crop[2]]
    )
