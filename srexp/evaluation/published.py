"""Published tables, and ours beside theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from srexp.evaluation.scoring import ImageResult, Report, Task
from srexp.options import OptionError, Options, bounded

# For what is read off as decimals and computed as floats: 33.665 is within 0.005 of 33.66.
_ROUNDING = 1e-9


@dataclass(kw_only=True)
class PublishedRow(Options, name="a row of a table"):
    """One published score, and what it belongs to.

    Attributes:
        set: The benchmark: `set5`.
        scale: Its scale.
        method: What was scored: `bicubic`, or a network's name.
        protocol: The name of its protocol.
        paper: Where it stands.
        number: Of the table in the paper; None where it is not known.
        psnr: In dB.
        ssim: None where it was not published.
        psnr_tolerance: How far ours may be from it, in dB.
        ssim_tolerance: How far ours may be from it; None without `ssim`.
        train: Overrides of `srexp train` that make a run for it; None for bicubic.
    """

    set: str
    scale: int = bounded(2, 8)
    method: str
    protocol: str
    paper: str
    number: int | None
    psnr: float = bounded(0, 100)
    ssim: float | None = bounded(-1, 1, default=None)
    psnr_tolerance: float = bounded(above=0)
    ssim_tolerance: float | None = bounded(above=0)
    train: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ssim is not None and self.ssim_tolerance is None:
            raise OptionError("tolerance.ssim=null: must be a number where ssim is given")
        if self.train is None and self.method != "bicubic":
            raise OptionError(
                f"method={self.method}: without weights there is bicubic alone; for a network, "
                "train must hold what to type after srexp train, by scale",
                "method",
            )

    @property
    def source(self) -> str:
        """`SRCNN, TPAMI 2016, table 2`."""
        return self.paper if self.number is None else f"{self.paper}, table {self.number}"

    def psnr_fits(self, psnr: float) -> bool:
        """Whether a PSNR in dB is within the tolerance; NaN never is."""
        return abs(psnr - self.psnr) <= self.psnr_tolerance + _ROUNDING

    def ssim_fits(self, ssim: float) -> bool:
        """Whether an SSIM is within the tolerance; any is where none was published."""
        if self.ssim is None or self.ssim_tolerance is None:
            return True
        return abs(ssim - self.ssim) <= self.ssim_tolerance + _ROUNDING

    def fits(self, psnr: float, ssim: float) -> bool:
        """Whether both are within their tolerance."""
        return self.psnr_fits(psnr) and self.ssim_fits(ssim)


@dataclass(frozen=True)
class PublishedTable:
    """A table as `conf/table/` has it: its name and its rows by key."""

    name: str
    rows: dict[str, PublishedRow]


@dataclass(frozen=True)
class Measured:
    """A published row, and ours.

    Attributes:
        key: Of the row in its table: `set5_x2`.
        row: What was published.
        task: What ours was measured on.
        psnr: Ours, in dB, the mean over images; NaN where no image has a finite one.
        ssim: Ours.
        images: How many the means are over.
        infinite: Images left out of the means: identical to HR.
        run: Id of the run that was scored; None for bicubic.
        weights: Which of its weights.
    """

    key: str
    row: PublishedRow
    task: Task
    psnr: float
    ssim: float
    images: int
    infinite: list[str]
    run: str | None = None
    weights: str = ""

    @classmethod
    def of(cls, key: str, row: PublishedRow, report: Report, run: str | None = None) -> Measured:
        """From the results of all images."""
        return cls(
            key,
            row,
            report.task,
            report.mean(lambda result: result.score.psnr),
            report.mean(lambda result: result.score.ssim),
            len(report.counted),
            report.infinite,
            run,
            report.weights,
        )

    @property
    def passes(self) -> bool:
        """Whether ours is theirs, within the tolerance."""
        return self.row.fits(self.psnr, self.ssim)

    @property
    def psnr_difference(self) -> float:
        """Ours less theirs, in dB."""
        return self.psnr - self.row.psnr

    @property
    def ssim_difference(self) -> float:
        """Ours less theirs; NaN where none was published."""
        return math.nan if self.row.ssim is None else self.ssim - self.row.ssim


def bicubic_report(task: Task) -> Report:
    """The baseline of a task as a report of its own."""
    rows = [ImageResult(c.name, c.bicubic_score, c.bicubic_score) for c in task.cases]
    return Report(task, rows, "bicubic", "")
