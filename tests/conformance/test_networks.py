"""What holds for every network: sizes, what it sees, gradients."""

from __future__ import annotations

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from srexp.activations.base import Activation
from srexp.degradations.downscale import Downscale
from srexp.evaluation.inference import upscaler as upscaler_of
from srexp.images.resize import enlarge
from srexp.models import tiles
from srexp.models.base import Model
from srexp.models.upscaler import Upscaler

# The most of each that is built here: what holds for every network holds for a small one.
SMALL = {
    "depth": 4, "blocks": 2, "filters": 8, "features": 8, "mappings": 2, "groups": 2, "layers": 2,
    "growth": 8, "reduction": 1, "expansion": 6,
}  # fmt: skip


@pytest.fixture
def full_model(option, network_name: str) -> Model:
    return option("model", network_name)


@pytest.fixture
def model(request: pytest.FixtureRequest, full_model: Model) -> Model:
    scale = getattr(request.node, "callspec", None) and request.node.callspec.params.get("scale")
    if scale is not None and scale not in full_model.scales:
        pytest.skip(f"has no x{scale}")
    sizes = {name: getattr(full_model, name, None) for name in SMALL}
    smaller = {n: min(size, SMALL[n]) for n, size in sizes.items() if isinstance(size, int)}
    return dataclasses.replace(full_model, **smaller)


