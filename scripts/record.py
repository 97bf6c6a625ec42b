"""Keep what a finished run or sweep reached in docs/results/, and write docs/results.md's tables.

    python scripts/record.py RUN NAME [--output-dir DIR]
    python scripts/record.py SWEEP_FOLDER NAME    # its runs are in the folder above `sweeps/`
    python scripts/record.py                      # the tables alone

writes docs/results/NAME/. Of a run: every image's scores as the run wrote them
(SET_xN_PROTOCOL.csv), the curve of the validation images (curve.csv) and what the run was
(run.json): command, seed, steps, seconds of training with its evaluations, parameters, machine,
versions. Of a sweep: its figure, and for each run what was swept, the means over the images of the
last benchmark and the last dead units (runs.csv), and what the sweep was (sweep.json).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, median
from typing import Any

from srexp.evaluation.statistics import t_interval
from srexp.sweeps.results import JobResult, from_json
from srexp.tracking.record import RunFolder, find_run

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results"
_BEGIN, _END = "<!-- {}, made by scripts/record.py: begin -->\n", "<!-- end -->\n"
# Weights of the papers' networks at x3, as the papers count them: without biases.
_PAPERS = {"srcnn": 8032, "fsrcnn": 12464, "vdsr": 664704}
# Published PSNR in dB: of the tables in conf/table/.
_TABLES = {"srcnn": "srcnn", "fsrcnn": "fsrcnn", "espcn": "espcn", "vdsr": "vdsr"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", nargs="?")
    parser.add_argument("name", nargs="?")
    parser.add_argument("--output-dir", type=Path, default=Path("outputs"))
    given = parser.parse_args()
    if given.run and Path(given.run, "sweep.json").is_file():
        record_sweep(Path(given.run), RESULTS / given.name)
    elif given.run:
        record(find_run(given.run, given.output_dir), RESULTS / given.name)
    page = DOCS / "results.md"
    text = page.read_text(encoding="utf-8")
    for what, made in (("runs", table()), ("sweeps", sweep_tables())):
        before, rest = text.split(_BEGIN.format(what))
        text = before + _BEGIN.format(what) + made + _END + rest.split(_END, 1)[1]
    page.write_text(text, encoding="utf-8")
    figure(RESULTS / "set5_x3.png")


def record(run: RunFolder, folder: Path) -> None:
    """Copy what is to be kept."""
    assert run.info["status"] == "FINISHED", run.info["status"]
    folder.mkdir(parents=True, exist_ok=True)
    for scores in sorted(run.folder.glob("evaluations/*/*/final.csv")):
        protocol, images = scores.parent.name, scores.parent.parent.name
        shutil.copyfile(scores, folder / f"{images}_{protocol}.csv")
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "val_psnr", "val_psnr_gain"])
        for step, psnr, gain in _curve(run):
            writer.writerow([step, f"{psnr:.4f}", f"{gain:.4f}"])
    facts = {
        "command": f"srexp train {run.info['typed']}",
        "model": run.config["model"]["name"],
        "scale": run.config["degradation"]["scale"],
        "seed": run.config["seed"],
        "steps": run.info["progress"]["step"],
        "best_step": run.info["progress"]["best_step"],
        "seconds": round(run.info["progress"]["seconds"]),
        **run.info["cost"],
        **_surroundings(run),
    }
    _write(folder / "run.json", facts)


def _surroundings(run: RunFolder) -> dict[str, Any]:
    environment = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    keys = ("processor", "cores", "gpus", "jit_compile", "steps_per_call", "python", "packages")
    return {key: environment[key] for key in keys if key in environment}


def _write(path: Path, facts: dict[str, Any]) -> None:
    path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def record_sweep(sweep: Path, folder: Path) -> None:
    """Copy what is to be kept."""
    known = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))
    jobs = from_json({"format": known["format"], "jobs": known["jobs"]})
    assert all(job.counts for job in jobs), [job.name for job in jobs if not job.counts]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sweep / "summary.png", folder / "summary.png")
    runs = [find_run(str(job.run), sweep.parent.parent) for job in jobs]
    rows = [_row(job, run) for job, run in zip(jobs, runs, strict=True)]
    with (folder / "runs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    facts = {
        "command": f"srexp train experiment={folder.name}",
        "swept": list(jobs[0].choices),
        "task": jobs[0].task,
        "steps": runs[0].info["progress"]["step"],
        **_surroundings(runs[0]),
    }
    _write(folder / "sweep.json", facts)


def _row(job: JobResult, run: RunFolder) -> dict[str, Any]:
    with (run.folder / "evaluations" / job.task / "final.csv").open(encoding="utf-8") as file:
        images = list(csv.DictReader(file))
    numbers = list(images[0])[list(images[0]).index("image") + 1 :]
    of_images = {name: mean(float(row[name]) for row in images) for name in numbers}
    dead = [
        point["metrics"]["train/dead_units"]
        for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        if "train/dead_units" in (point := json.loads(line))["metrics"]
    ]
    return {
        **job.choices,
        **{name: f"{value:.6g}" for name, value in of_images.items()},
        "dead_units": f"{dead[-1]:.4f}" if dead else "",
        "parameters": run.info["cost"]["parameters"],
        "ms_a_step": f"{1000 * run.info['progress']['seconds'] / run.info['progress']['step']:.1f}",
    }


def _curve(run: RunFolder) -> list[tuple[int, float, float]]:
    points = []
    for line in (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        point = json.loads(line)
        found = {k.rpartition("/")[2]: v for k, v in point["metrics"].items() if k[:4] == "val_"}
        if "psnr" in found:
            points.append((point["step"], found["psnr"], found["psnr_gain"]))
    return points


def table() -> str:
    """All recorded runs, as Markdown."""
    lines = [
        "| run | parameters | steps, minutes | on | Set5, dB | published | Set14, dB | published |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for folder in sorted(path for path in RESULTS.iterdir() if (path / "run.json").is_file()):
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        scale, cells = facts["scale"], []
        for images in ("set5", "set14"):
            cells.append(_mean(folder, f"{images}_x{scale}"))
            cells.append(_published(facts["model"], images, scale))
        effort = f"{facts['steps']:,}, {facts['seconds'] / 60:.0f}"
        machine = ", ".join(facts.get("gpus") or [f"{facts['cores']} cores"])
        named = f"[`{folder.name}`](results/{folder.name}/run.json)"
        cells = [named, f"{facts['parameters']:,}", effort, machine, *cells]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(folder: Path, images: str) -> str:
    """Of the luma as papers measure it, or else of luma of the RGB network's 8-bit pictures."""
    path, mark = folder / f"{images}_y_paper.csv", ""
    if not path.is_file():
        path, mark = folder / f"{images}_y_of_rgb.csv", " *"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours, bicubic = (sum(float(r[k]) for r in rows) / len(rows) for k in ("psnr", "psnr_bicubic"))
    return f"{ours:.2f} ({ours - bicubic:+.2f}){mark}"


