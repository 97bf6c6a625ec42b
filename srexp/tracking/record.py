"""The run folder: the truth about a run, whatever happens to MLflow.

config.yaml, config.json   the resolved configuration, to read and to load
run.json                   identity, status, how far it is, and what MLflow is to show
run.lock                   held by the process that trains
environment.json           versions, machine, threads, what TensorFlow hears from variables
metrics.jsonl              every logged number, one line a point in time
checkpoints/               step-*.npz, the newest ones, and best.npz
evaluations/               per-image CSV of every evaluation; JSON of those by `srexp evaluate`
grids/                     sample pictures
samples/                   a square of the worst and the best images, from HR, bicubic and the model
model.keras                the scored weights
model/                     the same for MLflow, from LR to SR
report.html                all of it as a page, once it is finished
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Literal

from srexp import __version__
from srexp.files import Lock, flush, write_atomically
from srexp.options import OptionError
from srexp.paths import OUTPUT_DIR, PathError, from_environment, state_dir, to_path

# KILLED: it ended without saying so; PRUNED: a search found it hopeless and stopped it.
Status = Literal["RUNNING", "FINISHED", "INTERRUPTED", "FAILED", "KILLED", "PRUNED"]

# Of config.json. A step in `UPGRADES` turns the configuration of format n into that of n + 1.
CONFIG_FORMAT = 1
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


class RunError(ValueError):
    """A run that cannot be found or used, in one line."""


def write_json(path: Path, value: Any) -> None:
    """Plain data as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2, default=str) + "\n").encode())


def _append(file: int, line: bytes) -> None:
    """Write a line to the end of an open file, whole or not at all."""
    before = os.fstat(file).st_size
    try:
        while line:
            line = line[os.write(file, line) :]
    except OSError:  # a full disk
        os.ftruncate(file, before)
        raise