def feed(model: Model, image: np.ndarray, scale: int) -> list[np.ndarray]:
    """The network's inputs: the first one, and of others its pixels repeated."""
    first, *others = model.input_factors(scale)
    times = [1, *(other // first for other in others)]
    return [image.repeat(t, 1).repeat(t, 2) for t in times]


def run(network: keras.Model, inputs: list[np.ndarray]) -> np.ndarray:
    return np.asarray(network(inputs if len(inputs) > 1 else inputs[0]))


@pytest.fixture
def act(experiment, network_name: str):
    """The activation that the network's own YAML asks for."""
    return experiment(f"model={network_name}").act


def bicubic(scale: int) -> Downscale:
    return Downscale(scale=scale, interpolation="bicubic", engine="matlab", antialias=True)


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def randomise(network: keras.Model) -> None:
    """Weights as after training: no layer is zero, no activation explodes."""
    random = np.random.default_rng(11)
    for variable in network.trainable_variables:
        spread = 0.5 / math.sqrt(math.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 0.1
        variable.assign(variable + spread * random.standard_normal(variable.shape))


def factor(model: Model, scale: int) -> int:
    """Output pixels for one input pixel."""
    return scale // model.input_factors(scale)[0]


def field_of(model: Model, network: keras.Model, scale: int) -> int:
    """Side of what an output pixel depends on, in input pixels."""
    field = upscaler_of(network, model, bicubic(scale), 1).receptive_field
    assert (field is None) is model.sees_all
    if field is None:
        pytest.skip("looks at the whole image")
    return field.size


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_enlarges_an_odd_size_by_exactly_the_scale(model, act, scale: int, channels: int) -> None:
    network = model.build(scale=scale, channels=channels, act=act)
    randomise(network)
    upscaler = upscaler_of(network, model, bicubic(scale), channels)
    lr = image(7, 9, channels)
    sr = upscaler(lr)
    assert sr.shape == (7 * scale, 9 * scale, channels)
    assert sr.dtype == np.float32
    assert np.isfinite(sr).all()
    # The image matters: another one gives another result, everywhere in it.
    other = upscaler(1 - lr)
    assert (np.abs(other - sr) > 1e-6).mean() > 0.99


@pytest.mark.parametrize("scale", [2, 3])
def test_a_part_gives_the_same_as_the_whole(model, act, scale: int) -> None:
    """Beyond half the receptive field from an edge, so tiles of a large image can be joined."""
    network = model.build(scale=scale, channels=1, act=act)
    randomise(network)
    reach, out = field_of(model, network, scale) // 2, factor(model, scale)
    side = 2 * reach + 5
    whole = image(1, side + 8, side + 7, 1)
    from_whole = run(network, feed(model, whole, scale))
    from_whole = from_whole[:, 4 * out : (4 + side) * out, 3 * out : -4 * out]
    from_part = run(network, feed(model, whole[:, 4 : 4 + side, 3 : 3 + side], scale))
    inner = slice(reach * out, (side - reach) * out)
    np.testing.assert_allclose(
        from_part[:, inner, inner], from_whole[:, inner, inner], atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("scale", [2, 3])
def test_tiles_of_a_large_image_are_the_whole(model, act, scale: int, monkeypatch) -> None:
    network = model.build(scale=scale, channels=1, act=act)
    randomise(network)
    upscaler = upscaler_of(network, model, bicubic(scale), 1)
    lr = image(19, 34, 1)
    whole = upscaler(lr)
    monkeypatch.setattr(tiles, "WHOLE", 0)
    monkeypatch.setattr(tiles, "TILE", 24)
    np.testing.assert_allclose(upscaler(lr), whole, atol=5e-6, rtol=0)


def changed_by_one_pixel(
    model: Model, network: keras.Model, scale: int, side: int, middle: int
) -> np.ndarray:
    """Which output pixels one input pixel reaches, `[H, W]`.

    With kernels above zero, no biases and a black image every layer's output is exactly 0 where
    the pixel does not reach and above 0 where it does: no rounding can hide or fake a change.
    """
    random = np.random.default_rng(2)
    for variable in network.trainable_variables:
        if len(variable.shape) == 4:
            size = math.prod(variable.shape[:3])
            variable.assign((0.5 + random.random(variable.shape)) * 2 / size)
    # Luma of black is 16 of 255, which a network that subtracts a mean of black makes 0.
    level = 16 / 255 if hasattr(model, "mean") else 0
    black = np.full((1, side, side, 1), level, np.float32)
    with_pixel = black.copy()
    with_pixel[0, middle, middle] = 1
    difference = run(network, feed(model, with_pixel, scale)) != run(
        network, feed(model, black, scale)
    )
    return difference[0].any(axis=-1)


@pytest.mark.parametrize("scale", [2, 3])
def test_sees_exactly_the_stated_square(model, act, scale: int) -> None:
    if hasattr(model, "mean"):
        model = dataclasses.replace(model, mean=[0.0, 0.0, 0.0])
    network = model.build(scale=scale, channels=1, act=act)
    field, out = field_of(model, network, scale), factor(model, scale)
    middle = field + 1
    changed = changed_by_one_pixel(model, network, scale, 2 * middle + 1, middle)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    # A full square, corners included.
    assert changed.sum() == len(rows) * len(columns)
    for reached in (rows, columns):
        # Seen from an output pixel: how many input pixels apart are the ones that reach it.
        spans = [
            (np.ptp(reached[reached % out == phase]) // out) + 1
            for phase in range(out)
            if (reached % out == phase).any()
        ]
        assert max(spans) == field
        # Around the pixel itself, to within the half pixel that an even field leaves.
        centre = (reached.min() + reached.max()) / 2
        assert abs(centre - ((middle + 0.5) * out - 0.5)) <= out / 2


@pytest.mark.parametrize("own", ["prelu", "gelu"])
def test_every_network_has_finite_gradients(model, option, own: str) -> None:
    check_gradients(model, option("act", own))


def test_every_activation_has_finite_gradients_in_a_network(option, act_name: str) -> None:
    small = dataclasses.replace(option("model", "deconv"), depth=4, filters=8)
    check_gradients(small, option("act", act_name))


def check_gradients(model: Model, act: Activation) -> None:
    """All are finite, and none stays zero."""
    keras.utils.set_random_seed(4)
    network = model.build(scale=2, channels=3, act=act)
    inputs = [tf.constant(given) for given in feed(model, image(2, 9, 7, 3), 2)]
    hr = image(2, 9, 7, 3, seed=1)
    hr = tf.constant(np.repeat(np.repeat(hr, factor(model, 2), 1), factor(model, 2), 2))

    given = inputs if len(inputs) > 1 else inputs[0]

    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(given, training=True) - hr))
        return tape.gradient(loss, network.trainable_variables)

    # Twice: a last layer that starts at zero lets nothing through to the others at first.
    for _ in range(2):
        found = gradients()
        for variable, gradient in zip(network.trainable_variables, found, strict=True):
            assert gradient is not None, variable.path
            assert np.isfinite(gradient).all(), variable.path
            variable.assign(variable - 0.03 * gradient)
    for variable, gradient in zip(network.trainable_variables, gradients(), strict=True):
        assert np.abs(gradient).max() > 0, f"{variable.path} never learns"


def test_has_as_many_parameters_as_its_paper_states(full_model, act) -> None:
    for stated in full_model.published:
        chosen = dataclasses.replace(full_model, **stated.settings)
        network = chosen.build(scale=stated.scale, channels=stated.channels, act=act)
        network = chosen.collapse(network)
        counted = {
            "weights": [v for v in network.trainable_variables if len(v.shape) == 4],
            "weights+bias": [
                v for v in network.trainable_variables if v.path.endswith(("kernel", "bias"))
            ],
            "all": network.trainable_variables,
        }[stated.counts]
        assert sum(math.prod(v.shape) for v in counted) == stated.parameters, stated


@pytest.mark.parametrize("scale", [2, 3])
def test_a_residual_network_starts_at_the_enlarged_input(model, act, scale: int) -> None:
    if "residual" not in [field.name for field in dataclasses.fields(model)]:
        pytest.skip("has no skip connection to switch")
    lr = image(7, 9, 3)
    enlarged = enlarge(lr, scale, "bicubic", "matlab")
    results = {}
    for residual in (True, False):
        chosen = dataclasses.replace(model, residual=residual)
        network = chosen.build(scale=scale, channels=3, act=act)
        results[residual] = upscaler_of(network, chosen, bicubic(scale), 3)(lr)
    if model.inputs == ("enlarged",):
        np.testing.assert_array_equal(results[True], enlarged)
    else:  # enlarged inside the network, in float32
        np.testing.assert_allclose(results[True], enlarged, atol=2e-6)
    assert np.abs(results[False] - enlarged).max() > 0.01


def test_nothing_of_the_output_is_rounded_to_float16_under_mixed_precision(
    request: pytest.FixtureRequest, network_name: str, model, act
) -> None:
    """Its steps are 1/2048 just below 1, an eighth of a step of an 8-bit picture."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = model.build(scale=2, channels=1, act=act)
    finally:
        keras.config.set_dtype_policy(before)
    randomise(network)
    exact = model.build(scale=2, channels=1, act=act)
    exact.set_weights(network.get_weights())
    inputs = feed(model, image(1, 12, 12, 1), 2)
    output = run(network, inputs)
    assert output.dtype == np.float32
    np.testing.assert_allclose(output, run(exact, inputs), atol=0.02)
    assert (output != output.astype(np.float16)).any()


def test_a_resampler_gives_exactly_the_scale(option, resampler_name: str) -> None:
    model = option("model", resampler_name)
    assert not model.trainable
    for scale in (2, 3):
        upscaler = Upscaler(model, bicubic(scale), 3)
        grey = np.full((7, 9, 3), 0.3, np.float32)
        np.testing.assert_allclose(upscaler(grey), np.full((7 * scale, 9 * scale, 3), 0.3), 1e-6)
        lr = image(7, 9, 1)
        assert upscaler(lr).shape == (7 * scale, 9 * scale, 1)
        # Each LR pixel is the mean of its block, up to what a smoothing kernel takes away.
        blocks = upscaler(lr).reshape(7, scale, 9, scale).mean(axis=(1, 3))
        assert np.corrcoef(blocks.ravel(), lr.ravel())[0, 1] > 0.95


def test_a_resampler_sees_its_whole_kernel(option, resampler_name: str) -> None:
    model = option("model", resampler_name)
    # Full width of the kernel in LR pixels, when enlarging.
    widths = {"nearest": 1, "bilinear": 2, "bicubic": 4, "lanczos": 6}
    lr = np.zeros((21, 21, 1), np.float32)
    lr[10, 10] = 1
    # At an odd scale a kernel's zeros fall on pixels, so the full width shows at scale 2.
    sr = Upscaler(model, bicubic(2), 1)(lr)[..., 0]
    for reached in (np.flatnonzero(sr.any(axis=1)), np.flatnonzero(sr.any(axis=0))):
        spans = [np.ptp(reached[reached % 2 == phase]) // 2 + 1 for phase in range(2)]
        assert max(spans) == widths[model.interpolation]
