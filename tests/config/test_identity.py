"""What a run is: which configurations, and whose code, give the same."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srexp.config.effect import WITHOUT_EFFECT
from srexp.config.identity import config_digest, deciding, source_digest, sources
from srexp.config.registry import implementations
from srexp.options import flatten

Changed = Callable[..., dict[str, Any]]

# Other values of keys that have no effect, with what must stand beside them for that.
IDLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"paths.output_dir": "elsewhere"}, {}),
    ({"tracking.uri": "http://h:1"}, {}),
    ({"tracking.experiment": "e2"}, {}),
    ({"tracking.timeout_seconds": 3}, {}),
    ({"tracking.register": "tiny"}, {}),
    ({"tracking": {"name": "none"}}, {}),
    ({"resume": "latest"}, {}),
    ({"experiment": "mine"}, {}),
    ({"trainer.max_minutes": 5.0}, {}),  # `running.job.complete` looks at it
    ({"trainer.dry_run": True}, {}),
    ({"trainer.sample_grids": 0}, {}),
    ({"trainer.strategy": "mirrored"}, {}),
    ({"trainer.keep_checkpoints": 7}, {}),
    ({"trainer.min_delta": 0.5}, {"trainer.patience": None}),
    ({"data.prepare_size": 64}, {"data.prepare": "native"}),
    ({"data.rescaled": [0.7, 0.9]}, {"data.rescaled": [0.9, 0.7]}),
    ({"protocol.rgb.border": 3}, {"degradation.scale": 3}),
    ({"model.upscale_interpolation": "bilinear"}, {"degradation.interpolation": "bilinear"}),
    ({"degradation.antialias": False}, {"degradation.interpolation": "nearest"}),
]


@pytest.mark.parametrize(("change", "beside"), IDLE)
def test_what_cannot_change_the_result_is_not_in_the_digest(
    changed: Changed, change: dict[str, Any], beside: dict[str, Any]
) -> None:
    before = config_digest(changed("train", beside))
    assert config_digest(changed("train", {**beside, **change})) == before


@pytest.mark.parametrize(
    ("change", "beside"),
    [
        ({"trainer.min_delta": 0.5}, {"trainer.patience": 3}),
        ({"data.prepare_size": 64}, {"data.prepare": "center_crop"}),
        ({"protocol.rgb.border": 3}, {"degradation.scale": 2}),
        ({"model.upscale_interpolation": "nearest"}, {}),
        ({"degradation.antialias": False}, {}),
    ],
)
def test_the_same_key_has_an_effect_beside_other_values(
    changed: Changed, change: dict[str, Any], beside: dict[str, Any]
) -> None:
    before = config_digest(changed("train", beside))
    assert config_digest(changed("train", {**beside, **change})) != before


def test_everything_else_is_in_the_digest(changed: Changed) -> None:
    """Each key of the default configuration in turn, so a new one is looked at too."""
    beside = {
        "trainer.patience": 3, "data.prepare": "center_crop", "trainer.early_patch_sizes": [32],
    }  # fmt: skip
    default = changed("train", beside)
    before, digests = config_digest(default), set()
    for key, value in flatten(default).items():
        if any(key == k or key.startswith(f"{k}.") for k in (*WITHOUT_EFFECT, "experiment")):
            continue
        if key.endswith(".name"):  # of another option, where the group has any
            names = [n for n in implementations(key.split(".")[0]) if n != value]
            if not names:
                continue
            other = config_digest(changed("train", {**beside, key: names[0]}))
        else:
            other = config_digest(changed("train", {**beside, key: [value, "changed"]}))
        assert other != before, key
        digests.add(other)
    assert len(digests) > 40
    assert len(before) == 16


@pytest.mark.parametrize(
    ("key", "one", "other"),
    [
        ("optimizer.clip_norm", 1, 1.0),
        ("optimizer.learning_rate", "1e-3", 0.001),
        ("model.value_range", [0, 1], [0.0, 1.0]),
        ("trainer.steps", "500", 500),
        ("trainer.augment", "true", True),
    ],
)
def test_values_are_typed(changed: Changed, key: str, one: Any, other: Any) -> None:
    assert config_digest(changed("train", {key: one})) == config_digest(
        changed("train", {key: other})
    )


def test_nesterov_needs_momentum(composed: Changed) -> None:
    def digest(momentum: float, nesterov: bool) -> str:
        values = composed("train", "optimizer=sgd")
        values["optimizer"] |= {"momentum": momentum, "nesterov": nesterov}
        return config_digest(values)

    assert digest(0, True) == digest(0.0, False)
    assert digest(0.9, True) != digest(0.9, False)


def test_the_order_of_keys_is_not_in_the_digest(changed: Changed) -> None:
    values = changed("train", {})
    turned = {k: dict(reversed(v.items())) if isinstance(v, dict) else v for k, v in values.items()}
    assert config_digest(dict(reversed(turned.items()))) == config_digest(values)


def test_order_counts_where_it_decides(composed: Changed) -> None:
    """The first protocol makes the training pairs; the gain on the last benchmark is the result."""

    def digest(*overrides: str) -> str:
        return config_digest(composed("train", *overrides))

    rgb = digest("protocol=[rgb,y_of_rgb,y_paper]")
    assert digest("protocol=[rgb,y_paper,y_of_rgb]") == rgb
    assert digest("protocol=[y_of_rgb,rgb,y_paper]") != rgb
    last = digest("benchmark=[set5,set14,photos]")
    assert digest("benchmark=[set14,set5,photos]") == last
    assert digest("benchmark=[set5,photos,set14]") != last


def test_where_the_data_lies_is_not_in_the_digest(composed: Changed) -> None:
    """The images' own digest is in the identity; the folder that holds them can be moved."""
    here, there = (
        composed("train", "data=t91", "benchmark=set5", f"paths.data_dir=/{place}")
        for place in ("here", "there")
    )
    assert config_digest(here) == config_digest(there)
    # A check that passed, and a split of nothing.
    there["data"] |= {"expected_images": None, "val_dir": "/v", "split_seed": 3}
    here["data"] |= {"val_dir": "/v"}
    there["benchmark"]["set5"] |= {"expected_images": None, "expected_digest": None}
    assert config_digest(here) == config_digest(there)


