"""Every measurement of this folder in turn, on this machine: as one JSON file and as one page.

    python scripts/bench/all.py FOLDER [--smallest] [NAME ...]

Runs the scripts with the settings that the documents quote, or with --smallest in the few minutes
that tell whether they still run; NAME alone those that are named, such as `startup`. Writes
`bench.json` (machine, versions, and of each script its command, seconds, exit code and lines) and
`bench.md`, after each script, so that what is done is there when it is stopped. What needs image
sets (`SREXP_DATA_DIR`) or a run is left out here: alternatives, bundled, export. Exit code 1 if a
script failed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from srexp.files import write_atomically
from srexp.tracking.record import environment

HERE = Path(__file__).parent
# Script -> its settings as documents quote them, and the smallest ones.
SETTINGS = {
    "startup": ("--rounds 9", "--rounds 5"),
    "train_step": ("--rounds 3 --steps 15", "--rounds 1 --steps 2 model.filters=4"),
    "checkpoint": ("--steps 300", "--steps 4 trainer.eval_every=2 model.filters=4"),
    "metrics": ("--rounds 5", "--rounds 1"),
    "resize": ("--rounds 9", "--rounds 1"),
    "evaluate_memory": ("", "--width 300 --height 200 model.filters=4"),
    "memory": ("--sets 2000x480x320 800x2040x1400", "--sets 40x96x64"),
    "compare": ("", "10"),
    "runs_index": ("--runs 100 10000", "--runs 20 --rounds 1"),
    "sweep": ("--rounds 3", ""),
    "serve": ("--requests 300", "--requests 8 --at-once 4 --side 128"),
}
# More than a few minutes, whatever is asked.
LONG = ("sweep",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SETTINGS))
    parser.add_argument("--smallest", action="store_true")
    given = parser.parse_intermixed_args()
    if unknown := set(given.names) - set(SETTINGS):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(SETTINGS)}")
    given.folder.mkdir(parents=True, exist_ok=True)
    names = given.names or [n for n in SETTINGS if not (given.smallest and n in LONG)]
    done: list[dict[str, object]] = []
    for name in names:
        settings = SETTINGS[name][given.smallest]
        print(f"{name} {settings}".rstrip(), end=" ", flush=True)
        began = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, str(HERE / f"{name}.py"), *shlex.split(settings)],
            cwd=given.folder, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
        done.append(
            {
                "command": f"python scripts/bench/{name}.py {settings}".rstrip(),
                "seconds": round(time.perf_counter() - began, 1),
                "code": ended.returncode,
                "lines": ended.stdout.splitlines(),
                "errors": ended.stderr.splitlines() if ended.returncode else [],
            }
        )
        print(f"{done[-1]['seconds']} s" + (f", exit code {ended.returncode}" if ended.returncode
                                            else ""))  # fmt: skip
        keep(given.folder, done)
    if any(one["code"] for one in done):
        for line in (line for one in done for line in one["errors"]):
            print(line, file=sys.stderr)
        raise SystemExit(1)


def keep(folder: Path, done: list[dict[str, object]]) -> None:
    """Write what there is so far."""
    machine = {k: v for k, v in environment().items() if k not in ("command", "variables")}
    content = {"machine": machine, "ended": time.strftime("%Y-%m-%d %H:%M:%S"), "scripts": done}
    write_atomically(folder / "bench.json", (json.dumps(content, indent=1) + "\n").encode())
    page = [f"{machine['processor']}, {machine['cores']} cores; {machine['platform']}; srexp "
            f"{machine['srexp']}, {content['ended']}", ""]  # fmt: skip
    for one in done:
        lines = "\n".join(one["lines"])
        page += [f"`{one['command']}` ({one['seconds']} s):", "", f"```\n{lines}\n```", ""]
    write_atomically(folder / "bench.md", "\n".join(page).encode())


if __name__ == "__main__":
    main()
