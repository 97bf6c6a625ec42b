"""Why a bicubic score is not the published one: other settings, tried in turn.

A setting that somebody else had, or that was changed here by mistake, is one step away from ours
either way, so each single change of today's settings is measured, then each pair of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations, product
from typing import Any

from srexp.degradations.base import Degradation
from srexp.evaluation.published import Measured, bicubic_report
from srexp.evaluation.scoring import Task
from srexp.options import OptionError
from srexp.protocol import Protocol


@dataclass(frozen=True)
class Setting:
    """One position of a switch: a few words, and the keys that it sets."""

    words: str
    protocol: dict[str, Any] = field(default_factory=dict)
    degradation: dict[str, Any] = field(default_factory=dict)

    def typed(self, protocol_name: str) -> str:
        """As overrides of the command line."""
        keys = [(f"protocol.{protocol_name}.{key}", v) for key, v in self.protocol.items()]
        keys += [(f"degradation.{key}", v) for key, v in self.degradation.items()]
        return " ".join(f"{key}={_typed(value)}" for key, value in keys)


def _typed(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


# Each switch has the positions that programs are found in.
SWITCHES: tuple[tuple[Setting, ...], ...] = (
    (
        Setting("Y in 16..235, MATLAB's rgb2ycbcr", protocol={"luma": "studio"}),
        Setting("full-range Y, 0..255", protocol={"luma": "full"}),
    ),
    (
        Setting("antialiasing", degradation={"antialias": True}),
        Setting("no antialiasing", degradation={"antialias": False}),
    ),
    (
        Setting("results rounded to 8 bits", protocol={"rounding": "nearest"}),
        Setting("results truncated to 8 bits", protocol={"rounding": "truncate"}),
        Setting("results neither rounded nor clipped", protocol={"rounding": "none"}),
    ),
    (
        Setting("the border cropped by the scale", protocol={"border": None}),
        Setting("the border not cropped", protocol={"border": 0}),
    ),
    (
        Setting("MATLAB's edges, mirrored", degradation={"engine": "matlab"}),
        Setting("Pillow's edges, taps dropped", degradation={"engine": "pillow"}),
    ),
    (
        Setting("LR in floats", protocol={"lr_8bit": False}),
        Setting("LR rounded to 8 bits", protocol={"lr_8bit": True}),
    ),
    (
        Setting("Y alone", protocol={"degrade": "y", "lr_8bit": False, "compare": "y"}),
        Setting("RGB, 8 bits", protocol={"degrade": "rgb", "lr_8bit": True, "compare": "rgb"}),
        Setting("Y of RGB, 8 bits", protocol={"degrade": "rgb", "lr_8bit": True, "compare": "y"}),
    ),
    (Setting("a bicubic kernel", degradation={"interpolation": "bicubic"}),),
)


@dataclass(frozen=True)
class Alternative:
    """Settings that were tried, and what they give.

    Attributes:
        settings: What is changed, one or two.
        scores: PSNR in dB and SSIM by the key of the row.
        explained: Keys of the rows that miss today and would pass.
        broken: Keys of the rows that pass today and would miss.
    """

    settings: tuple[Setting, ...]
    scores: dict[str, tuple[float, float]]
    explained: list[str]
    broken: list[str]


@dataclass(frozen=True)
class Explanation:
    """What the search came to.

    Attributes:
        whole: Changes with which every row would pass; several where they cannot be told apart.
        partial: Where there is none: single changes with which some of the missed rows would
            pass, the best first.
    """

    whole: list[Alternative]
    partial: list[Alternative]


def explain(measured: Sequence[Measured]) -> Explanation:
    """Look for the setting with which bicubic's scores are the published ones.

    Args:
        measured: Rows of bicubic, those that pass too; all under one protocol and, but for the
            scale, one degradation.
    """
    rows = sorted(measured, key=lambda m: _pixels(m.task))  # most changes are out after one row
    missed = [m.key for m in rows if not m.passes]
    singles = [_measure(settings, rows) for settings in _changes(rows[0].task, 1)]
    whole = [a for a in singles if a.explained == missed and not a.broken]
    if whole:
        return Explanation(_nearest_first(whole, rows), [])
    # Two changes at once fit a value or two by chance, so they must fit all.
    for settings in _changes(rows[0].task, 2):
        if all(row.row.fits(*_scores(settings, row.task)) for row in rows):
            whole.append(_measure(settings, rows))
    partial = [a for a in singles if a.explained]
    partial.sort(key=lambda a: len(a.broken) - len(a.explained))
    return Explanation(_nearest_first(whole, rows), [] if whole else partial)


def _nearest_first(found: list[Alternative], rows: Sequence[Measured]) -> list[Alternative]:
    def distance(alternative: Alternative) -> float:
        return sum(abs(alternative.scores[m.key][0] - m.row.psnr) for m in rows)

    return sorted(found, key=distance)


def _pixels(task: Task) -> int:
    return sum(math.prod(shape) for shape in task.images.images.shapes.values())


def _changes(task: Task, count: int) -> Iterator[tuple[Setting, ...]]:
    """Every way to turn so many switches to a position in which they are not."""
    seen: list[tuple[Protocol, Degradation]] = []
    for switches in combinations(SWITCHES, count):
        for settings in product(*switches):
            changed = _changed(settings, task)
            if changed is None or any(_in_force(setting, task) for setting in settings):
                continue
            if (changed.protocol, changed.degradation) not in seen:  # two switches share a key
                seen.append((changed.protocol, changed.degradation))
                yield settings


def _in_force(setting: Setting, task: Task) -> bool:
    return all(
        getattr(option, key, value) == value
        for option, keys in (
            (task.protocol, setting.protocol),
            (task.degradation, setting.degradation),
        )
        for key, value in keys.items()
    )


def _changed(settings: Sequence[Setting], task: Task) -> Task | None:
    """The task under changed settings; None where they cannot be (Pillow, no antialiasing)."""
    protocol, degradation = task.protocol, task.degradation
    keys = {field.name for field in fields(degradation)}  # a chain has no antialiasing of its own
    if any(setting.degradation.keys() - keys for setting in settings):
        return None
    try:
        for setting in settings:
            protocol = replace(protocol, **setting.protocol)
            degradation = replace(degradation, **setting.degradation)
        return Task(task.images, degradation, task.protocol_name, protocol)
    except OptionError:
        return None


def _scores(settings: Sequence[Setting], task: Task) -> tuple[float, float]:
    changed = _changed(settings, task)
    if changed is None:  # images too small for a border of another width
        return math.nan, math.nan
    report = bicubic_report(changed)
    return report.mean(lambda r: r.score.psnr), report.mean(lambda r: r.score.ssim)


def _measure(settings: tuple[Setting, ...], rows: Sequence[Measured]) -> Alternative:
    scores = {m.key: _scores(settings, m.task) for m in rows}
    fit = {m.key: m.row.fits(*scores[m.key]) for m in rows}
    return Alternative(
        settings,
        scores,
        explained=[m.key for m in rows if fit[m.key] and not m.passes],
        broken=[m.key for m in rows if not fit[m.key] and m.passes],
    )
