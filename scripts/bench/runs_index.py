"""How long listing, ranking and comparing many runs takes: whole commands, start-up included.

    python scripts/bench/runs_index.py [--runs 100 10000] [--rounds N]

Makes so many run folders in a temporary directory, each with the files of a real one (its sizes
too, but for the checkpoints and pictures, which nobody reads here), scored on Set5 and Set14, and
prints what each command takes: the first time without an index, the median of the others with it;
in brackets the processor's seconds, which other users of a machine disturb less. The bounds that
the project keeps: 2 s for 100 runs, 10 s for 10,000.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETS = {"val": 1, "set5": 5, "set14": 14}
HEADER = (
    "set,scale,degradation,protocol,digest,method,weights,image,psnr,ssim,psnr_bicubic,"
    "ssim_bicubic,psnr_gain\n"
)
INDEX = ".index.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    for count in given.runs:
        with tempfile.TemporaryDirectory() as folder:
            outputs = Path(folder) / "outputs"
            _make(outputs, count)
            _measure(outputs, count, given.rounds)


def _measure(outputs: Path, count: int, rounds: int) -> None:
    names = sorted(path.name for path in outputs.iterdir())
    commands = {
        "runs list": ["runs", "list"],
        "runs list --json": ["runs", "list", "--json"],
        "leaderboard": ["leaderboard"],
        "leaderboard --json": ["leaderboard", "--json"],
        "leaderboard --plot": ["leaderboard", "--plot", str(outputs.parent / "plot.png")],
        f"compare of {min(count, 100)} runs": ["compare", *names[:100]],
        "compare of all": ["compare", "--sweep", "latest"],
    }
    for what, command in commands.items():
        (outputs / INDEX).unlink(missing_ok=True)
        seconds = [_seconds(command, outputs) for _ in range(rounds + 1)]
        again, cpu = (statistics.median(values) for values in zip(*seconds[1:], strict=True))
        print(
            f"{count:6} runs  {what:30} {seconds[0][0]:6.2f} s ({seconds[0][1]:5.2f}), with the "
            f"index {again:6.2f} s ({cpu:5.2f})",
            flush=True,
        )


def _seconds(command: list[str], outputs: Path) -> tuple[float, float]:
    """Of the clock, and of the processor."""
    start, used = time.perf_counter(), _used()
    done = subprocess.run(
        [sys.executable, "-m", "srexp", *command],
        capture_output=True, encoding="utf-8", check=False,
        env={**os.environ, "SREXP_OUTPUT_DIR": str(outputs)},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"srexp {' '.join(command)}: {done.stderr}")
    return time.perf_counter() - start, _used() - used


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _make(outputs: Path, count: int) -> None:
    """`count` runs of a sweep over depth, activation and seed."""
    from srexp.config.compose import compose

    draw = random.Random(0)
    config = compose("train", ["benchmark=[set5,set14]", "protocol=y_paper"])
    for number in range(count):
        depth, seed = 2 + number % 9, number // 9
        config["model"]["depth"], config["seed"] = depth, seed
        name = f"2026-01-01_00-00-00_deconv-x2_{number:06x}"
        _make_run(outputs / name, number, config, draw)


def _make_run(folder: Path, number: int, config: dict, draw: random.Random) -> None:
    for below in ("checkpoints", "grids"):
        (folder / below).mkdir(parents=True)
    text = json.dumps({"format": 1, **config}, indent=2)
    (folder / "config.json").write_text(text, encoding="utf-8")
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    for file in ("best", "step-0000450", "step-0000500"):
        (folder / "checkpoints" / f"{file}.npz").write_bytes(bytes(1000))
    for file in ("environment.json", "model.keras", "run.lock"):
        (folder / file).write_bytes(bytes(1000))
    (folder / "metrics.jsonl").write_text(
        '{"step": 10, "time": 0.0, "metrics": {}}\n' * 55, encoding="utf-8"
    )
    depth = config["model"]["depth"]
    gains = {}
    for name, images in SETS.items():
        key = f"{name}_x2/y_paper"
        csv, gain = _csv(name, images, depth, draw)
        gains[key] = gain
        (folder / "evaluations" / key).mkdir(parents=True)
        for stem in ("final", "step-0000250", "step-0000500") if name == "val" else ("final",):
            (folder / "evaluations" / key / f"{stem}.csv").write_text(csv, encoding="utf-8")
        for image in range(min(images, 3)):
            (folder / "grids" / key / f"{image}").mkdir(parents=True)
            (folder / "grids" / key / f"{image}" / "final.png").write_bytes(bytes(1000))
    tags = {f"srexp.task.{key}": f"{key}, x2 matlab bicubic [0123abcd]" for key in gains}
    info = {
        "id": folder.name, "name": "deconv-x2", "created": 1.7e9 + number,
        "config_digest": f"{number:016x}", "images_digest": "5656e717", "identity": f"{number:x}",
        "init_from": None, "title": f"depth={depth} seed={config['seed']}",
        "sweep": "2026-01-01_00-00-00_faaae8d7", "status": "FINISHED", "pid": 1,
        "process_start": "1", "host": "host", "updated": 1.7e9 + number + 60,
        "mlflow": {"uri": "sqlite:///mlflow.db", "run_id": f"{number:032x}", "tags": tags},
        "cost": {"parameters": 9000 * depth, "multiply_adds": 8_000_000_000 * depth},
        "progress": {"step": 500, "best_step": 500, "best_score": 33.5, "seconds": 55.5,
                     "stale": 0, "losses": []},
        "ended": "done", "gains": gains, "failure": "",
        "result": {"task": "set14_x2/y_paper", "gain": gains["set14_x2/y_paper"], "psnr": 31.0},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info, indent=2), encoding="utf-8")


def _csv(name: str, images: int, depth: int, draw: random.Random) -> tuple[str, float]:
    lines, gains = [HEADER], []
    for image in range(images):
        bicubic = 30.0 + 0.1 * image
        psnr = bicubic + draw.gauss(0.2 * depth, 0.3)
        gains.append(psnr - bicubic)
        lines.append(
            f'{name},2,x2 matlab bicubic,y_paper,{name:0<8},deconv,"best on val (step 500), raw",'
            f"image{image},{psnr!r},{0.9 + draw.random() / 20!r},{bicubic!r},0.9316843367048225,"
            f"{gains[-1]!r}\n"
        )
    return "".join(lines), sum(gains) / len(gains)


if __name__ == "__main__":
    main()
