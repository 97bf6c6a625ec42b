"""`srexp ui`: the MLflow UI, on the store that the runs went to."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from srexp.options import OptionError
from srexp.terminal.arguments import add_output_dir, make_parser
from srexp.terminal.exit import fail
from srexp.tracking.mlflow_store import (
    Store,
    ask,
    before_import,
    follow_move,
    is_unauthorized,
    one_line,
    sqlite_path,
    sqlite_uri,
    variable,
)
from srexp.tracking.options import MlflowTracking, check_uri, place
from srexp.tracking.record import RunError, RunFolder, last_store, runs
from srexp.tracking.remedy import sync

# Ports near MLflow's own that browsers refuse to open.
_BLOCKED = (5060, 5061)


def main() -> None:
    """The command."""
    parser = make_parser("ui", "Open the MLflow UI on the store that the runs went to.")
    add_output_dir(parser)
    parser.add_argument("--uri", help="a store or server, instead of the one of the newest run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    given = parser.parse_args()
    if not 1 <= given.port <= 65535:
        fail(f"--port {given.port}: must be between 1 and 65535")
    try:
        store = _store(given.output_dir.resolve(), given.uri)
    except OptionError as error:
        fail(str(error))
    chosen = "--uri" if given.uri is not None else _chosen(store)
    if store.is_server:
        _check_answer(store, chosen)
        address = f"{store.uri}/{_table(store)}"
        print(f"MLflow server: {address} ({chosen})")
        if not given.no_browser:
            webbrowser.open(address)
        return
    port = _free_port(given.host, given.port)
    if port != given.port:
        print(f"port {given.port} is taken; using {port}")
    if database := sqlite_path(store.uri):
        follow_move(database)
    address = f"http://{given.host}:{port}"
    print(f"store: {store.uri} ({chosen})")
    print(f"MLflow UI: {address}  (Ctrl-C ends it)", flush=True)
    sys.exit(_serve(store, given.host, port, None if given.no_browser else address))


def _chosen(store: Store) -> str:
    """What names the store now."""
    if store.chosen == "MLFLOW_TRACKING_URI" and variable(store.chosen) is not None:
        return store.chosen
    return "of the newest run" if store.chosen else "the output folder"


def _check_answer(store: Store, chosen: str) -> None:
    try:
        ask(store)
    except Exception as error:  # whatever MLflow raises
        if not is_unauthorized(error):  # a browser may ask for a name and a password
            fail(f"MLflow server {store.uri} ({chosen}) does not answer: {one_line(error)}", 1)


def _serve(store: Store, host: str, port: int, address: str | None) -> int:
    """Run MLflow's server until it or this process ends; its exit code.

    It starts processes of its own, so all of them are ended as a group.
    """
    before_import()
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes and nine seconds fewer
    }
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri]
    command += ["--host", host, "--port", str(port), "--workers", "1"]

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        table = _table(store)  # while it starts
        if _answers(server, host, port):
            print(f"the runs: http://{host}:{port}/{table}", flush=True)
            if address is not None:
                webbrowser.open(f"{address}/{table}")
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    if not hasattr(os, "killpg"):
        server.terminate()
        server.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(server.pid, number)
        try:
            server.wait(timeout=3)
        except subprocess.TimeoutExpired:
            continue
        if number == signal.SIGTERM:
            time.sleep(0.2)  # workers end a moment after their parent


def _table(store: Store) -> str:
    """Where the runs are, after the server's address; empty where that cannot be found out."""
    from srexp.tracking.table_view import runs_table

    try:
        return runs_table(store)
    except Exception:  # a server that is away, no such experiment, a store that may only be read
        return ""


def _store(output_dir: Path, uri: str | None) -> Store:
    """The store that was asked for, or of the newest run in the folder, or the folder's own.

    Raises:
        OptionError: What names it cannot be a store.
    """
    if uri is not None:
        try:
            check_uri(uri)
        except OptionError as error:
            raise OptionError(f"--{str(error).replace('=', ' ', 1)}") from None
        return place(output_dir, MlflowTracking(uri=uri, experiment=None, timeout_seconds=None))
    shown = (run.info.get("mlflow") for run in reversed(runs(output_dir)))
    store = place(output_dir, None, next(filter(None, shown), None))
    database = sqlite_path(store.uri)
    if database is None or database.is_file():
        return store
    if known := runs(output_dir):
        fail(f"{output_dir}: no MLflow store in it; {_other_views(known, output_dir)}")
    last = last_store()
    hint = (
        f"the last run went to {last} (srexp ui --uri {shlex.quote(last)})"
        if last
        else "no run has been tracked yet; python -m srexp train makes one"
    )
    what = "no MLflow store in it" if output_dir.is_dir() else "no such folder"
    fail(f"{output_dir}: {what}; {hint}")


def _other_views(known: Sequence[RunFolder], output_dir: Path) -> str:
    """How runs that MLflow does not have are opened."""
    uri = sqlite_uri(output_dir / "mlflow.db")
    said = f"to show its runs in one: {sync(output_dir, '--uri', uri)}"
    for run in reversed(known):
        try:
            tracking = run.config.get("tracking", {})
        except RunError:
            continue
        if tracking.get("name") == "tensorboard":
            folder = tracking.get("dir") or str(output_dir)
            command = ["python", "-m", "tensorboard.main", "--logdir", folder]
            return f"TensorBoard has runs of it: {shlex.join(command)}; {said}"
    return said


def _free_port(host: str, port: int) -> int:
    for candidate in range(port, min(port + 50, 65536)):
        if candidate in _BLOCKED and candidate != port:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except OSError as error:
                if isinstance(error, socket.gaierror):
                    fail(f"--host {host}: not an address of this machine")
                continue
            return candidate
    fail(f"--port {port}: it and the 50 after it are taken, or {host} is not of this machine")


def _answers(server: subprocess.Popen[bytes], host: str, port: int) -> bool:
    """Wait until the server accepts connections; False if it ends before."""
    while server.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.3)
    return False
