"""The picture of HR and LR images: what is in it is what training gets."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.config.compose import compose
from srexp.config.settings import build_option
from srexp.data.sets import ImageSet
from srexp.evaluation.preview import _CAPTION, _GAP, _TITLE, DegradedPhoto, degrade, preview
from srexp.images.quantize import to_uint8


def _sample(scale: int, protocol: str = "rgb", size: tuple[int, int] = (120, 97)) -> DegradedPhoto:
    values = compose("train", [f"degradation.scale={scale}", f"protocol={protocol}"])
    degradation = build_option("degradation", values["degradation"], "degradation")
    (chosen,) = values["protocol"].values()
    image = np.random.default_rng(0).random((*size, 3), np.float32)
    images = ImageSet("train", {"noise": image})
    return degrade("noise", images, degradation, build_option("protocol", chosen, "protocol"))


def _panels(sheet: np.ndarray, panel: int, row: int) -> list[np.ndarray]:
    top = _TITLE + row * (panel + _CAPTION + _GAP)
    return [sheet[top : top + panel, _GAP + c * (panel + _GAP) :][:, :panel] for c in range(4)]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("protocol", ["rgb", "y_paper"])
def test_the_square_shows_the_same_place_pixel_by_pixel(scale: int, protocol: str) -> None:
    sample = _sample(scale, protocol)
    sheet = preview([sample, sample], scale=scale, title="t", panel=288, crop=48)
    _, hr, lr, bicubic = _panels(sheet, 288, 1)
    small = lr[:: 6 * scale, :: 6 * scale]
    whole = np.broadcast_to(to_uint8(sample.lr), (*sample.lr.shape[:2], 3))
    side = 48 // scale
    places = [
        (top, left)
        for top in range(whole.shape[0] - side + 1)
        for left in range(whole.shape[1] - side + 1)
        if np.array_equal(whole[top : top + side, left : left + side], small)
    ]
    assert len(places) == 1
    top, left = (place * scale for place in places[0])
    for shown, image in ((hr, sample.hr), (bicubic, sample.bicubic)):
        expected = to_uint8(image)[top : top + 48, left : left + 48]
        np.testing.assert_array_equal(shown[::6, ::6], np.broadcast_to(expected, (48, 48, 3)))
        # Every pixel is a square of one colour.
        np.testing.assert_array_equal(shown, np.repeat(np.repeat(shown[::6, ::6], 6, 0), 6, 1))


@pytest.mark.parametrize("size", [(16, 200), (9, 8), (50, 47)])
def test_pictures_of_any_shape_fit(size: tuple[int, int]) -> None:
    sheet = preview([_sample(4, size=size)], scale=4, title="t", panel=100)
    assert sheet.shape == (_TITLE + 100 + _CAPTION + _GAP, _GAP + 4 * (100 + _GAP), 3)
