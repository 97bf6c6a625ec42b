"""The one way from LR to SR: channels, preparation, and a network that enlarges inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from srexp.degradations.downscale import Downscale
from srexp.evaluation.inference import forward
from srexp.images.resize import enlarge
from srexp.models.base import Model
from srexp.models.deconv import Deconv
from srexp.models.resampler import Resampler
from srexp.models.upscaler import Upscaler, bicubic, to_network_channels
from srexp.options import OptionError


def degradation(**changes: object) -> Downscale:
    options = {"scale": 2, "interpolation": "bicubic", "engine": "matlab", "antialias": True}
    return Downscale(**{**options, **changes})


def pre(**changes: object) -> Deconv:
    options = {
        "depth": 2, "filters": 1, "kernel_size": 3, "output_activation": "linear",
        "value_range": [0.0, 1.0], "residual": True, "upscale_interpolation": None,
    }  # fmt: skip
    return Deconv(**{**options, **changes})


@dataclass(kw_only=True)
class Post(Model):  # has no name, so that no configuration can choose it
    """A network that gets LR itself."""


class Network:
    """Stands for a network; keeps what it is given."""

    def __init__(self, scale: int = 1, gain: float = 1.0) -> None:
        self.scale, self.gain, self.seen = scale, gain, None

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        self.seen = inputs
        return self.gain * inputs.repeat(self.scale, 1).repeat(self.scale, 2)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).random((5, 7, 3), np.float32)


# BT.601 in studio swing, ITU-R BT.601-7 section 2.5.1 scaled to 8 bits: luma weights and offset.
WEIGHTS, OFFSET = np.array([65.481, 128.553, 24.966]) / 255, 16 / 255


def luma(rgb: np.ndarray) -> np.ndarray:
    return rgb.astype(np.float64) @ WEIGHTS + OFFSET


def chroma(rgb: np.ndarray) -> np.ndarray:
    """Cb and Cr from the colour differences B - Y' and R - Y', BT.601's definition."""
    y = rgb.astype(np.float64) @ [0.299, 0.587, 0.114]
    cb = (rgb[..., 2] - y) * 112 / 0.886
    cr = (rgb[..., 0] - y) * 112 / 0.701
    return (np.stack([cb, cr], axis=2) + 128) / 255


def test_a_network_with_the_images_channels_gets_them_as_they_are(picture: np.ndarray) -> None:
    for image in (picture, picture[..., :1]):
        network = Network(scale=2)
        sr = Upscaler(Post(), degradation(), image.shape[2], network)(image)
        np.testing.assert_array_equal(network.seen, image[None])
        np.testing.assert_array_equal(sr, image.repeat(2, 0).repeat(2, 1))


def test_a_y_network_enlarges_luma_and_leaves_colour_to_bicubic(picture: np.ndarray) -> None:
    picture = 0.3 + 0.4 * picture  # far from the edges of the gamut: nothing is clipped
    network = Network(scale=2, gain=0.9)
    sr = Upscaler(Post(), degradation(), 1, network)(picture)
    np.testing.assert_allclose(network.seen[0, ..., 0], luma(picture), atol=1e-6)
    blocks = luma(picture).repeat(2, 0).repeat(2, 1)
    np.testing.assert_allclose(luma(sr), 0.9 * blocks, atol=1e-5)
    np.testing.assert_allclose(
        chroma(sr), chroma(enlarge(picture, 2, "bicubic", "matlab")), atol=1e-4
    )
    assert sr.dtype == np.float32


def test_the_chroma_of_a_y_network_comes_from_the_engine_that_made_lr(picture: np.ndarray) -> None:
    picture = 0.3 + 0.4 * picture
    pillow = degradation(engine="pillow", interpolation="bilinear")
    sr = Upscaler(Post(), pillow, 1, Network(scale=2))(picture)
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(picture[..., c])).resize((14, 10), 3))
        for c in range(3)
    ]  # 3: Pillow's own number for bicubic
    np.testing.assert_allclose(chroma(sr), chroma(np.stack(planes, axis=2)), atol=1e-4)


def test_an_rgb_network_sees_grey_three_times_and_gives_one_channel(picture: np.ndarray) -> None:
    network = Network(scale=2)
    grey = picture[..., :1]
    sr = Upscaler(Post(), degradation(), 3, network)(grey)
    np.testing.assert_array_equal(network.seen, np.repeat(grey, 3, axis=2)[None])
    np.testing.assert_allclose(sr, grey.repeat(2, 0).repeat(2, 1), atol=1e-7)


