"""Patches: alignment, poses, reach and repeatability."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from srexp.data.patches import PatchSampler, TrainingPair, variation
from srexp.images.quantize import pack

# Every pixel of these images carries its row, its column and its image's number, in levels.
SHAPES = [(16, 20), (12, 12)]


def _coordinates(height, width, number, step=1):
    rows, columns = np.mgrid[:height, :width]
    levels = np.stack([rows * step, columns * step, np.full_like(rows, number)], axis=2)
    return (levels / np.float32(255)).astype(np.float32)


def _pairs(scale, layout, shapes=SHAPES):
    pairs = []
    for number, (height, width) in enumerate(shapes):
        hr = _coordinates(height, width, number)
        # post: LR pixel (i, j) carries the HR pixel (i scale, j scale) at its top left.
        lr = _coordinates(height // scale, width // scale, number, scale)
        pairs.append(TrainingPair(str(number), (pack(lr if layout == "post" else hr),), pack(hr)))
    return pairs


def _sampler(scale=2, layout="post", size=8, batch=16, augment=True, seed=0, shapes=SHAPES):
    return PatchSampler(
        _pairs(scale, layout, shapes),
        scale=scale,
        hr_patch_size=size,
        batch_size=batch,
        augment=augment,
        seed=seed,
    )


def _levels(patches):
    return np.rint(patches * 255).astype(int)


def _pose(hr):
    """The steps in row and column along the patch's first and second axis."""
    down, right = hr[1, 0, :2] - hr[0, 0, :2], hr[0, 1, :2] - hr[0, 0, :2]
    return (*down, *right)


UPRIGHT = (1, 0, 0, 1)
ALL_POSES = {(a, 0, 0, b) for a in (1, -1) for b in (1, -1)} | {
    (0, a, b, 0) for a in (1, -1) for b in (1, -1)
}


@pytest.mark.parametrize("layout", ["post", "pre"])
@pytest.mark.parametrize(("scale", "size"), [(2, 8), (4, 8), (2, 2), (4, 12)])
def test_inputs_and_hr_are_aligned_in_every_pose(layout, scale, size):
    sampler = _sampler(scale, layout, size, batch=64)
    poses = set()
    for step in range(4):
        inputs, hr = (_levels(x) for x in sampler.batch(step))
        assert hr.shape == (64, size, size, 3)
        if layout == "pre":
            np.testing.assert_array_equal(inputs, hr)
        else:
            side = size // scale
            # The HR pixels under each LR pixel; whatever the pose, the least row and the least
            # column among them are those that the LR pixel carries.
            under = hr.reshape(64, side, scale, side, scale, 3).min(axis=(2, 4))
            np.testing.assert_array_equal(inputs, under)
        poses |= {_pose(patch) for patch in hr}
    assert poses == ALL_POSES


@pytest.mark.parametrize("scale", [2, 4])
def test_patches_are_whole_squares_of_one_image_on_the_lr_grid(scale):
    _, hr = _sampler(scale, "pre", 8, batch=128).batch(0)
    for patch in _levels(hr):
        (number,) = set(patch[..., 2].ravel())
        for axis in (0, 1):
            values = np.unique(patch[..., axis])
            assert values[0] % scale == 0
            np.testing.assert_array_equal(values, np.arange(values[0], values[0] + 8))
            assert values[-1] < SHAPES[number][axis]


@pytest.mark.parametrize("layout", ["post", "pre"])
def test_every_position_is_reached_and_none_outside(layout):
    # LR grids of 8 x 10 and 6 x 6 pixels, patches of 4: 5 * 7 + 3 * 3 positions.
    sampler = _sampler(2, layout, 8, batch=1000)
    expected = {(0, 2 * r, 2 * c) for r in range(5) for c in range(7)}
    expected |= {(1, 2 * r, 2 * c) for r in range(3) for c in range(3)}
    assert sampler.patch_count == len(expected) == 44
    seen = Counter()
    for step in range(4):
        hr = _levels(sampler.batch(step)[1])
        seen.update((p[0, 0, 2], p[..., 0].min(), p[..., 1].min()) for p in hr)
    assert set(seen) == expected
    # 4000 draws, 91 expected for each, standard deviation 9.4: five of them either way.
    assert 43 < min(seen.values()) < max(seen.values()) < 139


def test_every_pose_is_as_likely():
    hr = _levels(_sampler(batch=4000).batch(0)[1])
    counts = Counter(_pose(patch) for patch in hr)
    assert set(counts) == ALL_POSES
    assert 395 < min(counts.values()) < max(counts.values()) < 605  # 500, five times 21 either way


@pytest.mark.parametrize("layout", ["post", "pre"])
def test_without_augmentation_patches_stay_upright(layout):
    inputs, hr = _sampler(layout=layout, augment=False, batch=200).batch(0)
    assert {_pose(patch) for patch in _levels(hr)} == {UPRIGHT}
    np.testing.assert_array_equal(inputs, hr if layout == "pre" else hr[:, ::2, ::2])


