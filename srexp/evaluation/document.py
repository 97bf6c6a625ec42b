"""An evaluation as JSON, for programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from srexp.evaluation.cost import Cost
    from srexp.evaluation.scoring import Report
    from srexp.evaluation.timing import Timing


def document(
    report: Report, *, cost: Cost | None, timing: Timing | None, **facts: Any
) -> dict[str, Any]:
    """What an evaluation found, and of what; plain data that JSON can hold.

    Args:
        report: The scores.
        cost: Of the network.
        timing: Where it was measured.
        facts: What else is to stand in it.

    Returns:
        Means over the counted images, the gain's interval, and one entry an image. A number that
        is not finite is None: the PSNR of identical images, an interval of one image.
    """
    task, gain = report.task, report.gain
    start = f"{task.key}/"
    return strict_json(
        {
            "method": report.method,
            "weights": report.weights or None,
            **facts,
            "set": task.images.name,
            "images": len(report.rows),
            "scale": task.degradation.scale,
            "degradation": task.degradation_label,
            "degradation_options": asdict(task.degradation),
            "protocol": task.protocol_name,
            "protocol_options": asdict(task.protocol),
            "key": task.key,
            "label": task.label,
            "digest": task.digest,
            "means": {k.removeprefix(start): v for k, v in report.metrics().items()},
            "psnr_gain_interval": {**asdict(gain), "confidence": 0.95},
            "left_out": report.infinite,
            "cost": asdict(cost) if cost is not None else None,
            "timing": asdict(timing) if timing is not None else None,
            "rows": [asdict(row) for row in report.rows],
        }
    )


def to_json(value: Any) -> str:
    """Indented, with a newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def strict_json(value: Any) -> Any:
    """The same plain data, but a number that is not finite is None: JSON has no other."""
    if isinstance(value, dict):
        return {key: strict_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
