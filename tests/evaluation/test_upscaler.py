"""The one way from LR to SR, with networks whose result is known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from srexp.degradations.downscale import Downscale
from srexp.images.resize import resize_matlab
from srexp.models.base import Model
from srexp.models.resampler import Resampler
from srexp.models.srcnn import SRCNN
from srexp.models.upscaler import SelfEnsemble, Upscaler, bicubic, to_network_channels


def _degradation(engine="matlab", interpolation="bicubic", scale=2):
    return Downscale(scale=scale, interpolation=interpolation, engine=engine, antialias=True)


def _pre(upscale_interpolation=None):
    return SRCNN(
        filters=[4], kernel_sizes=[3, 3], residual=False,
        upscale_interpolation=upscale_interpolation,
    )  # fmt: skip


class Post(Model):
    """A network that gets LR itself."""


def _noise(height, width, channels, seed=0):
    # Away from the edges of the gamut, so that overshoot is not clipped.
    random = np.random.default_rng(seed)
    return (0.3 + 0.4 * random.random((height, width, channels))).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("own", "used"), [(None, "bilinear"), ("lanczos", "lanczos")])
def test_a_pre_upsampling_network_sees_lr_enlarged(channels, own, used):
    lr = _noise(6, 5, channels)
    seen = []

    def forward(x):
        seen.append(x)
        return x + 0.25

    degradation = _degradation(interpolation="bilinear", scale=3)
    sr = Upscaler(_pre(own), degradation, channels, forward)(lr)
    expected = resize_matlab(lr, (18, 15), used)
    np.testing.assert_allclose(seen[0], expected[None], atol=1e-6)
    np.testing.assert_allclose(sr, expected + 0.25, atol=1e-6)


def test_a_post_upsampling_network_sees_lr_itself():
    lr = _noise(6, 5, 3)
    sr = Upscaler(Post(), _degradation(), 3, lambda x: x.repeat(2, 1).repeat(2, 2) - 0.5)(lr)
    np.testing.assert_array_equal(sr, lr.repeat(2, 0).repeat(2, 1) - np.float32(0.5))


def test_an_rgb_network_gets_a_grey_image_as_three_equal_channels():
    lr = _noise(6, 5, 1)

    def forward(x):
        assert x.shape == (1, 12, 10, 3)
        np.testing.assert_array_equal(x[..., 0], x[..., 2])
        return x + np.float32([0.3, 0, 0])

    sr = Upscaler(_pre(), _degradation(), 3, forward)(lr)
    # Back to one channel with luma's weight for red, 65.481 / 219.
    expected = resize_matlab(lr, (12, 10)) + 0.3 * 65.481 / 219
    np.testing.assert_allclose(sr, expected, atol=1e-6)


def test_a_y_network_leaves_chroma_to_bicubic():
    # Colour conversion and resizing are linear: with a network that changes nothing the result is
    # bicubic in RGB; one that adds 21.9/255 to Y adds 0.1 to each of R, G and B.
    lr = _noise(6, 5, 3)
    expected = resize_matlab(lr, (12, 10))
    same = Upscaler(_pre(), _degradation(), 1, lambda x: x)(lr)
    np.testing.assert_allclose(same, expected, atol=2e-6)
    lighter = Upscaler(_pre(), _degradation(), 1, lambda x: x + np.float32(21.9 / 255))(lr)
    np.testing.assert_allclose(lighter, expected + 0.1, atol=2e-6)


def test_network_channels():
    grey, colour = _noise(3, 3, 1), _noise(3, 3, 3)
    np.testing.assert_array_equal(to_network_channels(grey, 1), grey)
    np.testing.assert_array_equal(to_network_channels(colour, 3), colour)
    np.testing.assert_array_equal(to_network_channels(grey, 3), grey.repeat(3, 2))
    y = (16 + colour @ np.array([65.481, 128.553, 24.966])) / 255
    np.testing.assert_allclose(to_network_channels(colour, 1)[..., 0], y, atol=1e-6)


def test_the_baseline_is_bicubic_whatever_the_degradation():
    lr = _noise(6, 5, 3)
    baseline = bicubic(_degradation(interpolation="box"))
    np.testing.assert_array_equal(baseline(lr), resize_matlab(lr, (12, 10), "bicubic"))


def test_a_resampler_on_a_picture_is_pillow_on_a_picture():
    stored = np.random.default_rng(1).integers(0, 256, (6, 5, 3), np.uint8)
    upscaler = Upscaler(Resampler(interpolation="lanczos"), _degradation("pillow"), 3)
    expected = np.asarray(Image.fromarray(stored).resize((10, 12), Image.Resampling.LANCZOS))
    got = upscaler(stored / np.float32(255), eight_bit=True)
    np.testing.assert_allclose(got * 255, expected, atol=1e-4)


def test_inputs_are_left_alone():
    for channels in (1, 3):
        lr = _noise(6, 5, channels)
        lr.flags.writeable = False
        for model in (_pre(), Resampler(interpolation="nearest")):
            Upscaler(model, _degradation(), 3, lambda x: x)(lr)


@pytest.mark.parametrize("model", [Resampler(interpolation="hamming"), _pre("hamming")])
def test_a_kernel_that_the_engine_lacks_is_refused_in_words(model):
    with pytest.raises(ValueError, match="hamming"):
        Upscaler(model, _degradation("matlab"), 3, lambda x: x)(_noise(6, 5, 3))


def test_a_self_ensemble_of_what_turns_with_the_image_changes_nothing():
    lr = _noise(6, 5, 3)
    nearest = Upscaler(Resampler(interpolation="nearest"), _degradation(), 3)
    np.testing.assert_array_equal(SelfEnsemble(nearest)(lr), nearest(lr))
    cubic = bicubic(_degradation())
    np.testing.assert_allclose(SelfEnsemble(cubic)(lr), cubic(lr), atol=1e-6)


def test_a_self_ensemble_is_the_mean_of_eight():
    """Adding the row's number: its mean over the eight is that of both axes in both directions."""
    height, width = 6, 10
    lr = _noise(height // 2, width // 2, 1)
    seen = []

    def ramp(image, *, eight_bit=False):
        seen.append((image.shape[:2], eight_bit))
        large = image.repeat(2, 0).repeat(2, 1)
        return large + np.arange(large.shape[0], dtype=np.float32)[:, None, None]

    # (r + (H-1-r)) / 2 in the four that leave the axes alone, (W-1) / 2 in the four that swap them.
    mean = ((height - 1) / 2 + (width - 1) / 2) / 2
    got = SelfEnsemble(ramp)(lr, eight_bit=True)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, lr.repeat(2, 0).repeat(2, 1) + mean, atol=1e-5)
    assert sorted(seen) == [((3, 5), True)] * 4 + [((5, 3), True)] * 4


