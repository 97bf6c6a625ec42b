"""Chains of links: what they do, and that no two different ones have one name."""

from __future__ import annotations

import dataclasses
import itertools
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from srexp.config.compose import compose
from srexp.config.identity import config_digest
from srexp.config.registry import implementations
from srexp.config.settings import build_option, experiment_of
from srexp.data.sets import read_folders
from srexp.degradations.base import Draw
from srexp.degradations.chain import Chain
from srexp.degradations.downscale import Downscale
from srexp.degradations.links.compression import Jpeg
from srexp.evaluation.published import bicubic_report
from srexp.evaluation.scoring import Task
from srexp.options import OptionError
from srexp.protocol import options_digest


@cache
def composed(*typed: str) -> dict[str, Any]:
    return compose(overrides=list(typed))


def config(*overrides: str, of: str = "chain") -> dict[str, Any]:
    """Of `degradation=chain degradation.KEY=...`, without the first word of each key.

    Keys are set here, groups by Hydra, which takes its time.
    """
    values = deepcopy(composed(f"degradation={of}", *(o for o in overrides if "@" in o)))
    for override in (o for o in overrides if "@" not in o):
        key, _, value = override.removeprefix("~degradation.").partition("=")
        *parents, last = key.split(".")
        node = values["degradation"]
        for parent in parents:
            node = node[parent]
        if override.startswith("~"):
            del node[last]
        else:
            node[last] = value if ":" in value else yaml.safe_load(value)
    return values


def chain(*overrides: str, of: str = "chain") -> Chain:
    return build_option("degradation", config(*overrides, of=of)["degradation"], "degradation")


def image(height: int = 48, width: int = 60) -> np.ndarray:
    return np.random.default_rng(1).random((height, width, 3), np.float32)


@pytest.mark.parametrize("engine", ["matlab", "pillow"])
def test_one_resize_alone_is_the_plain_degradation(engine: str) -> None:
    alone = chain("order=[resize]", f"links.resize.engine={engine}")
    plain = Downscale(scale=2, interpolation="bicubic", engine=engine, antialias=True)
    np.testing.assert_array_equal(alone(image()), plain(image()))
    assert not alone.random
    eight_bit = (degradation(image(), eight_bit=True) for degradation in (alone, plain))
    assert (alone.label == plain.label) is np.array_equal(*eight_bit)


def test_links_are_applied_in_order_and_as_often_as_said() -> None:
    given = chain("order=[blur,resize,blur,noise]", "seed=7")
    draw = Draw("picture", 3)
    blur, resize, noise = (given.links[name] for name in ("blur", "resize", "noise"))
    lr = (24, 30)
    made = image()
    for place, link in enumerate((blur, resize, blur, noise)):
        made = link(made, draw.generator(7, f"link {place}"), lr)
    np.testing.assert_array_equal(given(image(), draw=draw), made)
    assert np.abs(chain("order=[resize,blur,noise]")(image(), draw=draw) - made).max() > 0.01


