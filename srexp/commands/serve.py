"""`srexp serve`: a page and an HTTP interface that enlarge pictures."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.terminal.arguments import add_output_dir, make_parser, positive_number, whole_number
from srexp.terminal.exit import fail

if TYPE_CHECKING:
    from srexp.upscaling.method import Method

_DESCRIPTION = """\
A page on this machine: drop a picture, get a large one, with bicubic beside it; and an HTTP
interface for programs. Pictures are worked on in memory, one after the other, and kept nowhere. By
the networks that come with srexp, or by any finished run."""

_EXAMPLES = """\
  srexp serve                                      http://127.0.0.1:8000, in the browser
  srexp serve --host 0.0.0.0 --allow-host pc.lan   for the machines around, by that name
  curl --data-binary @photo.jpg -o large.png 'http://127.0.0.1:8000/api/upscale?scale=2'
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    import socket

    import uvicorn

    from srexp.serving.app import Networks, application
    from srexp.serving.jobs import Limits

    try:
        address = socket.getaddrinfo(given.host, given.port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(address[0])
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address[4])
        listening.listen(128)  # who comes before the server is ready waits
    except OSError as error:
        fail(f"--host {given.host} --port {given.port}: {error.strerror or error}")
    limits = Limits(
        megabytes=given.max_megabytes, megapixels=given.max_megapixels,
        seconds=given.max_seconds, waiting=given.max_waiting,
    )  # fmt: skip
    folder: Path = given.output_dir
    app = application(
        Networks(_Runs(folder).listed, _Runs(folder).method),
        limits,
        workers=given.workers,
        hosts=frozenset({"localhost", "127.0.0.1", "::1", given.host, *given.allow_host}),
    )
    port = listening.getsockname()[1]
    name = f"[{given.host}]" if ":" in given.host else given.host
    shown = "127.0.0.1" if given.host in ("0.0.0.0", "::") else name
    page = f"http://{shown}:{port}{given.root_path}/"
    print(f"page: {page}  (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(
        app, log_level="warning", root_path=given.root_path, access_log=False,
        timeout_graceful_shutdown=5, proxy_headers=False,
    )  # fmt: skip
    if not given.no_browser:
        webbrowser.open(page)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        sys.exit(130)


class _Runs:
    """The finished runs of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def listed(self) -> dict[str, tuple[str, int]]:
        """Id -> title and scale."""
        from srexp.tracking.record import runs

        found = {}
        for run in reversed(runs(self._folder)):
            if run.info["status"] == "FINISHED":
                title = str(run.info.get("title") or run.info.get("name") or run.id)
                found[run.id] = title, int(run.config["degradation"]["scale"])
        return found

    def method(self, name: str) -> Method:
        """Of the run of an id that is listed."""
        from srexp.tracking.record import RunFolder
        from srexp.upscaling.of_run import method_of_run

        return method_of_run(RunFolder.open(self._folder / name))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("serve", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    add("--port", type=whole_number(0, 65535), default=8000,
        help="port to listen on; 0 for any (default: 8000)")  # fmt: skip
    add("--no-browser", action="store_true", help="do not open a browser")
    add("--allow-host", action="append", default=[], metavar="NAME", help="another name by which "
        "this server may be called; may be repeated; * for any")  # fmt: skip
    add("--root-path", type=_root_path, default="", metavar="/PATH", help="where a proxy has it")
    add("--workers", type=whole_number(1, 1000), default=1, metavar="N",
        help="pictures at a time; they share the cores (default: 1)")  # fmt: skip
    for name, default, of in (
        ("megabytes", 32, "of a picture file"),
        ("megapixels", 64, "of a result"),
        ("seconds", 300, "of work on one"),
    ):
        add(f"--max-{name}", type=positive_number, default=default, metavar="N",
            help=f"{of} (default: {default})")  # fmt: skip
    add("--max-waiting", type=whole_number(1, 1000), default=32, metavar="N",
        help="pictures that wait (default: 32)")  # fmt: skip
    add_output_dir(parser)
    return parser


def _root_path(text: str) -> str:
    if text and not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text}: must begin with /, such as /enlarge")
    return text.rstrip("/")
