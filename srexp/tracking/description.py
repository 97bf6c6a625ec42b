"""A run's description in MLflow: what was typed, and what came of it."""

from __future__ import annotations

import json
import shlex
from typing import Any

from srexp.tracking.record import RunFolder

# How ours begin: what a person wrote instead is left alone.
_BEGINNING = "`srexp train"
_COLUMNS = ("psnr_bicubic", "psnr", "psnr_gain", "ssim_bicubic", "ssim")
_HEADINGS = ("PSNR bicubic", "PSNR", "gain dB", "SSIM bicubic", "SSIM")


def is_ours(note: str | None) -> bool:
    """Whether a description may be replaced."""
    return not note or note.startswith(_BEGINNING)


def describe(run: RunFolder) -> str:
    """Markdown: the command, and once there are scores the table of them."""
    typed = str(run.info.get("typed") or "")
    command = f"{_BEGINNING} {typed}".rstrip()
    lines = [f"{command}`", "", f"{run.info['status']}, {shlex.quote(str(run.folder.resolve()))}"]
    found = scores(run)
    if found:
        lines += ["", f"| image set | {' | '.join(_HEADINGS)} |", "|---|" + "---:|" * len(_COLUMNS)]
    for task, means in found.items():
        cells = [_cell(key, means) for key in _COLUMNS]
        lines.append(f"| {task} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def scores(run: RunFolder) -> dict[str, dict[str, float]]:
    """Image set and protocol -> means, the newest of each; `best/...` for validation images."""
    named: dict[str, float] = {}
    for point in run.points():
        if point.get("final"):
            named |= point["metrics"]
    for content in later_scores(run):
        means = content["means"]
        named |= {f"{content['key']}/{key}": float(value) for key, value in means.items()}
    found: dict[str, dict[str, float]] = {}
    for key, value in named.items():
        task, _, metric = key.rpartition("/")
        found.setdefault(task, {})[metric] = value
    return {task: means for task, means in found.items() if "psnr_gain" in means}


def later_scores(run: RunFolder) -> list[dict[str, Any]]:
    """What `srexp evaluate` wrote of the best weights, the oldest first."""
    found = []
    for path in run.folder.glob("evaluations/*/*/*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict) and isinstance(content.get("means"), dict):
            found.append(content)
    best = [
        content
        for content in found
        if {"key", "created"} <= content.keys()
        and not content.get("ensemble")
        and not str(content.get("weights")).startswith("last")
    ]
    return sorted(best, key=lambda content: content["created"])


def _cell(key: str, means: dict[str, float]) -> str:
    value = means.get(key)
    if value is None:
        return ""
    if key != "psnr_gain":
        return f"{value:.4f}" if key.startswith("ssim") else f"{value:.2f}"
    low, high = means.get("psnr_gain_low"), means.get("psnr_gain_high")
    interval = "" if low is None or high is None else f" ({low:+.2f} to {high:+.2f})"
    return f"{value:+.2f}{interval}"
