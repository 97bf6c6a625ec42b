"""SRCNN and the deconvolution network, layer by layer against SciPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.ndimage import convolve, correlate

from srexp.activations.rectifiers import LeakyReLU, PReLU, ReLU
from srexp.degradations.downscale import Downscale
from srexp.evaluation.inference import upscaler
from srexp.models.base import Model
from srexp.models.deconv import Deconv
from srexp.models.srcnn import SRCNN
from srexp.options import OptionError

SLOPE = 0.2


def deconv(**changes: object) -> Deconv:
    options = {
        "depth": 3, "filters": 4, "kernel_size": 3, "output_activation": "linear",
        "value_range": [0.0, 1.0], "residual": False, "upscale_interpolation": None,
    }  # fmt: skip
    return Deconv(**{**options, **changes})


def srcnn(**changes: object) -> SRCNN:
    options = {
        "filters": [6, 4], "kernel_sizes": [5, 1, 3], "residual": False,
        "upscale_interpolation": None,
    }  # fmt: skip
    return SRCNN(**{**options, **changes})


def randomise(network: keras.Model) -> None:
    random = np.random.default_rng(1)
    for variable in network.trainable_variables:
        variable.assign(random.normal(0, 0.25, variable.shape))


def image(channels: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 11, 8, channels), np.float32)


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, SLOPE * x)


def layers_of(network: keras.Model, kind: type) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        tuple(np.asarray(w, np.float64) for w in layer.weights)
        for layer in network.layers
        if isinstance(layer, kind)
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("residual", [False, True])
def test_srcnn_is_correlations_with_zeros_around(channels: int, residual: bool) -> None:
    network = srcnn(residual=residual).build(
        scale=2, channels=channels, act=LeakyReLU(negative_slope=SLOPE)
    )
    randomise(network)
    x = inputs = image(channels)[0].astype(np.float64)
    layers = layers_of(network, keras.layers.Conv2D)
    assert [kernel.shape[0] for kernel, _ in layers] == [5, 1, 3]
    for number, (kernel, bias) in enumerate(layers):
        x = bias + np.stack(
            [
                sum(
                    correlate(x[..., i], kernel[..., i, o], mode="constant")
                    for i in range(x.shape[2])
                )
                for o in range(kernel.shape[3])
            ],
            axis=2,
        )
        x = leaky(x) if number < len(layers) - 1 else x
    wanted = x + inputs if residual else x
    np.testing.assert_allclose(np.asarray(network(inputs[None]))[0], wanted, atol=2e-6)


@pytest.mark.parametrize("value_range", [[0.0, 1.0], [-1.0, 1.0], [0.0, 255.0]])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("output_activation", ["linear", "tanh"])
def test_deconv_is_convolutions_between_two_changes_of_range(
    value_range: list[float], residual: bool, output_activation: str
) -> None:
    """At stride 1 a transposed convolution is a convolution: the kernel turned by half a turn."""
    options = deconv(
        value_range=value_range, residual=residual, output_activation=output_activation
    )
    network = options.build(scale=2, channels=2, act=LeakyReLU(negative_slope=SLOPE))
    randomise(network)
    low, high = value_range
    x = inside = low + (high - low) * image(2)[0].astype(np.float64)
    layers = layers_of(network, keras.layers.Conv2DTranspose)
    assert len(layers) == 3
    for number, (kernel, bias) in enumerate(layers):  # kernel: [k, k, out, in]
        x = bias + np.stack(
            [
                sum(
                    convolve(x[..., i], kernel[..., o, i], mode="constant")
                    for i in range(x.shape[2])
                )
                for o in range(kernel.shape[2])
            ],
            axis=2,
        )
        if number < len(layers) - 1:
            x = leaky(x)
    x = np.tanh(x) if output_activation == "tanh" else x
    x = x + inside if residual else x
    wanted = (x - low) / (high - low)
    np.testing.assert_allclose(np.asarray(network(image(2)))[0], wanted, atol=5e-6)


def test_every_place_has_an_activation_of_its_own() -> None:
    network = deconv(depth=4).build(scale=2, channels=1, act=PReLU(initial_slope=0.25))
    slopes = [v for v in network.trainable_variables if "alpha" in v.path]
    assert [v.shape for v in slopes] == [(1, 1, 4)] * 3


def field_of(model: Model) -> int:
    network = model.build(scale=2, channels=1, act=ReLU())
    downscale = Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True)
    field = upscaler(network, model, downscale, 1).receptive_field
    assert field is not None
    assert field.reach == field.size // 2
    return field.size


@pytest.mark.parametrize(
    ("depth", "kernel_size", "field"), [(7, 3, 15), (2, 3, 5), (3, 5, 13), (5, 1, 1)]
)
def test_deconv_receptive_field(depth: int, kernel_size: int, field: int) -> None:
    """1 + depth (k - 1): the tutorial's seven 3x3 layers see 15x15."""
    assert field_of(deconv(depth=depth, kernel_size=kernel_size)) == field