def test_a_self_ensemble_sees_each_view_once_and_undoes_it():
    lr = _noise(4, 4, 1)
    views = []

    def first_pixel(image, *, eight_bit=False):
        views.append(image)
        marked = np.zeros_like(image)
        marked[0, 0] = 8
        return marked

    got = SelfEnsemble(first_pixel)(lr)
    assert len({view.tobytes() for view in views}) == 8
    corners = got[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    np.testing.assert_array_equal(corners, [2, 2, 2, 2])  # two of eight views put it in each
    assert got.sum() == 8


def test_scores_are_made_without_tensor_float_32():
    """On a GPU it would keep 10 bits of 23: of this network's output some 1e-3."""
    import keras
    import tensorflow as tf

    from srexp.evaluation.inference import forward

    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    found = []

    class Asking(keras.layers.Layer):
        def call(self, x):
            def ask(x):
                found.append(enabled())
                return x

            return tf.ensure_shape(tf.numpy_function(ask, [x], tf.float32), x.shape)

    given = keras.Input((None, None, 1))
    run = forward(keras.Model(given, Asking()(given)))
    before = enabled()
    for state in (True, False):
        tf.config.experimental.enable_tensor_float_32_execution(state)
        run(np.zeros((1, 4, 4, 1), np.float32))
        assert enabled() is state
    tf.config.experimental.enable_tensor_float_32_execution(before)
    assert found and not any(found)
