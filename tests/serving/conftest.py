"""A server on a free port, in this process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from srexp.serving.app import Networks, application
from srexp.serving.jobs import Limits
from srexp.upscaling.method import Method

Start = Callable[..., str]


def no_runs() -> dict[str, tuple[str, int]]:
    return {}


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """`start(megapixels=1)`: the address of a server with these limits."""
    servers: list[tuple[uvicorn.Server, threading.Thread]] = []

    def started(
        *, workers: int = 1, runs: Any = no_runs, of_run: Any = None, hosts: Any = (), **limits: Any
    ) -> str:
        def method(name: str) -> Method:
            return of_run(name)

        app = application(
            Networks(runs, method),
            Limits(**limits),
            workers=workers,
            hosts=frozenset({"127.0.0.1", *hosts}),
        )
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        servers.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield started
    for server, _ in servers:
        server.should_exit = True
    for _, thread in servers:
        thread.join(20)


@pytest.fixture(scope="module")
def server(start: Start) -> str:
    return start()
