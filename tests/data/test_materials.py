"""From folders of pictures to what training needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from srexp.config.compose import compose
from srexp.config.settings import experiment_of
from srexp.data.sets import DataError, ImageSet
from srexp.data.sources import FolderBenchmark, Photos
from srexp.images.quantize import round_8bit, unpack
from srexp.images.resize import resize_matlab
from srexp.options import OptionError
from srexp.training.materials import gather


def _levels(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def _save(folder, **pictures):
    folder.mkdir(exist_ok=True)
    for name, levels in pictures.items():
        Image.fromarray(levels).save(folder / f"{name}.png")


def _pair(materials, name):
    (found,) = [pair for pair in materials.sampler.pairs if pair.name == name]
    return found


@pytest.fixture
def experiment(tmp_path):
    """Options over three folders with pictures of 24x24: train (a, b), val (v), bench (t)."""
    _save(tmp_path / "train", a=_levels(24, 24, 0), b=_levels(24, 26, 1))
    _save(tmp_path / "val", v=_levels(24, 24, 2))
    _save(tmp_path / "bench", t=_levels(24, 24, 3))

    def make(*overrides):
        config = compose(
            "train",
            [
                "data=folder",
                f"data.train_dir={tmp_path / 'train'}",
                f"data.val_dir={tmp_path / 'val'}",
                "benchmark=folder",
                f"benchmark.folder.dir={tmp_path / 'bench'}",
                "trainer.hr_patch_size=16",
                "tracking=none",
                f"paths.output_dir={tmp_path / 'out'}",
                *overrides,
            ],
        )
        return experiment_of(config)

    return make


def test_the_common_case_needs_no_remark(experiment):
    materials = gather(experiment())
    assert materials.remarks == []
    assert list(materials.train.images) == ["a", "b"]
    # LR grids of 12x12 and 12x13, patches of 8 LR pixels.
    assert materials.sampler.patch_count == 5 * 5 + 5 * 6
    assert [task.key for task in materials.validation] == ["val_x2/rgb"]
    assert [task.key for task in materials.benchmarks] == ["folder-bench_x2/rgb"]
    assert list(materials.benchmarks[0].images.images) == ["t"]


def test_every_set_is_scored_under_every_protocol(experiment):
    materials = gather(experiment("protocol=[y_paper,rgb]", "degradation.scale=3",
                                  "trainer.hr_patch_size=15"))  # fmt: skip
    assert [task.key for task in materials.validation] == ["val_x3/y_paper", "val_x3/rgb"]
    assert [task.key for task in materials.benchmarks] == [
        "folder-bench_x3/y_paper",
        "folder-bench_x3/rgb",
    ]


def test_an_rgb_network_is_trained_on_eight_bit_pictures(experiment):
    materials = gather(experiment("model=deconv"))
    pair = _pair(materials, "a")
    hr = materials.train.images["a"]
    np.testing.assert_array_equal(unpack(pair.hr), hr)
    lr = np.clip(np.floor(resize_matlab(hr, (12, 12)) * 255.0 + 0.5), 0, 255) / 255
    np.testing.assert_allclose(unpack(pair.inputs[0]), resize_matlab(lr, (24, 24)), atol=1e-6)


def test_a_y_network_is_trained_on_the_papers_luma(experiment):
    materials = gather(experiment("protocol=y_paper", "color=y", "model=srcnn"))
    pair = _pair(materials, "b")
    exact = np.rint(materials.train.images["b"] * 255).astype(int) @ [65481, 128553, 24966]
    luma = (16 + (exact + 127500) // 255000)[..., None] / 255
    np.testing.assert_allclose(unpack(pair.hr), luma, atol=1e-6)
    inputs = resize_matlab(resize_matlab(luma, (12, 13)), (24, 26))
    np.testing.assert_allclose(unpack(pair.inputs[0]), inputs, atol=1e-6)


def test_a_y_network_sees_the_luma_of_eight_bit_pictures(experiment):
    materials = gather(experiment("protocol=rgb", "color=y", "model=srcnn"))
    weights = np.array([65.481, 128.553, 24.966])
    hr = materials.train.images["a"]
    lr = np.clip(np.floor(resize_matlab(hr, (12, 12)) * 255.0 + 0.5), 0, 255) / 255
    pair = _pair(materials, "a")
    np.testing.assert_allclose(unpack(pair.hr)[..., 0], (16 + hr @ weights) / 255, atol=1e-6)
    y = ((16 + lr @ weights) / 255)[..., None]
    np.testing.assert_allclose(unpack(pair.inputs[0]), resize_matlab(y, (24, 24)), atol=1e-6)


def test_an_rgb_network_sees_luma_as_three_equal_channels(experiment):
    materials = gather(experiment("protocol=y_paper", "color=rgb", "model=srcnn"))
    luma = gather(experiment("protocol=y_paper", "color=y", "model=srcnn"))
    for pair, grey in zip(materials.sampler.pairs, luma.sampler.pairs, strict=True):
        np.testing.assert_array_equal(unpack(pair.hr), unpack(grey.hr).repeat(3, 2))
        wanted = unpack(grey.inputs[0]).repeat(3, 2)
        np.testing.assert_allclose(unpack(pair.inputs[0]), wanted, atol=1e-7)


def test_what_is_trained_on_is_what_is_scored_on(experiment, tmp_path):
    # The same picture as training pair and as case: the network's input is the bicubic baseline.
    _save(tmp_path / "bench", t=_levels(24, 24, 0))
    for protocol, color in (("y_paper", "y"), ("rgb", "rgb")):
        materials = gather(experiment(f"protocol={protocol}", f"color={color}", "model=srcnn"))
        pair, case = _pair(materials, "a"), materials.benchmarks[0].cases[0]
        np.testing.assert_array_equal(unpack(pair.hr), unpack(case.hr))
        np.testing.assert_array_equal(round_8bit(unpack(pair.inputs[0])), unpack(case.bicubic))


def test_images_smaller_than_a_patch_are_skipped_by_name(experiment, tmp_path):
    _save(tmp_path / "train", narrow=_levels(40, 15, 4), flat=_levels(15, 40, 5),
          fits=_levels(16, 16, 6))  # fmt: skip
    materials = gather(experiment())
    assert list(materials.train.images) == ["a", "b", "fits"]
    assert sorted(pair.name for pair in materials.sampler.pairs) == ["a", "b", "fits"]
    (remark,) = materials.remarks
    assert remark == (
        "2 training images are smaller than a patch of 16 pixels, so skipped: flat, narrow"
    )


def test_no_image_as_large_as_a_patch_is_an_error(experiment):
    with pytest.raises(DataError, match=r"=32: all training images are smaller \(a, b\)"):
        gather(experiment("trainer.hr_patch_size=32"))


def test_a_benchmark_with_validation_images_is_refused(experiment, tmp_path):
    _save(tmp_path / "bench", other_name=_levels(24, 24, 2))
    with pytest.raises(DataError, match=r"benchmark folder-bench: holds validation images \(v\)"):
        gather(experiment())


@pytest.mark.parametrize("prepare", ["white_square", "center_crop"])
def test_a_benchmark_with_validation_images_is_refused_however_they_are_prepared(
    experiment, tmp_path, prepare
):
    _save(tmp_path / "bench", other_name=_levels(24, 24, 2))
    with pytest.raises(DataError, match="holds validation images"):
        gather(experiment(f"data.prepare={prepare}", "data.prepare_size=20"))


def test_a_benchmark_with_training_images_is_remarked(experiment, tmp_path):
    _save(tmp_path / "bench", other_name=_levels(24, 26, 1))
    (remark,) = gather(experiment()).remarks
    assert remark.startswith("benchmark folder-bench holds training images (b)")


def test_a_validation_image_among_the_training_images_is_remarked(experiment, tmp_path):
    _save(tmp_path / "val", again=_levels(24, 24, 0))
    (remark,) = gather(experiment()).remarks
    assert remark.startswith("val holds training images (again)")


@pytest.mark.parametrize("folder", ["val", "bench"])
def test_images_too_small_to_be_scored_are_named(experiment, tmp_path, folder):
    # x2: the SSIM window of 11 and two pixels of border on each side, and even: 16.
    _save(tmp_path / folder, tiny=_levels(30, 15, 7), enough=_levels(16, 16, 8))
    with pytest.raises(DataError, match=r"side below 16 pixels .* scale 2: tiny \(15x30\)$"):
        gather(experiment())


def test_remarks_on_files_are_handed_on(experiment, tmp_path):
    for level, folder in enumerate(("train", "val", "bench")):
        clear = np.full((24, 24, 4), 8 * level, np.uint8)
        Image.fromarray(clear).save(tmp_path / folder / "clear.png")
        (tmp_path / folder / "old.gif").touch()
    assert gather(experiment()).remarks == [
        f"{tmp_path / folder}: {remark}"
        for folder in ("train", "val", "bench")
        for remark in (
            "clear.png: transparent pixels are laid on white",
            "old.gif: kinds that are not read (1 gif)",
        )
    ]


def test_names_order_and_folders_of_the_same_pictures_change_nothing(experiment, tmp_path):
    """Their content decides: pairs, split, what is drawn for each, the identity."""
    pictures = [_levels(24, 24 + i, i) for i in range(6)]
    _save(tmp_path / "one", **{f"p{i}": image for i, image in enumerate(pictures)})
    _save(tmp_path / "two", **{f"p{i}": image for i, image in enumerate(reversed(pictures))})
    _save(tmp_path / "three", x=pictures[4], y=pictures[0])
    _save(tmp_path / "four", x=pictures[1], y=pictures[5], z=pictures[2], a=pictures[3])

    def made(*folders):
        given = ",".join(str(tmp_path / folder) for folder in folders)
        materials = gather(
            experiment(f"data.train_dir=[{given}]", "data.val_dir=null", "degradation=dn",
                       "degradation.scale=2")
        )  # fmt: skip
        batch = materials.sampler.batch(3)
        chosen = sorted(materials.validation[0].images.pixel_digests.values())
        return batch, chosen, materials.identity("c")

    first = made("one")
    for folders in (["two"], ["three", "four"], ["four", "three"]):
        (inputs, hr), chosen, identity = made(*folders)
        np.testing.assert_array_equal(inputs, first[0][0])
        np.testing.assert_array_equal(hr, first[0][1])
        assert (chosen, identity) == first[1:]


CHAIN = ("degradation=chain", "degradation.links.noise.sigma=[5,20]")


def test_each_patch_of_each_step_is_degraded_anew(experiment, tmp_path):
    """On one flat picture with one patch in it, what differs is what is drawn."""
    _save(tmp_path / "train", a=np.full((8, 8, 3), 128, np.uint8))
    (tmp_path / "train" / "b.png").unlink()
    sampler = gather(experiment(*CHAIN, "trainer.hr_patch_size=8", "trainer.augment=false")).sampler
    assert sampler.patch_count == 1
    patches = [patch for step in range(5) for patch in sampler.batch(step)[0]]
    assert len({patch.tobytes() for patch in patches}) == len(patches) == 5 * sampler.batch_size
    # A function of the step alone, whoever asks for what part.
    np.testing.assert_array_equal(sampler.batch(3)[0][1:], sampler.batch(3, slice(1, None))[0])


def test_two_images_never_get_the_same_noise(experiment, tmp_path):
    _save(
        tmp_path / "train", a=np.full((8, 8, 3), 100, np.uint8), b=np.full((8, 8, 3), 150, np.uint8)
    )
    pairs = gather(
        experiment("degradation=dn", "degradation.scale=2", "trainer.hr_patch_size=8",
                   "degradation.links.noise.sigma=5")
    ).sampler.pairs  # fmt: skip
    noise = [inputs - hr[0, 0] for inputs, hr in (pair.cut(0, 0, 4, 2, draw=7) for pair in pairs)]
    assert np.abs(noise[0] - noise[1]).max() > 0.01


@pytest.mark.parametrize("model", ["deconv", "srcnn"])
@pytest.mark.parametrize("protocol", ["rgb", "y_paper"])
def test_a_patch_has_no_edge_that_the_image_has_not(experiment, tmp_path, model, protocol):
    """Noise of strength 0 is drawn all the same: patches are degraded one by one, to what whole
    images are degraded to."""
    _save(tmp_path / "train", a=_levels(60, 52, 0), b=_levels(53, 64, 1))
    chain = (
        "degradation=chain",
        "~degradation.links.jpeg",
        f"model={model}",
        f"protocol={protocol}",
    )
    drawn, whole = (
        gather(experiment(*chain, *more)).sampler
        for more in (["degradation.links.noise.sigma=0"], ["~degradation.links.noise"])
    )
    for step in range(20):
        for got, wanted in zip(drawn.batch(step), whole.batch(step), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_the_training_seed_changes_nothing_that_is_scored(experiment):
    def scored(*overrides):
        (task,) = gather(experiment(*CHAIN, *overrides)).validation
        return task.digest, [case.lr.tobytes() for case in task.cases]

    assert scored("seed=1") == scored("seed=2")
    assert scored("degradation.seed=1") != scored("degradation.seed=2")


def test_the_version_of_our_results_is_in_the_identity(experiment, monkeypatch):
    from srexp.training import materials as module

    materials = gather(experiment())
    before = materials.identity("c")
    assert materials.identity("c") == before != materials.identity("d")
    monkeypatch.setattr(module, "RESULTS_VERSION", module.RESULTS_VERSION + 1)
    assert materials.identity("c") != before


def test_the_last_benchmark_decides_the_result_and_the_order_of_the_others_nothing(
    experiment, tmp_path
):
    for i in range(3):
        _save(tmp_path / f"b{i}", t=_levels(24, 24, 10 + i))

    def identity(*order):
        values = {
            f"b{i}": FolderBenchmark(
                dir=str(tmp_path / f"b{i}"), expected_images=None, expected_digest=None
            )
            for i in order
        }
        return gather(replace(experiment(), benchmark=values)).identity("c")

    assert identity(0, 1, 2) == identity(1, 0, 2) != identity(0, 2, 1)


def test_rescaled_copies_are_trained_on_and_not_validated_on(experiment):
    plain, more = experiment(), experiment("data.rescaled=[0.75,0.7]")
    materials = gather(more)
    names = [pair.name for pair in materials.sampler.pairs]
    assert sorted(names) == ["a", "a x0.7", "a x0.75", "b", "b x0.7", "b x0.75"]
    assert list(materials.validation[0].images.images) == ["v"]
    image = materials.train.images["b x0.7"]
    assert image.shape == (17, 18, 3)
    # MATLAB's imresize(image, 0.7) computes as many rows as ceil says; ours rounds the sizes.
    whole = materials.train.images["b"]
    np.testing.assert_array_equal(
        image, round_8bit(resize_matlab(whole, (17, 18), "bicubic", factor=0.7))
    )
    assert gather(plain).identity("") != materials.identity("")
    again = gather(experiment("data.rescaled=[0.7,0.75]"))
    assert again.identity("") == materials.identity("")


def test_a_copy_of_a_benchmarks_image_is_remarked_as_the_image_is(experiment, tmp_path):
    _save(tmp_path / "train", t=_levels(24, 24, 3))
    remarks = gather(experiment("data.rescaled=[0.75]")).remarks
    assert any("holds training images (t" in remark for remark in remarks)


@pytest.mark.parametrize("value", ["[1]", "[0.5,0.5]", "[0]", "[1.5]"])
def test_factors_that_are_none(experiment, value):
    with pytest.raises(OptionError, match="rescaled"):
        experiment(f"data.rescaled={value}")


def test_pairs_that_come_with_lr_are_not_rescaled(tmp_path):
    images = ImageSet("train", {"a": np.zeros((8, 8, 3))}, lr={"a": np.zeros((4, 4, 3))})
    photos = Photos(
        train=["rocket"], val=["flower"], prepare="native", prepare_size=16, rescaled=[0.5]
    )
    with pytest.raises(DataError, match="has LR images of its own"):
        photos._with_rescaled(images)
