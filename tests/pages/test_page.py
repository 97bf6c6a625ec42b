"""What all pages share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests_page import read_page

from srexp.images.io import to_png
from srexp.pages.page import data_uri, render
from srexp.pages.slider import Slider, SliderPicture
from srexp.pages.times import duration

TEMPLATE = """{% extends "base.html.jinja" %}
{%- import "parts.html.jinja" as parts %}
{%- block body %}<h1>{{ title }}</h1>
{%- for one in shown %}{{ parts.slider(one, "s-%d" | format(loop.index)) }}{% endfor %}
{%- endblock %}
"""
EVIL = "<script>alert(1)</script>\"' onload=x {{ 7*7 }}"


def picture(level: int, name: str, caption: str = "") -> SliderPicture:
    return SliderPicture(name, data_uri(to_png(np.full((4, 6, 3), level, np.uint8))), caption)


def shown(title: str = "one", names: tuple[str, ...] = ("a", "b", "c")) -> Slider:
    pictures = tuple(picture(60 * i, name, f"{i} dB") for i, name in enumerate(names))
    return Slider(title, 6, 4, pictures, left=2, right=0, note="below")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html.jinja").write_text(TEMPLATE)
    return tmp_path


def test_without_a_slider_no_script_may_run(folder: Path) -> None:
    page = read_page(render(folder, "page.html.jinja", title=EVIL, shown=[]))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text["title"] == [EVIL]
    assert page.text["h1"] == [EVIL]


def test_a_slider_shows_two_of_its_pictures_before_any_script_runs(folder: Path) -> None:
    page = read_page(
        render(folder, "page.html.jinja", slider=True, title="t", shown=[shown(), shown(EVIL)])
    )
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["class"] for image in images] == ["right", "", "left"] * 2
    assert images[0]["src"] == shown().pictures[0].src
    selected = [a["value"] for tag, a in page.tags if tag == "option" and "selected" in a]
    assert selected == ["2", "0"] * 2  # left, right
    assert "aspect-ratio: 6 / 4" in page.attributes("style")
    assert all(image["alt"] for image in images)
    assert page.text["h3"] == ["one", EVIL]
    assert page.text["figcaption"].count("below") == 2


def test_a_size_that_is_stated_is_the_size_that_the_page_grows_by(folder: Path) -> None:
    without = render(folder, "page.html.jinja", slider=True, title="t", shown=[])
    with_one = render(folder, "page.html.jinja", slider=True, title="t", shown=[shown()])
    assert 0 < len(with_one) - len(without) - shown().nbytes < 1500


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61.2, "1:01"), (3599.6, "1:00:00"), (90061, "25:01:01")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
