"""Batches through tf.data are the sampler's own, in order, from any step on."""

from __future__ import annotations

import time

import numpy as np
import pytest

from srexp.data.patches import PatchSampler, TrainingPair
from srexp.data.pipeline import batches


@pytest.fixture
def sampler() -> PatchSampler:
    random = np.random.default_rng(0)
    hr = [random.random((18, 24, 3), np.float32), random.random((30, 12, 3), np.float32)]
    pairs = [TrainingPair(str(i), (image[::3, ::3].copy(),), image) for i, image in enumerate(hr)]
    return PatchSampler(pairs, scale=3, hr_patch_size=9, batch_size=4, augment=True, seed=5)


@pytest.mark.parametrize(("first", "last"), [(0, 12), (7, 12), (11, 12)])
def test_each_step_gets_its_own_patches_in_order(
    sampler: PatchSampler, first: int, last: int
) -> None:
    given = [(inputs.numpy(), hr.numpy()) for inputs, hr in batches(sampler, first, last)]
    assert len(given) == last - first
    for step, (inputs, hr) in enumerate(given, start=first):
        wanted_inputs, wanted_hr = sampler.batch(step)
        assert inputs.shape == (4, 3, 3, 3)
        assert hr.shape == (4, 9, 9, 3)
        np.testing.assert_array_equal(inputs, wanted_inputs)
        np.testing.assert_array_equal(hr, wanted_hr)
    assert len({hr.tobytes() for _, hr in given}) == len(given)


def test_order_holds_when_early_steps_are_slow(sampler: PatchSampler) -> None:
    class Uneven:
        def batch(self, step: int, part: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
            time.sleep(0.05 if step % 2 == 0 else 0)
            return sampler.batch(step)

        def segments(self, first: int, last: int) -> list[tuple[int, int]]:
            return [(first, last)]

    given = [hr.numpy() for _, hr in batches(Uneven(), 0, 6)]  # type: ignore[arg-type]
    for step, hr in enumerate(given):
        np.testing.assert_array_equal(hr, sampler.batch(step)[1])


def test_ending_early_does_not_wait(sampler: PatchSampler) -> None:
    """An iterator with autotuning on takes ten seconds to go."""
    start = time.perf_counter()
    iterator = batches(sampler, 0, 10**9)
    next(iterator)
    del iterator
    assert time.perf_counter() - start < 5


def test_shapes_are_known_to_the_compiled_step(sampler: PatchSampler) -> None:
    inputs, hr = next(batches(sampler, 0, 1))
    assert inputs.shape.is_fully_defined()
    assert hr.shape.is_fully_defined()