def test_noise_has_the_stated_spread_and_is_no_others() -> None:
    """sigma in 8-bit levels; of another image, draw or seed it is another field."""
    noisy = chain("order=[resize,noise]", "links.noise.sigma=25")
    flat = np.full((400, 400, 3), 0.5, np.float32)

    def noise(draw: Draw, seed: int = 0) -> np.ndarray:
        return dataclasses.replace(noisy, seed=seed)(flat, draw=draw) - 0.5

    first = noise(Draw("a", 1))
    assert first.std() * 255 == pytest.approx(25, rel=0.01)
    assert abs(first.mean()) * 255 < 0.3
    for other in (noise(Draw("b", 1)), noise(Draw("a", 2)), noise(Draw("a", 1), seed=1)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(noise(Draw("a", 1)), first)


def test_two_noises_of_a_chain_are_not_the_same() -> None:
    once, twice = (
        chain(f"order=[resize,{names}]", "links.noise.sigma=20")
        for names in ("noise", "noise,noise")
    )
    flat = np.full((400, 400, 3), 0.5, np.float32)
    spreads = [(made(flat) - 0.5).std() * 255 for made in (once, twice)]
    assert spreads == pytest.approx([20, 20 * 2**0.5], rel=0.01)


DIFFERENT: tuple[tuple[str, ...], ...] = (
    (), ("order=[resize]",), ("order=[blur,resize]",), ("order=[resize,blur]",),
    ("order=[blur,blur,resize]",), ("order=[noise,blur,resize,jpeg]",), ("scale=3",), ("seed=1",),
    ("interpolation=bilinear",), ("engine=pillow",), ("links.blur.sigma=1.0000001",),
    ("links.blur.sigma=[1,2]",), ("links.blur.ratio=0.5",), ("links.blur.size=9",),
    ("links.blur.ratio=0.5", "links.blur.angle=10"), ("links.resize.interpolation=bilinear",),
    ("links.resize.engine=pillow",), ("links.resize.antialias=false",), ("links.noise.grey=true",),
    ("links.noise.sigma=5.5",), ("links.jpeg.quality=81",), ("links.jpeg.quality=[30,80]",),
    ("links.jpeg.subsampling=4:4:4",), ("link@degradation.links.jpeg=webp",),
    ("link@degradation.links.noise=poisson_noise",),
    ("+link@degradation.links.more=resize", "links.more.factor=0.5",
     "order=[more,resize]"),
    ("+link@degradation.links.more=resize", "links.more.factor=[0.5,1]",
     "order=[more,resize]"),
    ("links.resize.interpolation=[box,bicubic]",), ("title=own",),
    ("title=own", "links.blur.sigma=2"),
)  # fmt: skip


def test_no_two_different_chains_have_one_label_or_digest() -> None:
    made = [chain(*overrides) for overrides in DIFFERENT]
    assert len({one.label for one in made}) == len(made)
    # A title alone makes no other chain.
    assert len({options_digest(one) for one in made}) == len(made) - 1
    assert chain("title=own").label.startswith("x2 own ")
    assert all(one.label.startswith(f"x{one.scale} ") for one in made)


def test_the_order_of_the_links_counts_in_python_too() -> None:
    """JSON with sorted keys would make one digest of both."""
    given = chain("order=null")
    turned = dataclasses.replace(given, links=dict(reversed(given.links.items())))
    assert options_digest(given) != options_digest(turned)
    assert given.label != turned.label
    values = config()
    turned_values = deepcopy(values)
    links = turned_values["degradation"]["links"]
    turned_values["degradation"]["links"] = dict(reversed(links.items()))
    assert config_digest(values) != config_digest(turned_values)


def test_every_field_of_a_link_was_tried() -> None:
    tried = {override.split("=")[0] for overrides in DIFFERENT for override in overrides}
    links = {"blur": "gaussian_blur", "resize": "resize", "noise": "gaussian_noise", "jpeg": "jpeg"}
    for name, kind in links.items():
        for field in dataclasses.fields(implementations("link")[kind]):
            key = "more" if field.name == "factor" else name
            assert f"links.{key}.{field.name}" in tried


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("links.noise.sigma=15",), ("links.noise.sigma=15.0",)),
        ((), ("order=[blur,resize,noise,jpeg]",)),
        (("~degradation.links.noise",), ("order=[blur,resize,jpeg]", "seed=5")),  # nothing is drawn
        (("~degradation.links.jpeg", "+link@degradation.links.last=jpeg"), ()),
        (("links.blur.angle=30",), ()),  # of a round kernel
        (("links.resize.interpolation=nearest",),
         ("links.resize.interpolation=nearest", "links.resize.antialias=false")),
    ],
)  # fmt: skip
def test_equal_chains_are_one_however_they_were_typed(one: Any, other: Any) -> None:
    made = [chain(*overrides) for overrides in (one, other)]
    assert options_digest(made[0]) == options_digest(made[1])
    np.testing.assert_array_equal(*(each(image(), draw=Draw("a", 2)) for each in made))
    assert made[0].label == made[1].label

    assert config_digest(config(*one)) == config_digest(config(*other))


