"""A gate before a real server, which can be made to fail as servers do."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Gate:
    """An HTTP server that passes every request on, or does not.

    Attributes:
        mode: `pass`; `hang` (takes the request and never answers); `error` (answers 500); `deaf`
            (passes it on, and the answer is lost).
        uri: Where it listens.
        refused: How many requests it did not answer as the server would.
    """

    def __init__(self, port: int) -> None:
        self.mode = "pass"
        self.refused = 0
        self.opened = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                gate.refused += gate.mode != "pass"
                if gate.mode == "hang":
                    gate.opened.wait(60)
                    self.close_connection = True
                    return
                if gate.mode == "error":
                    self.send_response(500)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                lost = gate.mode == "deaf"
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    server.request(self.command, self.path, body, dict(self.headers))
                    answer = server.getresponse()
                    content = answer.read()
                except OSError:
                    lost = True
                finally:
                    server.close()
                if lost:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True  # whoever asked has gone

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self) -> None:
        """Pass everything on from now."""
        self.mode = "pass"
        self.opened.set()

    def close(self) -> None:
        self.opened.set()
        self._server.shutdown()
        self._server.server_close()