class RunFolder:
    """One run on disk.

    Attributes:
        folder: The folder.
        info: The content of `run.json`: id, name, status, digest, times, MLflow's ids.
    """

    def __init__(self, folder: Path, info: dict[str, Any]) -> None:
        self.folder = folder
        self.info = info
        self.lock = Lock(folder / "run.lock")
        # Training and the thread that writes to MLflow both note how far they are.
        self._writing = threading.Lock()
        self._metrics: IO[bytes] | None = None

    @classmethod
    def create(
        cls, output_dir: Path, name: str, config: dict[str, Any], config_yaml: str, **info: Any
    ) -> RunFolder:
        """Make a new folder `DATE_TIME_NAME_XXXX` under `output_dir`.

        Raises:
            RunError: The output folder cannot be written.
        """
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        try:
            while True:
                # The random end keeps runs of the same second apart.
                identity = f"{stamp}_{name}_{secrets.token_hex(2)}"
                folder = output_dir / identity
                try:
                    folder.mkdir(parents=True)
                    break
                except FileExistsError:
                    if not output_dir.is_dir():
                        raise
            (folder / "checkpoints").mkdir()
            # A clock may have been set back: `latest` is the run that was begun last all the same.
            earlier = [run.info.get("created", 0) + 0.001 for run in runs(output_dir)]
            created = max([time.time(), *earlier])
            run = cls(folder, {"id": identity, "name": name, "created": created, **info})
            run.lock.acquire()  # before run.json, so that nobody sees a run without its process
            write_atomically(folder / "config.yaml", config_yaml.encode())
            run.write_config(config)
            run.set_status("RUNNING")
            flush(output_dir)  # the folder's own name must reach the disk too
            return run
        except OSError as error:
            raise RunError(
                f"paths.output_dir={output_dir}: cannot be written ({error.strerror or error})"
            ) from None

    @classmethod
    def open(cls, folder: Path) -> RunFolder:
        """An existing run.

        Raises:
            RunError: The folder holds no run.
        """
        try:
            info = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            info = None
        if not isinstance(info, dict) or not {"id", "status"} <= info.keys():
            raise RunError(f"{folder}: holds no run (no readable run.json)")
        return cls(folder, info)

    @property
    def id(self) -> str:
        """The name of the folder, unique."""
        return str(self.info["id"])

    def typed(self, key: str = "") -> str:
        """The word in a shell that names it, as in `resume=RUN`.

        By its id, or by its folder where that is not in the output folder of today.
        """
        folder = self.folder.resolve()
        try:
            usual = folder.parent == from_environment(OUTPUT_DIR).resolve()
        except OptionError:
            usual = False
        return shlex.quote((f"{key}=" if key else "") + (self.id if usual else str(folder)))

    @property
    def mlflow_ids(self) -> list[str]:
        """What MLflow calls it, and has called it where its run was deleted and made again."""
        shown = self.info.get("mlflow") or {}
        return [str(i) for i in (shown.get("run_id"), *shown.get("earlier_run_ids", [])) if i]

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration, as it was when the run began.

        Raises:
            RunError: Missing, damaged, or from a newer srexp.
        """
        try:
            config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.folder / 'config.json'}: cannot be read ({error})") from None
        if not isinstance(config, dict):
            raise RunError(f"{self.folder / 'config.json'}: holds no configuration")
        written = config.pop("format", 1)
        if written > CONFIG_FORMAT:
            raise RunError(
                f"{self.folder / 'config.json'}: written by a newer srexp (format {written}, this "
                f"one reads {CONFIG_FORMAT})"
            )
        for step in range(written, CONFIG_FORMAT):
            config = UPGRADES[step](config)
        return config

    def write_config(self, config: dict[str, Any]) -> None:
        """Replace the configuration."""
        write_json(self.folder / "config.json", {"format": CONFIG_FORMAT, **config})

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def copy_of(self) -> Path | None:
        """The run folder that MLflow shows, where this is a copy of it and it is still there."""
        shown = (self.info.get("mlflow") or {}).get("tags", {}).get("srexp.folder")
        if not shown or not (Path(shown) / "run.json").is_file():
            return None
        original = Path(shown).resolve()
        return original if original != self.folder.resolve() else None

    @property
    def alive(self) -> bool:
        """Whether a process trains it now."""
        return self.lock.held

    def settle(self) -> None:
        """Mark a run that ended without saying so."""
        if self.info["status"] != "RUNNING" or self.alive:
            return
        try:
            if self.claim():
                self.lock.release()
        except RunError:
            pass  # it was removed a moment ago
        except OSError:
            self.info["status"] = "KILLED"  # somebody else's run, which we may only read

    def claim(self) -> bool:
        """Take the run for this process, and read again what it says; False if another has it.

        A run that was killed is marked so.

        Raises:
            OSError: Somebody else's run, which may only be read.
            RunError: It was removed a moment ago.
        """
        if not self.lock.acquire():
            return False
        try:
            self.info = RunFolder.open(self.folder).info  # it may have ended since it was looked at
            if self.info["status"] == "RUNNING":
                # The last sign of life.
                path = self.folder / "metrics.jsonl"
                seen = path.stat().st_mtime if path.exists() else 0.0
                self.update(status="KILLED", updated=max(seen, self.info.get("updated", 0.0)))
        except BaseException:
            self.lock.release()
            raise
        return True

    def update(self, **info: Any) -> None:
        """Change `run.json`."""
        with self._writing:
            self.info.update(info)
            write_json(self.folder / "run.json", self.info)

    def set_status(self, status: Status, **info: Any) -> None:
        """Change the status, and say which process did."""
        self.update(
            status=status,
            **this_process(),
            updated=time.time(),
            **info,
        )

    def log(self, step: int, metrics: dict[str, float], *, final: bool = False) -> None:
        """Append one point to `metrics.jsonl`.

        Args:
            step: Updates done.
            metrics: Name -> number.
            final: Of the end of a run, which a longer training has once more.

        Raises:
            OSError: The disk is full; the file is as it was.
        """
        point = {"step": step, "time": time.time(), "metrics": metrics}
        if final:
            point["final"] = True
        if self._metrics is None:
            self._metrics = (self.folder / "metrics.jsonl").open("ab", buffering=0)
        try:
            _append(self._metrics.fileno(), (json.dumps(point) + "\n").encode())
        except OSError as error:
            error.filename = self._metrics.name
            raise

    def flush(self) -> None:
        """Make sure that what was logged has reached the disk."""
        if self._metrics is not None:
            os.fsync(self._metrics.fileno())

    def points(self) -> Iterator[dict[str, Any]]:
        """Every logged point; what is none, as a line cut short by a crash, is passed over."""
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                point = json.loads(line)
            except ValueError:
                continue
            if _is_point(point):
                yield point

    def pictures(self) -> Iterator[tuple[Path, str, int]]:
        """Every sample picture: its file, `IMAGE_SET/PROTOCOL/IMAGE`, and its step."""
        grids = self.folder / "grids"
        best = int(self.info.get("progress", {}).get("best_step", 0))
        for path in sorted(grids.glob("*/*/*/*.png")):
            if named := re.fullmatch(r"step-(\d+)", path.stem):
                step = int(named[1])
            elif path.stem != "final" or any(path.parent.glob("step-*.png")):
                continue  # the picture of the best step is there already
            else:
                step = max(best, 0)
            yield path, path.parent.relative_to(grids).as_posix(), step

    def forget_after(self, step: int) -> None:
        """Drop points beyond a step: they are computed again after a resume."""
        kept = [
            json.dumps(point)
            for point in self.points()
            if point["step"] <= step and not point.get("final")
        ]
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        write_atomically(
            self.folder / "metrics.jsonl", "".join(f"{line}\n" for line in kept).encode()
        )

    def release(self) -> None:
        """Let others have the run: nothing is written to it any more."""
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None
        self.lock.release()


def _is_point(value: Any) -> bool:
    """Whether it is what `RunFolder.log` writes."""
    if not isinstance(value, dict) or not isinstance(value.get("step"), int):
        return False
    metrics = value.get("metrics")
    return isinstance(metrics, dict) and all(isinstance(n, int | float) for n in metrics.values())


def runs(output_dir: Path) -> list[RunFolder]:
    """All runs directly under a folder, the oldest first; unreadable ones are passed over.

    Those that were killed are marked so.
    """
    found = []
    for path in output_dir.glob("*/run.json") if output_dir.is_dir() else []:
        if path.parent.name.startswith("."):
            continue  # being removed
        try:
            run = RunFolder.open(path.parent)
            run.settle()
        except RunError:
            continue
        found.append(run)
    return sorted(found, key=lambda run: run.info.get("created", 0))


def claims(output_dir: Path) -> Lock:
    """Held while a process looks whether a run exists, and makes or takes it if not."""
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"paths.output_dir={output_dir}: cannot be written ({error.strerror or error})"
        ) from None
    return Lock(output_dir / ".claims.lock")


def runs_of_identity(output_dir: Path, identity: str) -> list[RunFolder]:
    """The runs that are the same training, the oldest first."""
    return [run for run in runs(output_dir) if run.info.get("identity") == identity]


def find_runs(wanted: Sequence[str], output_dir: Path) -> list[RunFolder]:
    """Each as `find_run` takes it, but the folder is read once.

    Raises:
        RunError: None or several fit one of the names.
    """
    known = [] if all(_folder(name, output_dir) for name in wanted) else runs(output_dir)
    return [find_run(name, output_dir, known) for name in wanted]


def _folder(wanted: str, output_dir: Path) -> Path | None:
    """The run's folder where `wanted` is one or its name: beside many runs, none else is read."""
    try:
        places = (to_path(wanted), output_dir / wanted)
    except PathError as error:
        raise RunError(f"run {wanted}: {error}") from None
    return next((path for path in places if wanted and (path / "run.json").is_file()), None)


