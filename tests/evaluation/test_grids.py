"""The sample grid: where it looks, and that it shows what is there."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.evaluation.grids import error_map, sample_grid, worst_window
from srexp.evaluation.scoring import Case, ImageResult, Score
from srexp.images.quantize import from_uint8, to_uint8


def _naive_worst(error, size):
    height, width = error.shape[:2]
    sums = {
        (top, left): error[top : top + size, left : left + size].sum()
        for top in range(height - size + 1)
        for left in range(width - size + 1)
    }
    return max(sums, key=sums.get)


@pytest.mark.parametrize("at", [(0, 0), (5, 9), (24, 0), (0, 32), (24, 32)])
def test_the_worst_window_is_where_an_error_was_planted(at):
    error = np.zeros((30, 38, 1), np.float32)
    error[at[0] : at[0] + 6, at[1] : at[1] + 6] = 0.5
    assert worst_window(error, 6) == at


@pytest.mark.parametrize(
    ("height", "width", "size"), [(9, 13, 1), (13, 9, 4), (8, 8, 8), (8, 11, 8)]
)
def test_the_worst_window_is_the_one_with_the_largest_sum(height, width, size):
    error = np.random.default_rng(size).random((height, width, 1)).astype(np.float32)
    assert worst_window(error, size) == _naive_worst(error.astype(np.float64), size)


def test_one_bright_pixel_counts_less_than_a_dull_area():
    error = np.zeros((20, 20, 1), np.float32)
    error[2, 2] = 1
    error[12:16, 12:16] = 0.1
    assert worst_window(error, 4) == (12, 12)


def test_the_error_map_is_the_mean_over_channels_over_full_scale():
    hr = np.zeros((1, 3, 3), np.float32)
    image = np.array([[[0.3, 0, 0], [-0.3, 0.3, 0.3], [3, 3, 3]]], np.float32)
    np.testing.assert_allclose(
        error_map(image, hr, full_scale=0.4), [[[0.25], [0.75], [1.0]]], atol=1e-6
    )


MAGENTA = (255, 0, 255)
PANEL = 256


def _scene(height=128, width=128, at=(70, 40)):
    """Noise with a magenta square of 4x4 pixels that bicubic shows as grey."""
    levels = np.random.default_rng(0).integers(110, 140, (height, width, 3), np.uint8)
    base = levels.copy()
    levels[at[0] : at[0] + 4, at[1] : at[1] + 4] = MAGENTA
    base[at[0] : at[0] + 4, at[1] : at[1] + 4] = 127
    hr, bicubic = from_uint8(levels), from_uint8(base)
    scores = Score(24.0, 0.75), Score(30.25, 0.9)
    case = Case("scene", levels, np.ascontiguousarray(levels[::2, ::2]), base, scores[0])
    return hr, bicubic, case, ImageResult("scene", scores[1], scores[0])


def _grid(sr, case, result, **changes):
    values = {"scale": 2, "method": "net", "title": "step 1", "panel": PANEL, "crop": 64}
    return sample_grid(result, case, sr, **(values | changes))


NAMES = ("HR", "bicubic", "net", "LR", "error of bicubic", "error of net")


def _cell(grid, name):
    """One of the six cells, three a row: the whole image, its enlarged detail, its caption."""
    row, column = divmod(NAMES.index(name), 3)
    title = 28
    height, width = (grid.shape[0] - title) // 2, (grid.shape[1] - 8) // 3
    top, left = title + row * height, 8 + column * width
    return grid[top : top + height, left : left + width]


def _detail(grid, name):
    """The enlarged detail of a cell; `_scene`'s images are as wide as high or the test says so."""
    cell = _cell(grid, name)
    return cell[-48 - PANEL : -48]


def _blocks(picture, colour):
    """Left and top of the pixels of one colour."""
    rows, columns = np.nonzero((picture == colour).all(axis=2))
    return columns, rows


def test_a_grid_has_two_rows_of_three_cells_and_is_about_as_high_as_wide():
    hr, _, case, result = _scene()
    grid = _grid(hr, case, result)
    assert grid.dtype == np.uint8
    height, width, channels = grid.shape
    assert channels == 3
    assert 3 * PANEL < width < 3 * (PANEL + 16)
    assert 4 * PANEL < height < 4 * (PANEL + 64)


