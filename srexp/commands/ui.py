"""`srexp ui`: the MLflow UI, on the store that the runs went to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path

from srexp.commands.arguments import add_output_dir, make_parser
from srexp.commands.exit import fail
from srexp.tracking.options import SCHEMES
from srexp.tracking.record import last_store, runs


def main() -> None:
    """The command."""
    parser = make_parser("ui", "Open the MLflow UI on the store that the runs went to.")
    add_output_dir(parser)
    parser.add_argument("--uri", help="a store or server, instead of the one of the newest run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    given = parser.parse_args()
    if given.uri is not None and not given.uri.startswith(SCHEMES):
        fail(f"--uri {given.uri}: must be a server (http://...) or a database (sqlite:///...)")
    uri = given.uri or _store(given.output_dir)
    if uri.startswith(("http://", "https://")):
        print(f"the runs went to the MLflow server at {uri}")
        if not given.no_browser:
            webbrowser.open(uri)
        return
    if not 1 <= given.port <= 65535:
        fail(f"--port {given.port}: must be between 1 and 65535")
    port = _free_port(given.host, given.port)
    if port != given.port:
        print(f"port {given.port} is taken; using {port}")
    print(f"store: {uri}\nMLflow UI: http://{given.host}:{port}  (Ctrl-C ends it)", flush=True)
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # ten processes and nine seconds fewer
    }
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--host", given.host, "--port", str(port), "--workers", "1"]
    server = subprocess.Popen(command, env=environment)
    try:
        if not given.no_browser and _answers(server, given.host, port):
            webbrowser.open(f"http://{given.host}:{port}")
        sys.exit(server.wait())
    except KeyboardInterrupt:
        server.terminate()
        server.wait()


def _store(output_dir: Path) -> str:
    """Where the newest run under the folder went; or the folder's own store."""
    for run in reversed(runs(output_dir)):
        uri = run.info.get("mlflow", {}).get("uri")
        if uri:
            return str(uri)
    store = output_dir.resolve() / "mlflow.db"
    if store.is_file():
        return f"sqlite:///{store}"
    last = last_store()
    hint = (
        f"the last run went to {last} (srexp ui --uri {last})"
        if last
        else "no run has been tracked yet; python -m srexp train makes one"
    )
    fail(f"{output_dir.resolve()}: no MLflow store in it; {hint}")


def _free_port(host: str, port: int) -> int:
    for candidate in range(port, min(port + 50, 65536)):
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
    import time

    while server.poll() is None:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(0.3)
    return False
