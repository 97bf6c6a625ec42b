"""Comparing from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from srexp.comparison import output
from srexp.comparison.side_by_side import SideBySide, put_side_by_side, read
from srexp.comparison.standard import standard_tables
from srexp.library.rows import Rows
from srexp.library.run import Run, where
from srexp.pages.table import DOCUMENTS, Table, fragment, to_text
from srexp.tracking.record import RunError, RunFolder, find_runs

if TYPE_CHECKING:
    import pandas


class Comparison:
    """Methods side by side; printed, and shown in a notebook, as tables.

    Attributes:
        tables: One a task: means, gains, paired differences with their tests.
        remarks: What a reader must know.
    """

    def __init__(self, found: SideBySide) -> None:
        self.tables, self.remarks = found.tables, found.remarks

    @property
    def rows(self) -> Rows:
        """One row a method against bicubic, then one for each two methods, with all digits.

        >>> [row["method"] for row in comparison.rows][0]
        'bicubic'
        """
        return Rows(output.to_rows(self.tables), words=8)

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a data frame."""
        return self.rows.to_pandas()

    def to_markdown(self) -> str:
        """The tables as Markdown."""
        return DOCUMENTS["markdown"]("", self._shown(), self.remarks)

    def to_latex(self) -> str:
        """The table of papers as LaTeX."""
        return DOCUMENTS["latex"]("", standard_tables(self.tables), self.remarks)

    def _shown(self) -> list[Table]:
        paper = standard_tables(self.tables) if len(self.tables) > 1 else []
        return [*paper, *(one for table in self.tables for one in output.statistics_tables(table))]

    def __repr__(self) -> str:
        lines = []
        for table in self._shown():
            lines += [*filter(None, [table.caption]), *to_text(table), *table.notes, ""]
        return "\n".join([*lines, *(f"note: {line}" for line in self.remarks)]).rstrip()

    def _repr_html_(self) -> str:
        return fragment(*self._shown(), remarks=self.remarks)


def compare(
    *runs: Run | str | Path,
    benchmark: str | Sequence[str] = (),
    protocol: str | Sequence[str] = (),
    metric: Literal["psnr", "ssim"] = "psnr",
    names: dict[str, str] | None = None,
    output_dir: str | Path | None = None,
) -> Comparison:
    """Runs side by side on the images that all were scored on, bicubic always among them.

    >>> comparison = srexp.compare(run)

    Args:
        runs: Runs, or their folders or ids; or FILE.csv, what `srexp evaluate` wrote.
        benchmark: Only on these image sets; all but the validation images otherwise.
        protocol: Only under these; all otherwise.
        metric: Of gains and differences.
        names: Id of a run -> what it is to be called.
        output_dir: Where runs are looked for; None for `SREXP_OUTPUT_DIR`, else `outputs/`.

    Raises:
        RunError: They cannot be found, read or compared, in one line.
    """
    if not runs:
        raise RunError("compare: name the runs to compare")
    if metric not in ("psnr", "ssim"):
        raise RunError(f"metric={metric}: must be psnr or ssim")
    wanted = [str(run.folder if isinstance(run, Run) else run) for run in runs]
    files = [Path(name) for name in wanted if name.endswith(".csv")]
    folders = find_runs([name for name in wanted if not name.endswith(".csv")], where(output_dir))
    known: dict[Path, RunFolder] = {run.folder.resolve(): run for run in folders}
    return Comparison(
        put_side_by_side(
            read(list(known.values()), files),
            metric=metric,
            benchmarks=[benchmark] if isinstance(benchmark, str) else list(benchmark),
            protocols=[protocol] if isinstance(protocol, str) else list(protocol),
            names=names,
        )
    )