def test_an_rgb_networks_colours_become_grey_by_their_luma_weights(picture: np.ndarray) -> None:
    def tint(inputs: np.ndarray) -> np.ndarray:
        return inputs * np.float32([1.0, 0.5, 0.0])

    sr = Upscaler(Post(), degradation(), 3, tint)(np.ones((2, 2, 1), np.float32))
    weights = [0.299, 0.587, 0.114]  # BT.601's weights
    np.testing.assert_allclose(sr, np.full((2, 2, 1), weights[0] + 0.5 * weights[1]), atol=1e-4)


def test_to_network_channels(picture: np.ndarray) -> None:
    assert to_network_channels(picture, 3) is picture
    np.testing.assert_allclose(to_network_channels(picture, 1)[..., 0], luma(picture), atol=1e-6)
    np.testing.assert_array_equal(
        to_network_channels(picture[..., :1], 3), np.repeat(picture[..., :1], 3, axis=2)
    )


@pytest.mark.parametrize("engine", ["matlab", "pillow"])
@pytest.mark.parametrize("chosen", [None, "nearest", "lanczos"])
@pytest.mark.parametrize("scale", [2, 3])
def test_a_pre_upsampling_network_sees_lr_enlarged(
    picture: np.ndarray, chosen: str | None, engine: str, scale: int
) -> None:
    """By `upscale_interpolation` where it is given, else by the degradation's interpolation."""
    made_by = degradation(interpolation="bilinear", engine=engine, scale=scale)
    upscaler = Upscaler(pre(upscale_interpolation=chosen), made_by, 3, network := Network())
    wanted = enlarge(picture, scale, chosen or "bilinear", engine)
    np.testing.assert_array_equal(upscaler.prepare(picture)[0], wanted)
    np.testing.assert_array_equal(upscaler(picture), wanted)
    np.testing.assert_array_equal(network.seen, wanted[None])
    if chosen == "nearest":
        np.testing.assert_array_equal(wanted, picture.repeat(scale, 0).repeat(scale, 1))


def test_a_post_upsampling_network_sees_lr_itself(picture: np.ndarray) -> None:
    upscaler = Upscaler(Post(), degradation(), 3)
    np.testing.assert_array_equal(upscaler.prepare(picture)[0], picture)


def test_a_resampler_uses_its_own_kernel_and_the_degradations_engine(picture: np.ndarray) -> None:
    made_by = degradation(interpolation="bilinear", engine="pillow")
    sr = Upscaler(Resampler(interpolation="lanczos"), made_by, 3)(picture)
    plane = Image.fromarray(np.ascontiguousarray(picture[..., 0])).resize((14, 10), 1)  # Lanczos
    np.testing.assert_array_equal(sr[..., 0], np.asarray(plane))


def test_the_baseline_is_bicubic_whatever_shrank_the_image(picture: np.ndarray) -> None:
    baseline = bicubic(degradation(interpolation="nearest", scale=3))
    np.testing.assert_array_equal(baseline(picture), enlarge(picture, 3, "bicubic", "matlab"))


def test_an_eight_bit_baseline_is_what_pillow_does_to_a_stored_picture() -> None:
    stored = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)
    sr = bicubic(degradation(engine="pillow"))(np.float32(stored) / 255, eight_bit=True)
    wanted = np.asarray(Image.fromarray(stored).resize((10, 12), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(np.rint(sr * 255), wanted)


@pytest.mark.parametrize(
    "model", [Resampler(interpolation="hamming"), pre(upscale_interpolation="hamming")], ids=str
)
def test_a_kernel_that_the_engine_lacks_is_refused(model: Model) -> None:
    with pytest.raises(OptionError, match=r"interpolation=hamming: .*engine=matlab has no such"):
        Upscaler(model, degradation(), 3)
    Upscaler(model, degradation(engine="pillow"), 3)


def test_the_image_is_left_as_it_was(picture: np.ndarray) -> None:
    before = picture.copy()
    for channels in (1, 3):
        Upscaler(pre(), degradation(), channels, Network())(picture)
    np.testing.assert_array_equal(picture, before)


def test_through_a_real_network_of_any_size(picture: np.ndarray) -> None:
    """A network whose only weights are zero and its skip connection: SR is what it was given."""
    from srexp.activations.rectifiers import ReLU

    model = pre()
    network = model.build(scale=2, channels=3, act=ReLU())
    upscaler = Upscaler(model, degradation(), 3, forward(network))
    for lr in (picture, picture[:3, :2], picture[:1, :1]):
        np.testing.assert_array_equal(upscaler(lr), enlarge(lr, 2, "bicubic", "matlab"))
    # Float64 in, float32 inside: the same picture.
    np.testing.assert_allclose(upscaler(picture.astype(np.float64)), upscaler(picture), atol=1e-6)
