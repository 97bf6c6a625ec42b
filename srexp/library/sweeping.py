"""Sweeps from Python: the command in a process of its own, whose jobs have processes again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from srexp.library.run import Run, Runs, where
from srexp.options import OptionError
from srexp.sweeps.results import from_json
from srexp.tracking.record import RunError

_FOLDER = re.compile(r"sweep of \d+ runs?(?:, \d+ at a time)?: (.+)")


def sweep(
    *overrides: str,
    output_dir: str | Path | None = None,
    config_dir: str | Path | None = None,
    progress: bool = False,
) -> Runs:
    """Train one run for each combination of values: the same as `srexp train -m`.

    What is finished already is taken, what was cut off goes on. Ctrl-C saves and stops.

        runs = srexp.sweep("model.depth=3,5", "seed=0,1")
        srexp.compare(*runs)

    Args:
        overrides: As on the command line: `model.depth=3,5`, `sweep=depth_act`,
            `hydra.launcher.n_jobs=2`.
        output_dir: Where runs go; None for `SREXP_OUTPUT_DIR`, else `outputs/`.
        config_dir: A folder with more options, as `--config-dir`.
        progress: Whether to print what the command prints.

    Returns:
        The runs of the jobs that are finished, in the order of the jobs.

    Raises:
        OptionError: Bad input; nothing was trained.
        RunError: A job failed, in one line; the others are done, and `srexp.runs()` has them.
        KeyboardInterrupt: It was stopped; what was trained is saved.
    """
    command = [sys.executable, "-m", "srexp", "train", "-m", *overrides]
    if output_dir is not None:
        command.append(f"paths.output_dir={output_dir}")
    if config_dir is not None:
        command += ["--config-dir", str(config_dir)]
    folder: Path | None = None
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        # In a session of its own: a notebook's stop button would reach each of its processes.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, encoding="utf-8", errors="replace",
            start_new_session=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if folder is None and (found := _FOLDER.fullmatch(line.rstrip("\n"))):
                    folder = Path(found[1]).absolute()
                if progress:
                    print(line, end="")
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.communicate()
            raise
        code = process.wait()
        errors.seek(0)
        said = [line for line in errors.read().splitlines() if line.strip()]
    if code:
        message = said[-1].removeprefix("srexp: ") if said else f"ended with exit code {code}"
        raise (OptionError if code == 2 else RunError)(message)
    return Runs(_finished(folder, where(output_dir))) if folder is not None else Runs()


def _finished(folder: Path, output_dir: Path) -> list[Run]:
    jobs = from_json(json.loads((folder / "sweep.json").read_text(encoding="utf-8")))
    done = [job.run for job in jobs if job.state == "finished" and job.run is not None]
    return [Run((output_dir / run).resolve()) for run in done]
