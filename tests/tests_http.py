"""A small HTTP server that keeps to the rules, or breaks the one that a test names."""

from __future__ import annotations

import hashlib
import re
import socket
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass
class Served:
    """One file and how it is answered.

    Attributes:
        content: Of the file.
        ranges: Whether parts can be asked for.
        etag: None for a strong one of the content.
        length: Whether, and as what, the length is told: True, False, or a wrong number.
        cuts: Bytes of each answer after which the connection breaks; afterwards it holds.
        stalls: Bytes after which each answer hangs until the server closes.
        bytes_per_s: Speed; None for as fast as it goes.
        status: Instead of the file.
        failures: How often `status` is given before the file is.
        redirect: To another address.
        encoding: Content-Encoding claimed.
        wrong_range: Parts begin a byte too late.
    """

    content: bytes = b""
    ranges: bool = True
    etag: str | None = None
    length: bool | int = True
    cuts: list[int] = field(default_factory=list)
    stalls: int | None = None
    bytes_per_s: int | None = None
    status: int | None = None
    failures: int = 10**9
    redirect: str | None = None
    encoding: str | None = None
    wrong_range: bool = False


class FileServer:
    """Files by path, and what was asked of it: `(path, Range header or None, status)`."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[tuple[str, str | None, int]] = []
        self.closing = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self.closing = True
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            served = server.files.get(self.path, Served(status=404))
            if served.redirect is not None:
                self._begin(302, [("Location", served.redirect), ("Content-Length", "0")])
                return
            if served.status is not None and served.failures > 0:
                served.failures -= 1
                self._begin(served.status, [("Content-Length", "0")])
                return
            self._send(served)

        def _begin(self, status: int, headers: list[tuple[str, str]]) -> None:
            server.asked.append((self.path, self.headers.get("Range"), status))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()

        def _send(self, served: Served) -> None:
            content, begin = served.content, 0
            etag = served.etag
            if etag is None:
                etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            headers = [("ETag", etag)] if etag else []
            part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            wanted = part is not None and self.headers.get("If-Range", etag) == etag
            if served.ranges and part is not None and wanted:
                begin = int(part[1]) + served.wrong_range
                if begin >= len(content):
                    self._begin(416, [("Content-Length", "0")])
                    return
                told = f"bytes {begin}-{len(content) - 1}/{len(content)}"
                headers.append(("Content-Range", told))
            body = content[begin:]
            if served.length is False:
                headers.append(("Connection", "close"))
            else:
                told_length = len(body) if served.length is True else served.length
                headers.append(("Content-Length", str(told_length)))
            if served.encoding:
                headers.append(("Content-Encoding", served.encoding))
            self._begin(206 if begin else 200, headers)
            self._write(served, body)

        def _write(self, served: Served, body: bytes) -> None:
            cut = served.cuts.pop(0) if served.cuts else None
            end = cut if cut is not None else served.stalls
            try:
                for start in range(0, len(body[:end]), 4096):
                    chunk = body[:end][start : start + 4096]
                    self.wfile.write(chunk)
                    if served.bytes_per_s:
                        time.sleep(len(chunk) / served.bytes_per_s)
                self.wfile.flush()
                while served.stalls is not None and cut is None and not server.closing:
                    time.sleep(0.01)
            except OSError:  # the client has gone
                pass
            if end is not None or served.length is not True:
                self.close_connection = True
                try:
                    self.connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    return Handler