def find_run(wanted: str, output_dir: Path, known: Sequence[RunFolder] | None = None) -> RunFolder:
    """A run by folder, by id, by MLflow id, by an unambiguous start or end of an id, or `latest`.

    Args:
        wanted: Which.
        output_dir: Where it is looked for.
        known: The runs in it, where they have been read already.

    Raises:
        RunError: None or several fit; names the nearest.
    """
    if not wanted.strip():
        raise RunError(
            "a run is named by its folder, its id or the start or end of it, or latest; got ''"
        )
    folder = _folder(wanted, output_dir)
    if folder is not None:
        run = RunFolder.open(folder)
        run.settle()
        return run
    known = runs(output_dir) if known is None else known
    if not known:
        raise RunError(f"run {wanted}: there are no runs in {output_dir}")
    if wanted == "latest":
        return known[-1]
    fitting = [
        run
        for run in known
        if any(name.startswith(wanted) for name in (run.id, *run.mlflow_ids))
        or run.id.endswith(f"_{wanted}")  # the four digits that set alike runs apart
    ]
    exact = [run for run in fitting if run.id == wanted]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    if fitting:
        names = ", ".join(run.id for run in fitting[:5])
        raise RunError(
            f"run {wanted}: {len(fitting)} runs begin so ({names}); give more of the name"
        )
    from difflib import get_close_matches

    near = get_close_matches(wanted, [*(run.id for run in known), "latest"], n=1, cutoff=0.3)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise RunError(f"run {wanted}: no such run in {output_dir}{hint}")