def test_the_version_of_the_jpeg_library_is_in_digest_and_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same options give other levels by another library."""

    def digests() -> tuple[str, str, str, str]:
        values = compose(overrides=["degradation=chain"])
        plain = compose(overrides=["degradation=bicubic"])
        return (
            options_digest(chain()), config_digest(values),
            options_digest(experiment_of(plain).degradation), config_digest(plain),
        )  # fmt: skip

    before = digests()
    assert "libjpeg" in Jpeg.code_version or "jpg" in Jpeg.code_version
    monkeypatch.setattr(Jpeg, "code_version", "libjpeg_turbo 0.1")
    after = digests()
    assert before[:2] != after[:2] and before[0] != after[0] and before[1] != after[1]
    assert before[2:] == after[2:]
    assert "libjpeg_turbo 0.1" in chain().label


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("order=[blur]",), "links: the last link that resizes"),
        (("order=[resize,resize]",), "links: the last link that resizes"),
        (("order=[]",), "links: the last link that resizes"),
        (("links.resize.factor=0.5",), "links: the last link that resizes"),
        (("order=[blur,nose,resize]",), r"order=\[blur,nose,resize\]: there is no link nose; "
         "there are blur, resize, noise, jpeg"),
        (("links.blur.size=4",), "links.blur.size=4: must be odd"),
        (("links.noise.sigma=[9,1]",), r"links.noise.sigma=\[9,1\]: must be a number, or two"),
        (("links.noise.sigma=300",), "links.noise.sigma=300: must be between 0 and 255"),
        (("links.resize.interpolation=hamming",), "links.resize.interpolation=hamming: engine="),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(overrides: Any, message: str) -> None:
    with pytest.raises(OptionError, match=rf"^degradation\.{message}"):
        chain(*overrides)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_file_is_8_bits_under_every_protocol(kind: str) -> None:
    given = ["degradation=chain", f"link@degradation.links.jpeg={kind}", "protocol=y_paper"]
    experiment = experiment_of(compose(overrides=given))
    assert experiment.degradation.stored == kind
    protocol = experiment.protocol["y_paper"]
    assert not protocol.lr_8bit and protocol.has_8bit_lr(experiment.degradation)
    for key in ("degradation", "trainer"):
        message = rf"^{key}\.lr_8bit=false: {kind} makes LR an 8-bit file; use null"
        with pytest.raises(OptionError, match=message):
            experiment_of(compose(overrides=[*given, f"{key}.lr_8bit=false"]))
    alone = compose(overrides=["degradation=chain", "~degradation.links.jpeg", "protocol=y_paper"])
    assert experiment_of(alone).degradation.stored == ""


def test_a_margin_bounds_the_reach_and_counts_where_something_is_drawn() -> None:
    assert chain("margin=9").reach == 9 < chain().reach
    assert chain("margin=999").reach == chain().reach
    assert options_digest(chain("margin=9")) != options_digest(chain())
    fixed = ("order=[blur,resize]",)
    assert options_digest(chain(*fixed, "margin=9")) == options_digest(chain(*fixed))


@pytest.mark.parametrize("name", ["web", "realesrgan_like", "bsrgan_like"])
def test_a_preset_draws_and_ends_at_the_size_of_lr_in_8_bits(name: str) -> None:
    preset = chain(of=name)
    assert preset.random and preset.stored == "jpeg"
    made = [preset(image(96, 120), draw=Draw("a", number)) for number in range(12)]
    assert {one.shape for one in made} == {(96 // preset.scale, 120 // preset.scale, 3)}
    assert all(np.abs(a - b).max() > 0.01 for a, b in itertools.pairwise(made))
    np.testing.assert_array_equal(made[3], preset(image(96, 120), draw=Draw("a", 3)))
    assert len(preset.label) < 60


def test_bd_is_the_published_one(shared_data: Path) -> None:
    """RDN, CVPR 2018, table 3: bicubic on Set5, x3, BD: 28.78 dB / 0.8308."""
    settings = compose(overrides=["protocol=y_of_rgb"])
    protocol = build_option("protocol", settings["protocol"]["y_of_rgb"], "protocol.y_of_rgb")
    task = Task(read_folders("set5", [shared_data / "set5"]), chain(of="bd"), "p", protocol)
    report = bicubic_report(task)
    assert report.mean(lambda row: row.score.psnr) == pytest.approx(28.78, abs=0.005)
    assert report.mean(lambda row: row.score.ssim) == pytest.approx(0.8308, abs=0.0003)
