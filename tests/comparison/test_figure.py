"""The figure of a paper."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.comparison.figure import Shown, automatic_crop, paper_figure
from srexp.images.quantize import from_uint8

MAGENTA, RED = (255, 0, 255), (230, 40, 40)
SIDE, CELL = 64, 384  # of a crop; of a cell in the figure


def grey(height: int = 96, width: int = 128, level: int = 120) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-10, 10, (height, width, 1))
    return from_uint8(np.repeat(level + noise, 3, axis=2).astype(np.uint8))


def wrong_at(hr: np.ndarray, *places: tuple[int, int], by: float = 0.4) -> np.ndarray:
    image = hr.copy()
    for row, column in places:
        image[row : row + 16, column : column + 16] += by
    return image


def shown(name: str, image: np.ndarray, psnr: float = 30.0) -> Shown:
    return Shown(name, image, psnr, 0.9)


def test_of_one_method_the_crop_is_where_bicubic_errs_most() -> None:
    hr = grey()
    bicubic, method = wrong_at(hr, (10, 20)), wrong_at(hr, (70, 100))
    crop = automatic_crop(hr, [shown("bicubic", bicubic), shown("a", method)], side=16)
    assert crop == (20, 10, 16, 16)  # left, top


def test_of_several_it_is_where_their_errors_are_farthest_apart() -> None:
    hr = grey()
    # Both are wrong at one place, the one alone at another; bicubic is wrong at a third.
    one = wrong_at(hr, (10, 20), (70, 100))
    other = wrong_at(hr, (10, 20))
    images = [shown("bicubic", wrong_at(hr, (40, 40))), shown("a", one), shown("b", other)]
    assert automatic_crop(hr, images, side=16) == (100, 70, 16, 16)
    # An error of the other sign is no difference.
    mirrored = wrong_at(hr, (10, 20), (70, 100), by=-0.4)
    images = [images[0], shown("a", one), shown("b", mirrored), shown("c", one)]
    assert automatic_crop(hr, images, side=16) == (40, 40, 16, 16)


def test_methods_that_agree_leave_it_to_bicubic() -> None:
    hr = grey()
    images = [shown("bicubic", wrong_at(hr, (40, 40))), shown("a", hr), shown("b", hr)]
    assert automatic_crop(hr, images, side=16) == (40, 40, 16, 16)


def test_a_small_image_is_taken_whole() -> None:
    hr = grey(20, 30)
    assert automatic_crop(hr, [shown("bicubic", hr)], side=64)[2:] == (20, 20)


def cells(figure: np.ndarray, count: int) -> list[np.ndarray]:
    """The enlarged crops, from the right: HR first."""
    rows = 1 if count <= 3 else 2
    columns = -(-count // rows)
    left = figure.shape[1] - columns * (CELL + 16) + 16
    height = figure.shape[0] // rows if rows == 1 else (figure.shape[0] + 16) // 2
    return [
        figure[row * height : row * height + CELL, left + column * 400 :][:, :CELL]
        for row in range(rows)
        for column in range(columns)
    ][:count]


@pytest.mark.parametrize("methods", [1, 2, 3, 6])
def test_each_cell_shows_its_image_pixel_for_pixel(methods: int) -> None:
    hr = grey()
    images = [hr, *(grey(level=130 + 10 * i) for i in range(methods + 1))]
    figure = paper_figure(
        hr,
        [shown(f"m{i}", image, 20.0 + i) for i, image in enumerate(images[1:])],
        title="image",
        crop=(30, 20, SIDE, SIDE),
    )
    assert figure.dtype == np.uint8
    for cell, image in zip(cells(figure, methods + 2), images, strict=True):
        square = np.rint(image[20 : 20 + SIDE, 30 : 30 + SIDE] * 255).astype(np.uint8)
        np.testing.assert_array_equal(cell, square.repeat(6, axis=0).repeat(6, axis=1))


def test_the_square_is_framed_in_the_whole_image() -> None:
    hr = grey(96, 96)
    figure = paper_figure(hr, [shown("bicubic", hr)], title="image", crop=(24, 48, 24, 24))
    rows, columns = np.nonzero((figure == RED).all(axis=2))
    side = figure.shape[0] - 76  # of the whole image in the figure
    assert (columns.min(), rows.min()) == (side // 4, side // 2)
    assert np.ptp(columns) == pytest.approx(side / 4, abs=4)
    assert np.ptp(rows) == pytest.approx(side / 4, abs=4)


@pytest.mark.parametrize(
    ("height", "width", "crop"),
    [(200, 60, (0, 100, 48, 20)), (40, 400, (300, 0, 30, 40)), (96, 128, (0, 0, 128, 96))],
)
def test_images_and_squares_of_any_shape(
    height: int, width: int, crop: tuple[int, int, int, int]
) -> None:
    hr = grey(height, width)
    hr[crop[1] : crop[1] + 4, crop[0] : crop[0] + 4] = (1, 0, 1)
    figure = paper_figure(hr, [shown("bicubic", hr)], title="i", crop=crop)
    zoom = 384 // max(crop[2:])
    x = figure.shape[1] - 384 - 16 - 384  # of HR's cell
    rows, columns = np.nonzero((figure[:, x : x + 384] == MAGENTA).all(axis=2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (4 * zoom, 4 * zoom)
    assert columns.min() == (384 - zoom * crop[2]) // 2


def test_grey_images_infinite_scores_and_long_names() -> None:
    hr = grey()[..., :1]
    images = [shown("bicubic", hr), shown("a name that is far too long " * 9, hr, float("inf"))]
    figure = paper_figure(hr, images, title="t" * 300, crop=(0, 0, 64, 64))
    other = paper_figure(hr, [images[0], shown("b", hr, 1.0)], title="t", crop=(0, 0, 64, 64))
    assert figure.shape[1] == other.shape[1]


def test_no_two_names_become_alike() -> None:
    """Nothing is cut out of the middle, where names of runs differ."""
    hr = grey()
    names = [f"act=leaky_relu depth={depth} learning_rate=0.001 filters=64" for depth in (3, 5)]
    one, other = (
        paper_figure(hr, [shown(name, hr)], title="t", crop=(0, 0, 64, 64)) for name in names
    )
    assert one.shape == other.shape and (one != other).any()


def test_the_best_is_bold() -> None:
    hr = grey()

    def caption(best: float) -> int:
        """How much ink is below the right-hand cell."""
        images = [shown("m", hr, best), shown("m", hr, 30.0)]
        figure = paper_figure(hr, images, title="t", crop=(0, 0, 64, 64))
        return int((255 - figure[CELL:, -CELL:].astype(int)).sum())

    assert caption(29.0) > 1.15 * caption(31.0)
