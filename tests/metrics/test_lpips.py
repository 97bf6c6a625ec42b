"""The door for a perceptual distance, with small networks that have a closed form."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from srexp.metrics.lpips import LPIPS
from srexp.options import OptionError


def _saved(path: Path, distance, inputs=2) -> str:
    images = [keras.Input((None, None, 3)) for _ in range(inputs)]
    keras.Model(images, distance(*images)).save(path)
    return str(path)


def _weighted(a, b):
    """Mean square per channel, in the proportions 1 : 10 : 100."""
    return ops.sum(ops.mean(ops.square(a - b), axis=(1, 2)) * np.float32([1, 10, 100]), axis=-1)


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> LPIPS:
    metric = LPIPS(model=_saved(tmp_path_factory.mktemp("network") / "net.keras", _weighted))
    metric.prepare()
    return metric


def test_the_network_sees_rgb_in_0_to_1(weighted: LPIPS) -> None:
    reference = np.full((70, 64, 3), 40, np.uint8)
    image = reference + np.array([51, 102, 0], np.uint8)
    expected = 0.2**2 * 1 + 0.4**2 * 10
    assert weighted(image, reference) == pytest.approx(expected, rel=1e-4)
    assert weighted(reference, reference) == 0


def test_grey_is_three_equal_channels(weighted: LPIPS) -> None:
    reference = np.zeros((64, 70, 1), np.uint8)
    assert weighted(reference + np.uint8(51), reference) == pytest.approx(0.04 * 111, rel=1e-4)


def test_which_image_is_judged_and_which_is_the_reference(tmp_path: Path) -> None:
    def brighter(a, b):
        return ops.mean(ops.relu(a - b), axis=(1, 2, 3)) + ops.mean(ops.abs(a - b), (1, 2, 3))

    metric = LPIPS(model=_saved(tmp_path / "net.keras", brighter))
    metric.prepare()
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    assert metric(white, black) == 2
    assert metric(black, white) == 1


def test_inputs_are_left_alone(weighted: LPIPS) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8)
    reference = image // 2
    before = image.tobytes(), reference.tobytes()
    image.flags.writeable = reference.flags.writeable = False
    weighted(image, reference)
    assert (image.tobytes(), reference.tobytes()) == before


def test_the_weights_are_named_by_their_content(weighted: LPIPS) -> None:
    content = Path(str(weighted.model)).read_bytes()
    assert weighted.weights == f"net.keras [{hashlib.sha256(content).hexdigest()[:8]}]"
    assert weighted.note == f"by {weighted.weights}, less is better"


def test_without_weights_it_says_what_is_needed_and_where_that_is() -> None:
    with pytest.raises(OptionError, match=r"^model=null: LPIPS needs .*\.keras.*github\.com") as no:
        LPIPS(model=None)
    assert no.value.key == "model"
    assert "\n" not in str(no.value)


def _refused(model: Path | str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as no:
        LPIPS(model=str(model)).prepare()
    assert str(no.value).startswith(f"model={model}: ")
    assert "\n" not in str(no.value)


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    _refused(tmp_path / "none.keras", "no such file")
    rubbish = tmp_path / "rubbish.keras"
    rubbish.write_bytes(b"not a zip file")
    _refused(rubbish, r"wanted is a \.keras file")
    cut = tmp_path / "cut.keras"
    cut.write_bytes(Path(_saved(tmp_path / "net.keras", _weighted)).read_bytes()[:-200])
    _refused(cut, r"wanted is a \.keras file")


@pytest.mark.parametrize(
    ("distance", "inputs", "words"),
    [
        (lambda a: ops.mean(a, axis=(1, 2, 3)), 1, "wanted is"),
        (lambda a, b: ops.square(a - b), 2, r"shape \(1, 64, 64, 3\)"),
        (lambda a, b: ops.mean(a + b, axis=(1, 2, 3)), 2, "is no distance: .* and itself"),
        (
            lambda a, b: 0 * ops.mean(a - b, axis=(1, 2, 3)),
            2,
            "is no distance: 0 .*, -?0 ",
        ),
        (lambda a, b: ops.mean(ops.abs(a - b), axis=(1, 2, 3)) / 0, 2, "is no distance: nan"),
    ],
)
def test_a_network_that_is_no_distance_is_refused(distance, inputs, words, tmp_path: Path) -> None:
    _refused(_saved(tmp_path / "net.keras", distance, inputs), words)


def test_code_in_the_file_is_not_run(tmp_path: Path) -> None:
    """It would be a good distance, but a `Lambda` holds Python."""

    def distance(a, b):
        square = keras.layers.Lambda(lambda x: ((x[0] - x[1]) ** 2)[:, 0, 0, 0], output_shape=())
        return square([a, b])

    _refused(_saved(tmp_path / "net.keras", distance), "Lambda.*arbitrary code")
