"""`srexp runs`: list runs, show one, remove some."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

from srexp.comparison.about_run import commands, difference, mlflow_link, text
from srexp.comparison.index import folder_size, indexed, planned_steps
from srexp.evaluation.document import strict_json
from srexp.terminal import pipe
from srexp.terminal.arguments import RUN, add_output_dir, make_parser
from srexp.terminal.exit import fail
from srexp.tracking.record import RunError, RunFolder, Status, find_run, runs


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    try:
        given.run(given)
    except RunError as error:
        fail(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("runs", "The runs in a folder.")
    actions = parser.add_subparsers(required=True, metavar="list|show|rm")

    def action(name: str, run: Any, what: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=what, description=what)
        added.set_defaults(run=run)
        add_output_dir(added)
        return added

    listing = action("list", _list, "one line a run, the newest last")
    listing.add_argument(
        "--status", type=_status, choices=get_args(Status), metavar="STATUS",
        help=f"only those with it: {', '.join(get_args(Status))}",
    )  # fmt: skip
    listing.add_argument("--sweep", help="only those of this sweep (its folder, or a part of it)")
    listing.add_argument("--json", action="store_true", help="for programs")
    showing = action("show", _show, "all about a run")
    showing.add_argument("wanted", metavar="RUN", help=RUN)
    showing.add_argument("--json", action="store_true", help="for programs")
    removing = action("rm", _remove, "remove runs, and mark them deleted in MLflow")
    removing.add_argument("wanted", metavar="RUN", nargs="+", help="as for show")
    removing.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _status(text: str) -> str:
    """One of them in any case; another text as it is, for the message."""
    return text.upper() if text.upper() in get_args(Status) else text


# list


def _list(given: argparse.Namespace) -> None:
    if given.output_dir.exists() and not given.output_dir.is_dir():
        fail(f"--output-dir {given.output_dir}: is no folder")
    every = indexed(given.output_dir, sizes=True)
    readable = {entry.run.folder.name for entry in every}
    for path in sorted(given.output_dir.glob("[!.]*/run.json")):
        if path.parent.name not in readable:
            print(f"note: {path}: cannot be read; the run is not listed", file=sys.stderr)
    known = [
        entry
        for entry in every
        if given.status in (None, entry.run.info["status"])
        and (given.sweep is None or Path(given.sweep).name in (entry.run.info.get("sweep") or ""))
    ]
    rows = [_summary(entry.run, entry.steps, entry.bytes) for entry in known]
    if given.json:
        _print_json(rows)
    elif known:
        _print_table(rows)
    elif given.status or given.sweep:
        print(f"no such run in {given.output_dir.resolve()}")
    else:
        print(f"no runs in {given.output_dir.resolve()}; to make one: python -m srexp train")


def _summary(run: RunFolder, steps: int | None, size: int | None) -> dict[str, Any]:
    info = run.info
    gains = info.get("gains") or {}
    result = info.get("result") or {}
    task = result.get("task") or next(reversed(gains), None)
    return {
        "id": run.id,
        "folder": os.path.abspath(run.folder),
        "status": info["status"],
        "step": info.get("progress", {}).get("step", 0),
        "steps": steps,
        "task": task,
        "gain": result.get("gain", gains.get(task)),
        "psnr": result.get("psnr"),
        "title": info.get("title"),
        "sweep": info.get("sweep"),
        "init_from": info.get("init_from"),
        "created": info.get("created"),
        "bytes": size,
    }


def _config(run: RunFolder) -> dict[str, Any]:
    try:
        return run.config
    except RunError:  # of a newer srexp, or damaged: the rest can be shown
        return {}


def _print_table(rows: list[dict[str, Any]]) -> None:
    from srexp.pages.table import Table
    from srexp.terminal.console import make_console, print_table

    cells = []
    for row in rows:
        # The end of a sweep's name stands for it; the rest is its date.
        sweep = [(row["sweep"] or "").rsplit("_", 1)[-1], row["title"] or ""]
        cells.append(
            [
                row["id"],
                f"{row['status']} {row['step']}/{row['steps'] or '?'}",
                "" if row["gain"] is None else f"{row['gain']:+.2f} dB {row['task']}",
                " ".join(filter(None, sweep)),
                _age(row["created"]),
                _readable_size(row["bytes"]),
            ]
        )
    head = ["run", "status", "gain", "what was typed", "age", "size"]
    table = Table(head, cells, len(head), firm=2, spare=(5, 4, 3, 2, 1))
    print_table(make_console(), table)


# show


def _show(given: argparse.Namespace) -> None:
    run = find_run(given.wanted, given.output_dir)
    about = {
        **_summary(run, planned_steps(_config(run)), folder_size(run.folder)),
        "failure": run.info.get("failure") or None,
        "seconds": run.info.get("progress", {}).get("seconds"),
        "gains": run.info.get("gains") or {},
        "differs": {key: value for key, (value, _) in difference(_config(run)).items()},
        "checkpoints": {
            path.name: path.stat().st_size for path in sorted(run.checkpoints.glob("*.npz"))
        },
        "files": [
            name
            for name in ("config.yaml", "metrics.jsonl", "evaluations", "grids", "model.keras")
            if (run.folder / name).exists()
        ],
        "mlflow": mlflow_link(run),
        "commands": commands(run),
    }
    if given.json:
        _print_json(about)
        return
    print("\n".join(_lines(about)))


def _lines(about: dict[str, Any]) -> list[str]:
    seconds = "" if about["seconds"] is None else f", trained for {about['seconds']:.0f} s"
    lines = [
        f"run {about['id']}",
        f"    in {about['folder']} ({_readable_size(about['bytes'])})",
        f"status: {about['status']}, step {about['step']} of {about['steps'] or '?'}{seconds}",
    ]
    for name in ("failure", "title", "sweep", "init_from"):
        if about[name]:
            lines.append(f"{name}: {about[name]}")
    lines.append("differs from the defaults in:" if about["differs"] else "all defaults")
    lines += [f"    {key}={text(value)}" for key, value in about["differs"].items()]
    if about["gains"]:
        lines.append("gain over bicubic:")
        lines += [f"    {gain:+.3f} dB  {task}" for task, gain in about["gains"].items()]
    kept = [f"{name} ({_readable_size(size)})" for name, size in about["checkpoints"].items()]
    lines.append(f"checkpoints: {', '.join(kept) or 'none yet'}")
    lines.append(f"files: {', '.join(about['files'])}")
    if about["mlflow"]:
        lines.append(f"MLflow: {about['mlflow']}")
    lines += [f"to {what}: {command}" for what, command in about["commands"].items()]
    return lines


# rm


def _remove(given: argparse.Namespace) -> None:
    chosen = {run.id: run for run in (find_run(name, given.output_dir) for name in given.wanted)}
    for run in chosen.values():
        if run.alive:
            _refuse(run)
    if not given.yes:
        _ask(list(chosen.values()), given.output_dir)
    for run in chosen.values():
        try:
            if not run.claim():
                _refuse(run)
        except OSError as error:
            fail(f"{run.folder}: cannot be removed ({error.strerror})")
    from srexp.tracking.removal import delete_in_mlflow, remove_folder

    for run in chosen.values():
        # MLflow first: should this process be killed, the folder is still there to try again.
        problem = delete_in_mlflow(run)
        try:
            remove_folder(run)
        except OSError as error:
            fail(f"{run.folder}: cannot be removed ({error.strerror})", 1)
        print(f"removed {run.id}")
        if problem is not None:
            print(f"note: MLflow at {run.info['mlflow']['uri']} still shows it ({problem})")


def _refuse(run: RunFolder) -> NoReturn:
    fail(f"run {run.id}: is running now; nothing was removed")


def _ask(chosen: list[RunFolder], output_dir: Path) -> None:
    count = f"{len(chosen)} run{'s' if len(chosen) > 1 else ''}"
    if not sys.stdin.isatty():
        fail(f"{count} to remove; without a terminal to ask on, say --yes")
    for run in chosen:
        print(f"{run.id}  {run.info['status']}  {_readable_size(folder_size(run.folder))}")
    ids = {run.id for run in chosen}
    for run in runs(output_dir):
        if run.info.get("init_from") in ids and run.id not in ids:
            print(f"note: {run.id} was started from the weights of {run.info['init_from']}")
    try:
        answer = input(f"remove {count} for good? [y/N] ")
    except (EOFError, KeyboardInterrupt):
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        fail("nothing was removed", 1)


# How things are written.


def _readable_size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def _age(created: float | None) -> str:
    if created is None:
        return ""
    seconds = max(0.0, time.time() - created)
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _print_json(value: Any) -> None:
    pipe.write(json.dumps(strict_json(value), indent=2, allow_nan=False) + "\n")