def _published(model: str, images: str, scale: int) -> str:
    from srexp.config.compose import compose

    if model not in _TABLES:
        return "-"
    rows: dict[str, Any] = compose("reproduce", [f"table={_TABLES[model]}"])["table"]["rows"]
    row = rows.get(f"{images}_x{scale}")
    return f"{row['psnr']:.2f}" if row else "-"


def figure(path: Path) -> None:
    """Set5 x3 over parameters, print beside it, and over the minutes of training."""
    from matplotlib.figure import Figure

    runs = [
        (folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))
        for folder in sorted(RESULTS.iterdir())
        if (folder / "set5_x3_y_paper.csv").is_file()
    ]
    sheet = Figure(figsize=(10, 4.4), layout="constrained")
    over_parameters, over_minutes = sheet.subplots(1, 2, sharey=True)
    for number, (folder, facts) in enumerate(runs):
        decibels = float(_mean(folder, "set5_x3").split()[0])
        look = {"marker": "^" if facts.get("gpus") else "o", "color": f"C{number}", "ls": "none"}
        over_parameters.plot(facts["parameters"], decibels, label=folder.name, **look)
        over_minutes.plot(facts["seconds"] / 60, decibels, **look)
    for number, (name, parameters) in enumerate(_PAPERS.items()):
        decibels = float(_published(name, "set5", 3))
        over_parameters.plot(
            parameters, decibels, marker="sDv"[number], color="black", fillstyle="none",
            ls="none", label=f"{name.upper()}, published",
        )  # fmt: skip
    bicubic = _bicubic(runs[0][0] / "set5_x3_y_paper.csv")
    for axes, what in ((over_parameters, "parameters"), (over_minutes, "minutes of training")):
        axes.axhline(bicubic, color="grey", linestyle=":")
        axes.annotate(
            "bicubic", (0.02, bicubic), (0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", size=8, color="grey",
        )  # fmt: skip
        axes.set_xlabel(what)
        axes.margins(x=0.1, y=0.1)
    over_parameters.set(xscale="log", ylabel="Set5 x3, PSNR of luma, dB")
    over_minutes.set_xlim(left=0)
    over_minutes.set_title("circles: two CPU cores; triangles: an H200, eight at a time", size=9)
    sheet.legend(loc="outside lower center", ncols=4, fontsize=8)
    sheet.savefig(path, dpi=110)


def _bicubic(path: Path) -> float:
    with path.open(encoding="utf-8") as file:
        return mean(float(row["psnr_bicubic"]) for row in csv.DictReader(file))


def sweep_tables() -> str:
    """All recorded sweeps, as Markdown: a row for each combination, over its seeds."""
    parts = []
    for folder in sorted(path for path in RESULTS.iterdir() if (path / "sweep.json").is_file()):
        facts = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        with (folder / "runs.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        keys = [key for key in facts["swept"] if key != "seed"]
        groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for row in rows:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
        extra = [name for name in ("checkerboard", "dead_units") if any(r.get(name) for r in rows)]
        titles = [*keys, "gain, dB", *(name.replace("_", " ") for name in extra),
                  "parameters", "ms a step"]  # fmt: skip
        lines = [
            f"### {folder.name}\n",
            f"`{facts['command']}`: {facts['steps']:,} steps, {facts['task']}, {len(rows)} runs "
            f"([runs.csv](results/{folder.name}/runs.csv)).\n",
            f"| {' | '.join(titles)} |",
            f"|{'---|' * len(titles)}",
        ]
        for values, members in groups.items():
            cells = [*values, _over_seeds(members)]
            for name in extra:
                found = [float(row[name]) for row in members if row[name]]
                cells.append(f"{mean(found):.2f}" if found else "-")
            speed = median(float(row["ms_a_step"]) for row in members)
            cells += [f"{int(members[0]['parameters']):,}", f"{speed:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"\n![{folder.name}](results/{folder.name}/summary.png)\n")
        parts.append("\n".join(lines))
    return "\n".join(parts)


def _over_seeds(rows: Iterable[dict[str, str]]) -> str:
    """The mean gain, and half its 95 % interval."""
    found = t_interval([float(row["psnr_gain"]) for row in rows])
    half = (found.high - found.low) / 2
    return f"{found.mean:+.2f}" + (f" ± {half:.2f}" if math.isfinite(half) else "")


if __name__ == "__main__":
    main()
