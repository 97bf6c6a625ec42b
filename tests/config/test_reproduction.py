"""Which runs are a published row's network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from srexp.config.reproduction import difference, reproduce_settings
from srexp.options import OptionError

SRCNN = "experiment=srcnn_915_x3_t91"


@pytest.fixture
def srcnn(composed) -> Callable[..., dict[str, Any]]:
    """SRCNN's configuration, with keys changed."""

    def change(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        values = composed("train", SRCNN)
        for dotted, value in (changes or {}).items():
            *path, last = dotted.split(".")
            node = values
            for key in path:
                node = node[key]
            assert last in node
            node[last] = value
        return values

    return change


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"trainer.steps": 80000, "seed": 3, "optimizer.learning_rate": 0.01},
        {"paths.data_dir": "/elsewhere", "data.train_dir": "/elsewhere/t91"},
        {"tracking": {"name": "none"}},
    ],
)
def test_longer_or_otherwise_trained_is_the_same_network(srcnn, changes) -> None:
    assert difference(srcnn(changes), srcnn()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.filters": [64, 16]}, "model.filters=[64, 16], not [64, 32]"),
        ({"model.residual": True}, "model.residual=True, not False"),
        ({"degradation.scale": 2}, "degradation.scale=2, not 3"),
        ({"degradation.engine": "pillow"}, "degradation.engine=pillow, not matlab"),
        ({"color": "rgb"}, "color=rgb, not y"),
        ({"data.expected_images": 291}, "data.expected_images=291, not 91"),
        ({"protocol.y_paper.luma": "full"}, "protocol.luma=full, not studio"),
        ({"init_from": "a_run@12345678"}, "init_from=a_run@12345678, not None"),
    ],
)
def test_another_network_is_said_to_be_one(srcnn, changes, words) -> None:
    assert difference(srcnn(changes), srcnn()) == words


def test_a_run_of_before_luma_was_an_option_fits(srcnn) -> None:
    older = srcnn()
    for key in ("luma", "rounding"):
        del older["protocol"]["y_paper"][key]
    assert difference(older, srcnn()) is None


def test_the_first_protocol_counts(srcnn, composed) -> None:
    both = srcnn()
    both["protocol"] = {
        **both["protocol"],
        "rgb": composed("train", "protocol=rgb")["protocol"]["rgb"],
    }
    assert difference(both, srcnn()) is None
    both["protocol"] = dict(reversed(both["protocol"].items()))
    assert difference(both, srcnn()) == "protocol.compare=rgb, not y"


def test_what_a_row_says_itself_comes_first(changed) -> None:
    values = changed("reproduce", {"degradation.scale": 3})
    values["table"]["rows"]["set5_x3"]["paper"] = "Mine"
    rows = reproduce_settings(values, "bicubic").table.rows
    assert list(rows) == ["set5_x3", "set14_x3", "bsd100_x3"]
    assert [row.source for row in rows.values()] == [
        "Mine, table 2", "SRCNN, TPAMI 2016, table 2", "VDSR",
    ]  # fmt: skip


def test_a_row_of_an_unknown_set_is_not_passed_over(changed) -> None:
    values = changed("reproduce", {"degradation.scale": 3})
    values["table"]["rows"]["set5_x2"]["set"] = "set6"  # of another scale, too
    with pytest.raises(OptionError, match=r"rows\.set5_x2\.set=set6: no such .*did you mean set"):
        reproduce_settings(values, "bicubic")


def test_a_scale_without_a_command_is_told(changed) -> None:
    values = changed("reproduce", {}, "table=srcnn")
    values["table"]["train"] = {"x3": "experiment=srcnn_915_x3_t91"}
    with pytest.raises(OptionError, match="has no x2, the scale of set5_x2"):
        reproduce_settings(values, "srcnn")