@pytest.mark.parametrize(("sizes", "field"), [([9, 1, 5], 13), ([9, 3, 5], 15), ([9, 5, 5], 17)])
def test_srcnn_receptive_field(sizes: list[int], field: int) -> None:
    """One plus the sum of k - 1; Dong et al. count (9 + 5 - 1)^2 = 169 pixels for 9-1-5."""
    assert field_of(srcnn(kernel_sizes=sizes)) == field


def test_the_seed_decides_the_weights_that_training_starts_from() -> None:
    def weights(seed: int) -> np.ndarray:
        keras.utils.set_random_seed(seed)
        network = srcnn().build(scale=2, channels=1, act=ReLU())
        return np.concatenate([np.ravel(w) for w in network.get_weights()])

    np.testing.assert_array_equal(weights(3), weights(3))
    assert not np.allclose(weights(3), weights(4))


def test_hidden_layers_start_with_he_normal_weights() -> None:
    """He et al., 2015: variance 2 / fan-in, so that ReLU layers keep the signal's size."""
    keras.utils.set_random_seed(0)
    network = srcnn(filters=[64, 64], kernel_sizes=[9, 3, 5]).build(scale=2, channels=3, act=ReLU())
    (first, _), (second, _), (last, bias) = layers_of(network, keras.layers.Conv2D)
    assert first.std() == pytest.approx(np.sqrt(2 / (9 * 9 * 3)), rel=0.03)
    assert second.std() == pytest.approx(np.sqrt(2 / (3 * 3 * 64)), rel=0.03)
    assert last.any()
    assert not bias.any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 1}, "depth=1: must be between 2 and 100"),
        ({"kernel_size": 4}, "kernel_size=4: must be odd"),
        ({"filters": 0}, "filters=0: must be between 1 and 4096"),
        ({"value_range": [1.0, 0.0]}, "value_range=[1.0, 0.0]: must be two rising numbers"),
        ({"value_range": [0.0, 0.5, 1.0]}, "must be two rising numbers"),
        ({"output_activation": "tanhh"}, "must be one of linear, tanh; did you mean tanh?"),
        ({"upscale_interpolation": "bicubik"}, "did you mean bicubic?"),
    ],
)
def test_deconv_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        deconv(**changes)
    assert message in str(caught.value)
    assert caught.value.key == next(iter(changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": []}, "must have one entry more than filters=[]"),
        ({"filters": [64]}, "kernel_sizes=[5, 1, 3]: must have one entry more"),
        ({"kernel_sizes": [9, 2, 5]}, "kernel_sizes=[9, 2, 5]: must be odd"),
        ({"kernel_sizes": [33, 1, 5]}, "kernel_sizes=[33, 1, 5]: must be between 1 and 31"),
        ({"filters": [64, 0]}, "filters=[64, 0]: must be between 1 and 4096"),
    ],
)
def test_srcnn_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        srcnn(**changes)
    assert message in str(caught.value)
