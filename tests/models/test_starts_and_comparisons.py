"""What networks start as, what of them is compared with HR, and what their upsamplers leave."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from srexp.images.resize import resize
from srexp.metrics.checkerboard import flat_field
from srexp.models.deconv import DeconvResize, DeconvStrided
from srexp.models.enlarge import reduce_tensor
from srexp.models.lapsrn import LapSRN
from srexp.models.srcnn import SRCNN
from srexp.options import OptionError


def _image(height, width, channels=1, seed=0):
    return np.random.default_rng(seed).random((1, height, width, channels), np.float32)


@pytest.fixture
def relu():
    from srexp.activations.rectifiers import ReLU

    return ReLU()


def _srcnn(**changes):
    given = {"filters": [8, 4], "kernel_sizes": [9, 1, 5], "residual": False,
             "upscale_interpolation": None, **changes}  # fmt: skip
    return SRCNN(**given)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("channels", [1, 3])
def test_srcnn_with_a_delta_start_is_the_identity(padding, channels, relu):
    network = _srcnn(padding=padding, initialisation="delta").build(
        scale=3, channels=channels, act=relu
    )
    image = _image(20, 17, channels)
    assert np.abs(np.asarray(network(image)) - image).max() < 1e-6


def test_the_papers_start_is_normal_with_its_deviation(relu):
    network = _srcnn(initialisation="paper", filters=[64, 32]).build(scale=3, channels=1, act=relu)
    for layer in (1, 2, 3):
        kernel = np.asarray(network.get_layer(f"conv_{layer}").kernel)
        assert kernel.std() == pytest.approx(0.001, rel=0.15)


def test_valid_srcnn_compares_the_pixels_that_no_padding_reaches(relu):
    model = _srcnn(padding="valid")
    network = model.build(scale=3, channels=1, act=relu)
    image, hr = _image(33, 33), _image(33, 33, seed=1)
    ((sr, target, weight),) = model.comparison(network)(image, hr)
    assert weight == 1 and sr.shape == target.shape == (1, 21, 21, 1)  # the paper's 33 and 21
    assert (np.asarray(target) == hr[:, 6:-6, 6:-6]).all()
    whole = np.asarray(network(image))
    assert np.abs(whole[:, 6:-6, 6:-6] - sr).max() < 1e-6
    assert model.compared_side(33, 3) == 21
    assert _srcnn(kernel_sizes=[9, 5, 5], padding="valid").compared_side(33, 3) == 17


def test_a_delta_start_wants_room_and_no_residual():
    with pytest.raises(OptionError, match="once more"):
        _srcnn(initialisation="delta", residual=True)
    with pytest.raises(OptionError, match="at least 3"):
        _srcnn(initialisation="delta", filters=[2, 8]).check(scale=3, channels=3)


@pytest.mark.parametrize("factor", [2, 4])
def test_reducing_inside_a_network_is_matlabs_bicubic(factor):
    image = _image(32, 48, 3)
    expected = resize(image[0], (32 // factor, 48 // factor), "bicubic", "matlab")
    assert np.abs(np.asarray(reduce_tensor(image, factor))[0] - expected).max() < 1e-6


def test_lapsrn_compares_each_octave_with_hr_as_small(relu):
    model = LapSRN(depth=1, filters=4)
    network = model.build(scale=4, channels=1, act=relu)
    lr, hr = _image(12, 10), _image(48, 40, seed=1)
    pairs = model.comparison(network)(lr, hr)
    assert [tuple(sr.shape[1:3]) for sr, _, _ in pairs] == [(24, 20), (48, 40)]
    assert [weight for _, _, weight in pairs] == [1 / 4, 1]
    expected = resize(hr[0], (24, 20), "bicubic", "matlab")
    assert np.abs(pairs[0][1][0] - expected).max() < 1e-6
    assert (np.asarray(pairs[1][0]) == np.asarray(network(lr))).all()


def test_lapsrn_of_one_octave_compares_what_it_gives(relu):
    model = LapSRN(depth=1, filters=4)
    network = model.build(scale=2, channels=1, act=relu)
    lr, hr = _image(12, 10), _image(24, 20, seed=1)
    ((sr, target, weight),) = model.comparison(network)(lr, hr)
    assert (np.asarray(sr) == np.asarray(network(lr))).all() and weight == 1
    assert target is hr


def test_lapsrns_images_start_as_bilinear_interpolation(relu):
    """Of a network whose residuals are zero, away from the edges."""
    network = LapSRN(depth=1, filters=4).build(scale=2, channels=3, act=relu)
    for weight in network.get_layer("residual_1").weights:
        weight.assign(np.zeros(weight.shape))
    lr = _image(12, 10, 3)
    expected = resize(lr[0], (24, 20), "bilinear", "matlab")
    assert np.abs(np.asarray(network(lr))[0] - expected)[2:-2, 2:-2].max() < 1e-6
    with pytest.raises(OptionError, match="has the scales 2, 4, 8"):
        LapSRN(depth=1, filters=4).check(scale=3, channels=3)


def _flat(model, act, scale=2):
    """Measure A of a network whose kernels are ones: its overlap alone."""
    network = model.build(scale=scale, channels=1, act=act)
    for weight in network.trainable_variables:
        weight.assign(np.full(weight.shape, float(len(weight.shape) == 4) / 100))
    made = np.asarray(network(np.full((1, 24, 24, 1), 0.5, np.float32)))[0]
    return flat_field(made[12:-12, 12:-12], scale)


SMALL = {"depth": 2, "filters": 2, "kernel_size": 1, "output_activation": "linear",
         "value_range": [0.0, 1.0], "lr_depth": 1}  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "stride", "expected"),
    [(3, None, 0.4843), (4, None, 0), (2, None, 0), (5, 2, 0.2857)],
)
def test_a_strided_deconvolution_shows_its_overlap(kernel, stride, expected, relu):
    """3x3 with stride 2: phase sums 4, 2, 2, 1 (Odena et al. 2016); 4x4: all 4."""
    model = DeconvStrided(upscale_kernel=kernel, upscale_stride=stride, **SMALL)
    assert _flat(model, relu) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("by", ["nearest", "bilinear"])
def test_a_resize_shows_none(by, relu):
    assert _flat(DeconvResize(upscale_by=by, **SMALL), relu) < 1e-5


def test_a_stride_that_does_not_make_the_scale_is_refused():
    model = DeconvStrided(upscale_kernel=4, upscale_stride=2, **SMALL)
    model.check(scale=4, channels=3)
    with pytest.raises(OptionError, match="no power of it"):
        model.check(scale=3, channels=3)
    with pytest.raises(OptionError, match="at least the stride"):
        DeconvStrided(upscale_kernel=2, upscale_stride=None, **SMALL).check(scale=3, channels=3)
    with pytest.raises(OptionError, match="must be less than depth"):
        DeconvResize(upscale_by="nearest", **{**SMALL, "lr_depth": 2})


def test_attention_multiplies_by_a_factor_of_the_whole_image(relu):
    from srexp.models.parts import channel_attention

    x = keras.Input((None, None, 4))
    network = keras.Model(x, channel_attention(x, relu, "a", 2))
    image = _image(5, 6, 4)
    down, up = (network.get_layer(name) for name in ("a_down", "a_up"))
    mean = image.mean((1, 2))
    hidden = np.maximum(mean @ np.asarray(down.kernel)[0, 0] + np.asarray(down.bias), 0)
    factor = 1 / (1 + np.exp(-(hidden @ np.asarray(up.kernel)[0, 0] + np.asarray(up.bias))))
    assert np.abs(np.asarray(network(image)) - image * factor[:, None, None]).max() < 1e-5