def test_the_detail_of_hr_shows_the_planted_square_in_whole_pixels():
    hr, _, case, result = _scene()
    detail = _detail(_grid(hr, case, result), "HR")
    x, y = _blocks(detail, MAGENTA)
    # 256 / 64: each pixel is 4x4, so the square is 16x16.
    assert (len(x), np.ptp(x) + 1, np.ptp(y) + 1) == (256, 16, 16)
    # What lies around it in HR lies around it here.
    top, left = y.min() - 4 * 30, x.min() - 4 * 20
    shown = detail[top : top + 4 * 34, left : left + 4 * 24]
    np.testing.assert_array_equal(shown, to_uint8(hr[40:74, 20:44]).repeat(4, 0).repeat(4, 1))


def test_every_cell_shows_its_own_image():
    hr, _, case, result = _scene()
    grid = _grid(hr, case, result)
    x, y = _blocks(_detail(grid, "HR"), MAGENTA)
    colours = {
        "HR": MAGENTA,
        "bicubic": (127,) * 3,
        "net": MAGENTA,
        "LR": MAGENTA,
        "error of bicubic": (255,) * 3,
        "error of net": (0,) * 3,
    }
    for name, colour in colours.items():
        shown = _detail(grid, name)[y.min() : y.min() + 16, x.min() : x.min() + 16]
        np.testing.assert_array_equal(shown, np.broadcast_to(np.uint8(colour), (16, 16, 3)))


def test_a_perfect_result_has_a_black_map_and_bicubic_has_not():
    hr, bicubic, case, result = _scene()
    for sr, white in ((hr, 0), (bicubic, 256)):
        grid = _grid(sr, case, result)
        # 16 pixels of HR, each 4x4.
        assert len(_blocks(_detail(grid, "error of bicubic"), (255, 255, 255))[0]) == 256
        assert len(_blocks(_detail(grid, "error of net"), (255, 255, 255))[0]) == white


def test_the_frame_is_drawn_around_the_window_in_the_whole_image():
    # 16 bright error pixels at the bottom right: the first window that holds them all is
    # rows 64..127 and columns 64..127, the lower right quarter.
    hr, _, case, result = _scene(at=(124, 124))
    whole = _cell(_grid(hr, case, result), "HR")[: PANEL + 4].astype(int)
    reddish = (whole[..., 0] - whole[..., 1] > 100) & (whole[..., 0] - whole[..., 2] > 100)
    rows, columns = np.nonzero(reddish)
    assert np.ptp(columns) == pytest.approx(128, abs=2)
    assert np.ptp(rows) == pytest.approx(128, abs=2)


@pytest.mark.parametrize(("height", "width"), [(20, 50), (50, 20), (200, 90)])
def test_images_of_any_shape(height, width):
    hr, _, case, result = _scene(height, width, at=(10, 10))
    zoom = PANEL // min(64, height, width)
    x, y = _blocks(_detail(_grid(hr, case, result), "HR"), MAGENTA)
    assert np.ptp(x) + 1 == 4 * zoom
    assert np.ptp(y) + 1 == 4 * zoom


def test_grey_images_and_results_out_of_range():
    levels = np.random.default_rng(0).integers(100, 150, (64, 64, 1), np.uint8)
    case = Case("grey", levels, levels[::2, ::2], levels // 2, Score(20.0, 0.5))
    sr = np.where(np.arange(64)[:, None, None] < 32, -3.0, 3.0).astype(np.float32)
    sr = np.broadcast_to(sr, (64, 64, 1))
    grid = _grid(sr, case, ImageResult("grey", Score(5.0, 0.1), Score(20.0, 0.5)))
    column = _detail(grid, "net")[:230, 100, 0]
    assert set(column) == {0, 255}  # clipped, and not wrapped around
    assert np.all(np.diff(column.astype(int)) >= 0)


def test_an_infinite_psnr_can_be_drawn():
    hr, _, case, _ = _scene()
    result = ImageResult("scene", Score(np.inf, 1.0), Score(24.0, 0.75))
    finite = ImageResult("scene", Score(30.25, 1.0), Score(24.0, 0.75))
    drawn, other = (_grid(hr, case, r) for r in (result, finite))
    assert drawn.shape == other.shape
    assert (drawn != other).any()  # the caption says so