def test_a_patch_as_large_as_the_image_is_the_image():
    sampler = _sampler(2, "post", 12, augment=False, shapes=[(12, 12)])
    assert sampler.patch_count == 1
    inputs, hr = sampler.batch(5)
    np.testing.assert_array_equal(hr, np.stack([_coordinates(12, 12, 0)] * 16))
    np.testing.assert_array_equal(inputs, np.stack([_coordinates(6, 6, 0, 2)] * 16))


def test_a_batch_is_a_function_of_seed_and_step():
    first, again = _sampler(), _sampler()
    again.batch(0)
    again.batch(3)  # what was drawn before does not matter
    for a, b in zip(first.batch(7), again.batch(7), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.float32


def test_other_steps_and_seeds_give_other_batches():
    batches = [
        _sampler(seed=seed).batch(step)[1] for seed in (0, 1, 2**32 - 1) for step in range(4)
    ]
    assert len({batch.tobytes() for batch in batches}) == len(batches)


def test_seed_and_step_are_not_interchangeable():
    assert not np.array_equal(_sampler(seed=1).batch(2)[1], _sampler(seed=2).batch(1)[1])
    assert not np.array_equal(_sampler(seed=0).batch(3)[1], _sampler(seed=3).batch(0)[1])


def test_packed_pairs_give_what_was_packed():
    hr = _coordinates(8, 8, 0)
    floats = hr[::2, ::2] + np.float32(0.0005)
    pair = TrainingPair("a", (pack(floats),), pack(hr))
    assert (pair.inputs[0].dtype, pair.hr.dtype) == (np.float32, np.uint8)
    sampler = PatchSampler([pair], scale=2, hr_patch_size=8, batch_size=1, augment=False, seed=0)
    inputs, out = sampler.batch(0)
    np.testing.assert_array_equal(inputs[0], floats)
    np.testing.assert_array_equal(out[0], hr)


def test_patches_can_be_changed_without_changing_the_images():
    pair = TrainingPair(
        "a", (_coordinates(4, 4, 0, 2) + np.float32(0.0005),), pack(_coordinates(8, 8, 0))
    )
    sampler = PatchSampler([pair], scale=2, hr_patch_size=8, batch_size=2, augment=True, seed=0)
    inputs, hr = sampler.batch(0)
    expected = inputs.copy(), hr.copy()
    inputs[:], hr[:] = 0, 0
    for got, before in zip(sampler.batch(0), expected, strict=True):
        np.testing.assert_array_equal(got, before)


def test_patches_grow_where_the_stages_end():
    """What a stage draws is what a sampler of that size draws."""
    early = [(4, 3), (6, 5)]
    growing = PatchSampler(
        _pairs(2, "post"), scale=2, hr_patch_size=8, batch_size=5, augment=True, seed=3, early=early
    )
    sizes = [4, 4, 4, 6, 6, 8, 8]
    for step, size in enumerate(sizes):
        alone = _sampler(size=size, batch=5, seed=3)
        for ours, theirs in zip(growing.batch(step), alone.batch(step), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert list(growing.segments(0, 7)) == [(0, 3), (3, 5), (5, 7)]
    assert list(growing.segments(3, 5)) == [(3, 5)]
    assert list(growing.segments(4, 9)) == [(4, 5), (5, 9)]
    assert growing.patch_count == 44


def test_flatness_is_the_larger_of_the_two_directions():
    columns = np.broadcast_to(np.array([0.2, 0.4, 0.2, 0.4])[None, :, None], (6, 4, 3))
    assert variation(columns) == pytest.approx(0.1)  # along a row; down a column it is 0
    assert variation(columns.transpose(1, 0, 2)) == pytest.approx(0.1)
    assert variation(np.full((4, 4, 1), 0.7)) == pytest.approx(0, abs=1e-12)
    assert variation(np.indices((4, 4)).sum(0)[..., None] % 2) == 0.5  # the most there is


def _half_flat(batch, **options):
    """An image whose left half is grey, and what is drawn of it."""
    image = np.random.default_rng(0).random((40, 80, 1)).astype(np.float32)
    image[:, :40] = 0.5
    pairs = [TrainingPair("half", (pack(image[::2, ::2]),), pack(image))]
    return PatchSampler(
        pairs, scale=2, hr_patch_size=8, batch_size=batch, augment=False, seed=0, **options
    )


def test_flat_patches_are_drawn_again():
    _, any_patch = _half_flat(300).batch(0)
    _, textured = _half_flat(300, flatness=0.15).batch(0)
    flat = np.array([variation(patch) < 0.15 for patch in any_patch])
    assert 0.3 < flat.mean() < 0.6  # of 37 columns 17 are wholly in the left half
    assert all(variation(patch) >= 0.15 for patch in textured)
    # What was not flat stays where it was; what was, is elsewhere.
    np.testing.assert_array_equal(textured[~flat], any_patch[~flat])
    assert len(np.unique(textured[flat].reshape(flat.sum(), -1), axis=0)) > 20


def test_where_all_is_flat_the_least_flat_is_taken():
    """And a part of a batch is what the whole has there."""
    sampler = _half_flat(32, flatness=0.5)
    whole = sampler.batch(7)
    assert all(variation(patch) > 0.2 for patch in whole[1])
    for ours, all_of_it in zip(sampler.batch(7, slice(8, 16)), whole, strict=True):
        np.testing.assert_array_equal(ours, all_of_it[8:16])
