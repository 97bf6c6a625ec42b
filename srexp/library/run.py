"""A run, as Python and a notebook see it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from srexp.comparison.results import Evaluation, read_run
from srexp.comparison.summary import summarize
from srexp.library.rows import Rows
from srexp.paths import OUTPUT_DIR, absolute, from_environment
from srexp.quiet import quiet_import
from srexp.tracking.record import RunFolder, find_run
from srexp.tracking.record import runs as run_folders

if TYPE_CHECKING:
    import pandas

    from srexp.models.upscaler import Upscaler


class Curve(NamedTuple):
    """A number over the training.

    Attributes:
        steps: When it was logged.
        values: What it was.
    """

    steps: list[int]
    values: list[float]


class Curves(Mapping[str, Curve]):
    """Every curve of a training, by name: `train/loss`, `val_x2/rgb/psnr`."""

    def __init__(self, curves: dict[str, Curve]) -> None:
        self._curves = curves

    def __getitem__(self, name: str) -> Curve:
        return self._curves[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._curves)

    def __len__(self) -> int:
        return len(self._curves)

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame, one row a step, one column a curve."""
        import pandas

        series = {n: pandas.Series(c.values, c.steps) for n, c in self._curves.items()}
        return pandas.DataFrame(series).rename_axis("step").sort_index()

    def __repr__(self) -> str:
        return f"curves: {', '.join(self._curves) or 'none'}"


class Run:
    """A training that was done, is being done, or was cut off; all of it is in its folder.

    >>> srexp.open_run("latest").config["degradation"]["scale"]
    2

    Attributes:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        """Args:
        folder: Of the run.

        Raises:
            RunError: It holds no run.
        """
        self.folder = folder
        self._opened()

    def _opened(self) -> RunFolder:
        """As it is now: another process may be training it."""
        run = RunFolder.open(self.folder)
        run.settle()
        return run

    @property
    def id(self) -> str:
        """The name of its folder, by which commands find it."""
        return self._opened().id

    @property
    def title(self) -> str:
        """What it is called in tables: `depth=7 act=leaky_relu`."""
        info = self._opened().info
        return str(info.get("title") or info.get("name") or info["id"])

    @property
    def status(self) -> str:
        """`FINISHED`, `RUNNING`, `INTERRUPTED`, `FAILED`, `KILLED` or `PRUNED`."""
        return str(self._opened().info["status"])

    @property
    def info(self) -> dict[str, Any]:
        """What `run.json` says: identity, times, how far it is, cost, MLflow's ids."""
        return dict(self._opened().info)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration: `run.config["model"]["depth"]`."""
        return self._opened().config

    @property
    def scores(self) -> Rows:
        """One row for each image set, scale and protocol that it was scored on; PSNR in dB.

        >>> run.scores[0]["set"]
        'photos'
        """
        return rows_of(read_run(self._opened()).evaluations.values())

    @property
    def curves(self) -> Curves:
        """What was logged while it trained.

        >>> run.curves["train/loss"].steps[-1] == run.config["trainer"]["steps"]
        True
        """
        found: dict[str, Curve] = {}
        for point in self._opened().points():
            for name, value in point["metrics"].items():
                line = found.setdefault(name, Curve([], []))
                line.steps.append(point["step"])
                line.values.append(value)
        return Curves(found)

    @property
    def report(self) -> Path:
        """Its page, `report.html`; made now if it is not there."""
        from srexp.running.report import write_report

        path = self.folder / "report.html"
        return path if path.exists() else write_report(self._opened())

    def upscale(self, image: Any) -> Any:
        """Enlarge an image by the run's best weights.

        >>> run.upscale(np.zeros((12, 10, 3), np.uint8)).shape
        (24, 20, 3)

        Args:
            image: `[h, w]`, `[h, w, 1]` or `[h, w, 3]`, uint8 or float in [0, 1]; or a Pillow image
                of mode L or RGB. Transparency is refused.

        Returns:
            The same kind, `degradation.scale` times as large; floats are float32, clipped.

        Raises:
            OptionError: The image is none of these.
            CheckpointError: The run has no sound weights.
        """
        from srexp.library.images import upscale

        return upscale(image, self._upscaler)

    @cached_property
    def _upscaler(self) -> Upscaler:
        from srexp.running.evaluation import experiment_here
        from srexp.training.experiment import Paths

        run = self._opened()
        here = Paths(self.folder.parent, Path(run.config["paths"]["data_dir"]))
        silence()
        experiment = experiment_here(run, here)
        with quiet_import():
            from srexp.training.trained import load_upscaler
        return load_upscaler(run, experiment, "best")[0]

    def __repr__(self) -> str:
        info = self._opened().info
        gain = (info.get("result") or {}).get("gain")
        said = "" if gain is None else f", {gain:+.2f} dB over bicubic"
        return f"<Run {self.title}: {info['status']}{said}; {self._shown_folder}>"

    @property
    def _shown_folder(self) -> str:
        here = Path.cwd()
        below = self.folder.is_relative_to(here)
        return str(self.folder.relative_to(here) if below else self.folder)

    def _repr_html_(self) -> str:
        from srexp.comparison.run_report import curves_of

        run = self._opened()
        drawn = "".join(
            f"<div style='display: inline-block; width: 28em'>{svg}</div>" for svg in curves_of(run)
        )
        where = escape(self._shown_folder)
        return (
            f"<p><b>{escape(self.title)}</b>: {run.info['status']}, {where}</p>"
            f"{self.scores._repr_html_()}{drawn}"
        )


class Runs(list[Run]):
    """Runs, the oldest first; shown as a table."""

    @property
    def rows(self) -> Rows:
        """One row a run: its id, title, status, gain over bicubic in dB."""
        return Rows([_row(run) for run in self], words=3)

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame, one row a run."""
        return self.rows.to_pandas()

    def _repr_html_(self) -> str:
        return self.rows._repr_html_()