# Environment variables that TensorFlow and its libraries may compute otherwise by.
_HEARD = ("TF_", "XLA_", "OMP_", "KMP_", "CUDA_", "CUBLAS_", "NVIDIA_")


def environment() -> dict[str, Any]:
    """Versions, machine and source, as far as they are known without TensorFlow."""
    packages = {}
    for package in ("tensorflow", "keras", "hydra-core", "omegaconf", "mlflow", "numpy", "pillow"):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "missing"
    return {
        "srexp": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "packages": packages,
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "command": sys.argv,
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith(_HEARD)},
    }


def this_process() -> dict[str, Any]:
    """What tells this process from every other: host, number, and when it began."""
    pid = os.getpid()
    return {"pid": pid, "process_start": _process_start(pid), "host": socket.gethostname()}


def is_alive(process: Mapping[str, Any]) -> bool | None:
    """Whether a process, as `this_process` noted it, still runs; None on another host."""
    if process.get("host") != socket.gethostname():
        return None
    try:
        pid = int(process["pid"])
        os.kill(pid, 0)
    except (OSError, KeyError, ValueError):
        return False
    # Another process may have the number by now.
    return bool(process.get("process_start") == _process_start(pid))


def _process_start(pid: int) -> str | None:
    """When a process began, in the system's ticks; None where the system does not say."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return stat.rsplit(")", 1)[1].split()[19]  # field 22; the name before may hold anything
    except (OSError, IndexError):
        return None


def _git_commit() -> str | None:
    """Of srexp's own checkout; None where it is installed."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here, capture_output=True, encoding="utf-8", timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def processor() -> str:
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _state_file() -> Path:
    return state_dir() / "last_store"


def remember_store(uri: str) -> None:
    """Note where the last run of this user went, so that `srexp ui` can name it anywhere."""
    try:
        path = _state_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, uri.encode())
    except (OSError, RuntimeError):
        pass  # a read-only home, or none: only a hint is lost


def last_store() -> str | None:
    """The store that the last run of this user went to, or None."""
    try:
        return _state_file().read_text(encoding="utf-8").strip() or None
    except (OSError, RuntimeError):
        return None
