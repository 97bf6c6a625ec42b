"""Results as tables: for the terminal and as CSV."""

from __future__ import annotations

import csv
import io
import math

from rich.table import Table
from rich.text import Text

from srexp.evaluation.cost import Cost
from srexp.evaluation.numbers import number
from srexp.evaluation.scoring import ImageResult, Report, Score, Task
from srexp.words import beside_bicubic, count

_CSV_COLUMNS = (
    "set", "scale", "degradation", "protocol", "digest", "method", "weights", "image",
    "psnr", "ssim", "psnr_bicubic", "ssim_bicubic", "psnr_gain",
)  # fmt: skip


def headline(report: Report) -> str:
    """The gain over bicubic in one sentence."""
    gain = report.gain
    if gain.n == 0:
        return "no image with a finite PSNR: no gain can be stated"
    text = beside_bicubic(gain.mean)
    if gain.n >= 2:
        text += f", 95 % interval {gain.low:+.2f} to {gain.high:+.2f} (Student's t, n = {gain.n})"
    else:
        text += " (n = 1: no interval)"
    better = sum(row.gain > 0 for row in report.counted)
    return f"{text}; better on {better} of {count(gain.n, 'image')}"


def table(report: Report) -> Table:
    """One row an image, then means; `caption` belongs under it."""
    drawn = Table(
        title=Text(report.task.label),  # not markup: a digest stands in brackets
        title_justify="left",
        show_footer=True,
    )
    method = report.method
    psnr_b = report.mean(lambda r: r.bicubic.psnr)
    psnr = report.mean(lambda r: r.score.psnr)
    ssim_b = report.mean(lambda r: r.bicubic.ssim)
    ssim = report.mean(lambda r: r.score.ssim)
    drawn.add_column("image", footer="mean")
    drawn.add_column("PSNR bicubic", footer=number(psnr_b, 2), justify="right")
    drawn.add_column(Text(f"PSNR {method}"), footer=number(psnr, 2), justify="right")
    drawn.add_column("gain dB", footer=number(psnr - psnr_b, 2, "+"), justify="right")
    drawn.add_column("SSIM bicubic", footer=number(ssim_b, 4), justify="right")
    drawn.add_column(Text(f"SSIM {method}"), footer=number(ssim, 4), justify="right")
    metrics = report.task.metrics
    for name, metric in metrics.items():
        mean, mean_b = (number(value, metric.digits) for value in report.further(name))
        drawn.add_column(f"{metric.label} bicubic", footer=mean_b, justify="right")
        drawn.add_column(Text(f"{metric.label} {method}"), footer=mean, justify="right")
    for row in report.rows:
        drawn.add_row(
            Text(row.image),
            number(row.bicubic.psnr, 2),
            number(row.score.psnr, 2),
            number(row.gain, 2, "+"),
            number(row.bicubic.ssim, 4),
            number(row.score.ssim, 4),
            *(
                number(score.further[name], metric.digits)
                for name, metric in metrics.items()
                for score in (row.bicubic, row.score)
            ),
        )
    return drawn


def caption(report: Report, cost: Cost | None) -> str:
    """What stands under the table."""
    lines = [headline(report)]
    if report.infinite:
        lines.append(
            f"left out of all means, identical to HR (PSNR infinite): {', '.join(report.infinite)}"
        )
    for name, metric in report.task.metrics.items():
        if metric.note:
            lines.append(f"{metric.label}: {metric.note}")
        small = [row.image for row in report.rows if math.isnan(row.score.further[name])]
        if small:
            lines.append(
                f"{metric.label}: none, and so no mean, where a side is below "
                f"{metric.minimum_side} pixels: {', '.join(small)}"
            )
    facts = [f"weights: {report.weights}"] if report.weights else []
    if cost is not None:
        facts.append(str(cost))
    if facts:
        lines.append("; ".join(facts))
    return "\n".join(lines)


def to_csv(report: Report) -> str:
    """The per-image results, full precision, with what they belong to in every line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    task = report.task
    judged = {name: metric.weights for name, metric in task.metrics.items() if metric.weights}
    writer.writerow(
        [
            *_CSV_COLUMNS,
            *(column for name in task.metrics for column in (name, f"{name}_bicubic")),
            *(f"{name}_weights" for name in judged),
        ]
    )
    for row in report.rows:
        writer.writerow(
            [
                task.images.name,
                task.degradation.scale,
                task.degradation_label,
                task.protocol_name,
                task.digest,
                report.method,
                report.weights,
                row.image,
                repr(row.score.psnr),
                repr(row.score.ssim),
                repr(row.bicubic.psnr),
                repr(row.bicubic.ssim),
                repr(row.gain),
                *(
                    repr(score.further[name])
                    for name in task.metrics
                    for score in (row.score, row.bicubic)
                ),
                *judged.values(),
            ]
        )
    return text.getvalue()


def from_csv(text: str, task: Task) -> Report | None:
    """The results that `to_csv` wrote; None where they are not of this task, or damaged."""
    rows = list(csv.DictReader(io.StringIO(text)))
    names = list(task.images.images)
    try:
        if any(row["digest"] != task.digest for row in rows) or names != [r["image"] for r in rows]:
            return None
        results = [
            ImageResult(
                row["image"],
                Score(float(row["psnr"]), float(row["ssim"])),
                Score(float(row["psnr_bicubic"]), float(row["ssim_bicubic"])),
            )
            for row in rows
        ]
        return Report(task, results, rows[0]["method"], rows[0]["weights"])
    except (KeyError, TypeError, ValueError):
        return None