def test_an_option_that_is_not_here_counts_as_it_stands(changed: Changed) -> None:
    values = changed("train", {"model": {"name": "elsewhere", "depth": 3}})
    assert deciding(values)["model.depth"] == 3
    assert config_digest(values) != config_digest(
        changed("train", {"model": {"name": "elsewhere", "depth": 4}})
    )


# The code of options from elsewhere.

MODULE = '''
"""A package of somebody else's."""
from dataclasses import dataclass

from srexp.activations.base import Activation


@dataclass(kw_only=True)
class {name}(Activation, name="{name}"):
    """An activation."""

    def build(self):
        from . import layers  # when it is built

        return layers.swish()
'''


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Any:
    """`theirs(layers="...")`: an option of a package, and its files."""
    package = f"theirs_{abs(hash(request.node.name))}"
    folder = tmp_path / package
    folder.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    files = {
        "__init__.py": "",
        "options.py": MODULE.format(name=package),
        "layers.py": "from . import deep\n\ndef swish():\n    return deep.swish\n",
        "deep.py": "swish = 1\n",
        "unrelated.py": "",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    __import__(f"{package}.options")
    yield package, folder
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_ours_have_one_version_for_all(composed: Changed) -> None:
    assert sources(composed("train", "protocol=[rgb,y_paper]")) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("options.py", "return layers.swish()", "return layers.swish(2)", False),
        ("layers.py", "return deep.swish", "return deep.swish + 1", False),
        ("deep.py", "swish = 1", "swish = 2", False),
        ("options.py", "# when it is built", "# later", True),
        ("options.py", "An activation.", "A better one.", True),
        ("deep.py", "swish = 1\n", "swish   =   1  # exact\n\n", True),
        ("unrelated.py", "", "x = 1\n", True),
    ],
)
def test_the_code_of_an_option_from_elsewhere_is_in_the_digest(
    changed: Changed, theirs: Any, file: str, old: str, new: str, same: bool
) -> None:
    name, folder = theirs
    values = changed("train", {"act": {"name": name}})
    before, digest = sources(values), config_digest(values)
    assert list(before) == ["act"] and len(before["act"]) == 16
    path = folder / file
    path.write_text(path.read_text().replace(old, new) if old else new)
    assert (sources(values) == before) is same
    assert (config_digest(values) == digest) is same


def test_a_version_that_the_class_declares_stands_for_its_code(
    changed: Changed, theirs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, folder = theirs
    cls = implementations("act")[name]
    monkeypatch.setattr(cls, "code_version", "3", raising=False)
    values = changed("train", {"act": {"name": name}})
    assert sources(values) == {"act": "3"}
    (folder / "options.py").write_text("x = 1")
    assert sources(values) == {"act": "3"}


def test_modules_without_a_source_are_passed_over() -> None:
    assert source_digest(["nowhere.at.all", "sys"]) == source_digest([])