def _row(run: Run) -> dict[str, Any]:
    info = run.info
    gain = (info.get("result") or {}).get("gain")
    return {"run": run.id, "title": run.title, "status": info["status"], "gain": gain}


def rows_of(evaluations: Any) -> Rows:
    """The means of evaluations, one row each."""
    return Rows([_means(one) for one in evaluations], words=4)


def _means(evaluation: Evaluation) -> dict[str, Any]:
    found = summarize(evaluation)
    return {
        "set": found.task.images,
        "scale": found.task.scale,
        "protocol": found.task.protocol,
        "method": found.method,
        "images": found.images,
        "psnr_bicubic": found.psnr_bicubic,
        "psnr": found.psnr,
        "gain": found.gain.mean,
        "gain_low": found.gain.low,
        "gain_high": found.gain.high,
        "ssim_bicubic": found.ssim_bicubic,
        "ssim": found.ssim,
    }


def silence() -> None:
    """Keep back what TensorFlow says of missing GPUs, and MLflow's imports of missing widgets."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.filterwarnings("ignore", message="IProgress not found")


def where(output_dir: str | Path | None) -> Path:
    """The output folder: as given, else that of the environment."""
    return from_environment(OUTPUT_DIR) if output_dir is None else Path(absolute(output_dir))


def open_run(run: str | Path = "latest", *, output_dir: str | Path | None = None) -> Run:
    """A run by its folder, its id or the start of it, or `latest`.

    >>> srexp.open_run(run.id).status
    'FINISHED'

    Args:
        run: Which.
        output_dir: Where it is looked for; None for `SREXP_OUTPUT_DIR`, else `outputs/`.

    Raises:
        RunError: None or several fit.
    """
    return Run(find_run(str(run), where(output_dir)).folder.resolve())


def runs(*, output_dir: str | Path | None = None) -> Runs:
    """All runs of an output folder, the oldest first.

    >>> len(srexp.runs()) >= 1
    True

    Args:
        output_dir: Where; None for `SREXP_OUTPUT_DIR`, else `outputs/`.
    """
    return Runs([Run(found.folder.resolve()) for found in run_folders(where(output_dir))])
