"""Batches through tf.data are the sampler's own, in order, from any step on."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from srexp.data.patches import DrawnPair, PatchSampler, TrainingPair
from srexp.data.pipeline import Resident, Source, Streamed, calls, turned
from srexp.images.resize import Enlarged


def _sampler(hr: list[np.ndarray]) -> PatchSampler:
    pairs = [TrainingPair(str(i), (image[::3, ::3].copy(),), image) for i, image in enumerate(hr)]
    return PatchSampler(pairs, scale=3, hr_patch_size=9, batch_size=4, augment=True, seed=5)


SHAPES = ((18, 24, 3), (30, 12, 3))


@pytest.fixture
def sampler() -> PatchSampler:
    random = np.random.default_rng(0)
    return _sampler([random.random(shape, np.float32) for shape in SHAPES])


@pytest.fixture
def levels() -> PatchSampler:
    """Of 8-bit images."""
    random = np.random.default_rng(0)
    return _sampler([random.integers(0, 256, shape, np.uint8) for shape in SHAPES])


def given(
    sampler: PatchSampler, first: int, last: int, source: Source, per_call: int = 1
) -> list[tuple[np.ndarray, ...]]:
    """(input, hr) of each step."""
    found = []
    for call in calls(sampler, first, last, source, per_call):
        for step in range(call.steps):
            inputs, hr = call.decode(tuple(array[step] for array in call.elements))
            assert inputs.shape.is_fully_defined() and hr.shape.is_fully_defined()
            found.append((inputs.numpy(), hr.numpy()))
    return found


@pytest.mark.parametrize("per_call", [1, 4])
@pytest.mark.parametrize("kind", [Streamed, Resident])
@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize(("first", "last"), [(0, 12), (7, 12), (11, 12)])
def test_each_step_gets_its_own_patches_in_order(
    sampler: PatchSampler, levels: PatchSampler, first: int, last: int, kind: Any, per_call: int,
    eight_bit: bool,
) -> None:  # fmt: skip
    drawn = levels if eight_bit else sampler
    found = given(drawn, first, last, kind(drawn), per_call)
    assert len(found) == last - first
    for step, arrays in enumerate(found, start=first):
        for ours, wanted, shape in zip(
            arrays, drawn.batch(step), [(4, 3, 3, 3), (4, 9, 9, 3)], strict=True
        ):
            assert ours.shape == shape and ours.dtype == np.float32
            np.testing.assert_array_equal(ours, wanted)
    assert len({hr.tobytes() for _, hr in found}) == len(found)


@pytest.mark.parametrize("kind", [Streamed, Resident])
def test_several_inputs_of_several_sizes(kind: Any) -> None:
    random = np.random.default_rng(3)
    pairs = []
    for height, width in ((14, 20), (30, 12)):
        low = random.integers(0, 256, (height // 2, width // 2, 1), np.uint8)
        enlarged = Enlarged(low, 2, "bicubic")
        hr = random.random((height, width, 1), np.float32)
        pairs.append(TrainingPair(str(height), (low, enlarged), hr))
    drawn = PatchSampler(pairs, scale=2, hr_patch_size=8, batch_size=9, augment=True, seed=1)
    (call,) = calls(drawn, 3, 4, kind(drawn))
    (low, enlarged), hr = call.decode(tuple(array[0] for array in call.elements))
    for ours, wanted in zip((low, enlarged, hr), drawn.batch(3), strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_patches_that_grow_have_calls_of_their_own(sampler: PatchSampler) -> None:
    growing = PatchSampler(
        sampler.pairs, scale=3, hr_patch_size=9, batch_size=4, augment=True, seed=5, early=[(6, 5)]
    )
    made = list(calls(growing, 0, 12, Streamed(growing), 4))
    assert [call.steps for call in made] == [4, 1, 3, 4]
    decodes = [call.decode for call in made]
    assert decodes[0] is decodes[1] and decodes[2] is decodes[3] and decodes[1] is not decodes[2]
    for step, arrays in enumerate(given(growing, 0, 12, Resident(growing), 4)):
        for ours, wanted in zip(arrays, growing.batch(step), strict=True):
            np.testing.assert_array_equal(ours, wanted)


def test_turned_as_numpy_turns() -> None:
    square = np.arange(25).reshape(5, 5)
    row, column = turned(5, tf.range(8))
    for pose in range(8):
        wanted = np.rot90(square, pose % 4)
        wanted = wanted[:, ::-1] if pose >= 4 else wanted
        found = square[row[pose].numpy(), column[pose].numpy()].reshape(5, 5)
        np.testing.assert_array_equal(found, wanted)


def test_what_is_degraded_anew_is_not_resident(sampler: PatchSampler) -> None:
    assert Resident.fits(sampler)
    drawn = DrawnPair("a", np.zeros((18, 24, 3), np.float32), lambda hr, _: (hr[::3, ::3], hr), 0)
    assert not Resident.fits(
        PatchSampler([drawn], scale=3, hr_patch_size=9, batch_size=4, augment=True, seed=5)
    )


def test_order_holds_when_early_steps_are_slow(sampler: PatchSampler) -> None:
    class Uneven(Streamed):
        def load(self, step: int) -> tuple[np.ndarray, ...]:
            time.sleep(0.05 if step % 2 == 0 else 0)
            return super().load(step)

    for step, (_, hr) in enumerate(given(sampler, 0, 6, Uneven(sampler))):
        np.testing.assert_array_equal(hr, sampler.batch(step)[1])


def test_ending_early_does_not_wait(sampler: PatchSampler) -> None:
    """An iterator with autotuning on takes ten seconds to go."""
    start = time.perf_counter()
    iterator = calls(sampler, 0, 10**9, Streamed(sampler))
    next(iterator)
    del iterator
    assert time.perf_counter() - start < 5
