"""Keep what a finished run reached in docs/results/, and write the table of docs/results.md.

    python scripts/record.py RUN NAME [--output-dir DIR]
    python scripts/record.py                      # the table alone

writes docs/results/NAME/: every image's scores as the run wrote them (SET_xN_PROTOCOL.csv), the
curve of the validation images (curve.csv) and what the run was (run.json): command, seed, steps,
seconds of training with its evaluations, parameters, machine, versions.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from pathlib import Path
from typing import Any

from srexp.tracking.record import RunFolder, find_run

DOCS = Path(__file__).parent.parent / "docs"
RESULTS = DOCS / "results"
_BEGIN, _END = "<!-- made by scripts/record.py: begin -->\n", "<!-- end -->\n"
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
    if given.run:
        record(find_run(given.run, given.output_dir), RESULTS / given.name)
    page = DOCS / "results.md"
    text = page.read_text(encoding="utf-8")
    before, after = text.split(_BEGIN)[0], text.split(_END)[1]
    page.write_text(before + _BEGIN + table() + _END + after, encoding="utf-8")


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
    environment = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    facts = {
        "command": f"srexp train {run.info['typed']}",
        "model": run.config["model"]["name"],
        "scale": run.config["degradation"]["scale"],
        "seed": run.config["seed"],
        "steps": run.info["progress"]["step"],
        "best_step": run.info["progress"]["best_step"],
        "seconds": round(run.info["progress"]["seconds"]),
        **run.info["cost"],
        **{key: environment[key] for key in ("processor", "cores", "python", "packages")},
    }
    (folder / "run.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


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
        "| run | parameters | steps, minutes | Set5, dB | published | Set14, dB | published |",
        "|---|---|---|---|---|---|---|",
    ]
    for folder in sorted(path for path in RESULTS.iterdir() if (path / "run.json").is_file()):
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        scale, cells = facts["scale"], []
        for images in ("set5", "set14"):
            cells.append(_mean(folder / f"{images}_x{scale}_y_paper.csv"))
            cells.append(_published(facts["model"], images, scale))
        effort = f"{facts['steps']:,}, {facts['seconds'] / 60:.0f}"
        named = f"[`{folder.name}`](results/{folder.name}/run.json)"
        lines.append(f"| {named} | {facts['parameters']:,} | {effort} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _mean(path: Path) -> str:
    if not path.is_file():
        return "-"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours, bicubic = (sum(float(r[k]) for r in rows) / len(rows) for k in ("psnr", "psnr_bicubic"))
    return f"{ours:.2f} ({ours - bicubic:+.2f})"


def _published(model: str, images: str, scale: int) -> str:
    from srexp.config.compose import compose

    if model not in _TABLES:
        return "-"
    rows: dict[str, Any] = compose("reproduce", [f"table={_TABLES[model]}"])["table"]["rows"]
    row = rows.get(f"{images}_x{scale}")
    return f"{row['psnr']:.2f}" if row else "-"


if __name__ == "__main__":
    main()
