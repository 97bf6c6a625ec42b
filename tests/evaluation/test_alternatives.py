"""A bicubic score that misses is explained by the setting that is off, whoever's it is."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from srexp.data.sets import ImageSet
from srexp.data.sources import read_photos
from srexp.degradations.chain import Chain
from srexp.degradations.downscale import Downscale
from srexp.degradations.links.resizing import Resize
from srexp.evaluation.alternatives import explain
from srexp.evaluation.published import Measured, PublishedRow, bicubic_report
from srexp.evaluation.reproduction import explanation_lines
from srexp.evaluation.scoring import Task
from srexp.images.resize import resize_matlab, resize_pillow
from srexp.metrics import ssim
from srexp.protocol import Protocol

PAPER = Protocol(degrade="y", lr_8bit=False, compare="y", border=None)
X2 = Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True)


@pytest.fixture(scope="module")
def images() -> ImageSet:
    """Two colour crops and a grey one."""
    photos = read_photos("photos", ["astronaut", "coffee", "chelsea"]).images
    crops = {name: image[60:156, 100:220] for name, image in photos.items()}
    crops["chelsea"] = crops["chelsea"][..., :1]
    return ImageSet("crops", crops)


def _scores(images: ImageSet, scale: int, **settings) -> tuple[float, float]:
    """Bicubic, as the settings' own programs do it: nothing of `Protocol` is used."""
    psnrs, ssims = [], []
    for image in images.images.values():
        levels = np.rint(image * 255)
        if settings.get("rgb"):
            hr = np.repeat(levels, 3, axis=2) if levels.shape[2] == 1 else levels
        elif levels.shape[2] == 1:
            hr = levels
        elif settings.get("full_range"):
            hr = np.floor(levels @ [0.299, 0.587, 0.114] + 0.5 + 1e-9)[..., None]
        else:
            hr = np.floor(16 + levels @ [65.481, 128.553, 24.966] / 255 + 0.5)[..., None]
        size = (hr.shape[0] // scale, hr.shape[1] // scale)
        eight = settings.get("lr_8bit", False)
        if settings.get("pillow"):
            lr = resize_pillow(hr / 255, size, eight_bit=eight)
            sr = resize_pillow(lr, hr.shape[:2], eight_bit=eight)
        else:
            lr = resize_matlab(hr / 255, size, antialias=settings.get("antialias", True))
            lr = np.clip(np.floor(lr * 255 + 0.5), 0, 255) / 255 if eight else lr
            sr = resize_matlab(lr, hr.shape[:2])
        sr = sr.astype(np.float64) * 255
        if settings.get("rounding") == "truncate":
            sr = np.clip(np.floor(sr), 0, 255)
        elif settings.get("rounding") != "none":
            sr = np.clip(np.floor(sr + 0.5), 0, 255)
        cut = settings.get("border", scale)
        inside = np.s_[cut : hr.shape[0] - cut, cut : hr.shape[1] - cut]
        error = np.mean((sr[inside] - hr[inside]) ** 2)
        psnrs.append(10 * math.log10(255**2 / error))
        ssims.append(ssim(sr[inside], hr[inside], peak=255))
    return float(np.mean(psnrs)), float(np.mean(ssims))


def _row(scale: int, psnr: float, ssim: float | None) -> PublishedRow:
    return PublishedRow(
        set="crops", scale=scale, method="bicubic", protocol="y_paper", paper="A paper", number=1,
        psnr=psnr, ssim=ssim, psnr_tolerance=0.0005, ssim_tolerance=0.00002, train=None,
    )  # fmt: skip


def _measured(images, published, protocol=PAPER, degradation=X2, scales=(2, 3)) -> list[Measured]:
    rows = []
    for scale in scales:
        task = Task(images, replace(degradation, scale=scale), "y_paper", protocol)
        row = _row(scale, *published(scale))
        rows.append(Measured.of(f"crops_x{scale}", row, bicubic_report(task)))
    return rows


# What somebody else's program does -> what is typed here to do the same, and back.
FAULTS = {
    "full-range Y": ({"full_range": True}, {"luma": "full"}, {},
                     "protocol.y_paper.luma=full", "protocol.y_paper.luma=studio"),
    "no antialiasing": ({"antialias": False}, {}, {"antialias": False},
                        "degradation.antialias=false", "degradation.antialias=true"),
    "unrounded": ({"rounding": "none"}, {"rounding": "none"}, {},
                  "protocol.y_paper.rounding=none", "protocol.y_paper.rounding=nearest"),
    "truncated": ({"rounding": "truncate"}, {"rounding": "truncate"}, {},
                  "protocol.y_paper.rounding=truncate", "protocol.y_paper.rounding=nearest"),
    "uncropped": ({"border": 0}, {"border": 0}, {},
                  "protocol.y_paper.border=0", "protocol.y_paper.border=null"),
    "Pillow's edges": ({"pillow": True}, {}, {"engine": "pillow"},
                       "degradation.engine=pillow", "degradation.engine=matlab"),
    "LR in 8 bits": ({"lr_8bit": True}, {"lr_8bit": True}, {},
                     "protocol.y_paper.lr_8bit=true", "protocol.y_paper.lr_8bit=false"),
    "RGB": ({"rgb": True, "lr_8bit": True}, {"degrade": "rgb", "lr_8bit": True, "compare": "rgb"},
            {}, "protocol.y_paper.compare=rgb", "protocol.y_paper.compare=y"),
    "Pillow in 8 bits": ({"pillow": True, "lr_8bit": True}, {"lr_8bit": True},
                         {"engine": "pillow"}, "degradation.engine=pillow",
                         "degradation.engine=matlab"),
}  # fmt: skip


def test_a_chain_is_tried_under_the_settings_that_it_has(images) -> None:
    """It has no antialiasing of its own, and its baseline an engine."""
    resize = Resize(factor=None, interpolation="bicubic", engine="matlab", antialias=True)
    chain = Chain(
        scale=2, interpolation="bicubic", engine="matlab", links={"a": resize}, order=None, seed=0
    )
    pillow = replace(chain, engine="pillow")
    theirs = {m.task.degradation.scale: m.psnr for m in
              _measured(images, lambda scale: (0.0, None), degradation=pillow)}  # fmt: skip
    measured = _measured(images, lambda scale: (theirs[scale], None), degradation=chain)
    found = explain(measured)
    assert [s.degradation for a in found.whole for s in a.settings] == [{"engine": "pillow"}]


@pytest.mark.parametrize("fault", FAULTS)
def test_their_setting_is_found(images, fault) -> None:
    settings, _, _, theirs, _ = FAULTS[fault]
    measured = _measured(images, lambda scale: _scores(images, scale, **settings))
    assert not any(m.passes for m in measured)
    found = explain(measured)
    assert len(found.whole) == 1
    assert found.whole[0].explained == [m.key for m in measured]
    (first, line) = explanation_lines(found, measured)
    assert first.startswith("explained") and theirs in line
    printed = float(re.search(r"x2 ([\d.]+) dB", line)[1])
    assert printed == pytest.approx(measured[0].row.psnr, abs=0.0006)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_setting_of_ours_that_was_broken_is_found(images, fault) -> None:
    _, protocol, degradation, _, mend = FAULTS[fault]
    measured = _measured(
        images, lambda scale: _scores(images, scale), replace(PAPER, **protocol),
        replace(X2, **degradation),
    )  # fmt: skip
    assert not any(m.passes for m in measured)
    found = explain(measured)
    (first, line) = explanation_lines(found, measured)
    assert first.startswith("explained") and mend in line


def test_ours_pass_where_nothing_is_off(images) -> None:
    assert all(m.passes for m in _measured(images, lambda scale: _scores(images, scale)))


def test_a_misprint_is_explained_by_nothing(images) -> None:
    def published(scale: int) -> tuple[float, float]:
        psnr, ssim = _scores(images, scale)
        return (psnr + 5, ssim) if scale == 3 else (psnr, ssim)

    measured = _measured(images, published)
    found = explain(measured)
    assert found.whole == [] and found.partial == []
    assert explanation_lines(found, measured)[0].startswith("not explained")


def test_what_explains_one_value_and_breaks_another_is_no_explanation(images) -> None:
    """One row as if unrounded, among others that pass: chance, or a table of two protocols."""

    def published(scale: int) -> tuple[float, float]:
        return _scores(images, scale, rounding="none" if scale == 2 else "nearest")

    measured = _measured(images, published, scales=(2, 3, 4))
    found = explain(measured)
    assert found.whole == []
    assert found.partial[0].explained == ["crops_x2"]
    assert sorted(found.partial[0].broken) == ["crops_x3", "crops_x4"]
    lines = explanation_lines(found, measured)
    assert "1 of the 1 row that misses; 2 that pass would miss" in lines[1]


def test_full_range_luma_is_pillows(images) -> None:
    for image in images.images.values():
        if image.shape[2] == 3:
            hr, _ = replace(PAPER, luma="full").pair(image, X2)
            levels = np.rint(image * 255).astype(np.uint8)
            theirs = np.asarray(Image.fromarray(levels).convert("L")).astype(int)
            ours = np.rint(hr[..., 0] * 255).astype(int)
            assert np.abs(ours - theirs).max() <= 1  # Pillow's is in fixed point
            assert np.mean(ours == theirs) > 0.99
