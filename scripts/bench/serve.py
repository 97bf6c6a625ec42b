"""Many pictures at once through `srexp serve`: are all answered, none mixed, and is memory flat?

    python scripts/bench/serve.py [--requests 300] [--at-once 24] [--side 256] [--workers 1]

Starts a server, sends it pictures of a flat colour each, of its own for each request, with a corner
of noise, and compares every answer with the colour that was sent. Half go through the queue as the
page does it, half are sent and answered in one request. Linux, for the memory.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import requests
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name, usual in (("requests", 300), ("at-once", 24), ("side", 256), ("workers", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "srexp", "serve", "--no-browser", "--port", "0",
            "--max-waiting", "1000", "--workers", str(given.workers), "--output-dir", folder,
        ]  # fmt: skip
        with subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, encoding="utf-8"
        ) as server:
            try:
                measure(server, given)
            finally:
                server.terminate()


def measure(server: subprocess.Popen[str], given: argparse.Namespace) -> None:
    assert server.stdout is not None
    address = server.stdout.readline().split()[1].rstrip("/")
    once(address, 0, given.side)
    memory = [resident(server.pid)]
    began = time.monotonic()
    with ThreadPoolExecutor(given.at_once) as pool:
        asked = [pool.submit(once, address, number, given.side) for number in range(given.requests)]
        times = []
        for number, one in enumerate(asked, 1):
            times.append(one.result())
            if number % max(1, given.requests // 10) == 0:
                memory.append(resident(server.pid))
    seconds = time.monotonic() - began
    print(
        f"{given.requests} pictures of {given.side}x{given.side} x2, {given.at_once} at once, "
        f"{given.workers} at a time: all answered, none mixed; {seconds:.0f} s, "
        f"{given.requests / seconds:.2f} a second; an answer took {statistics.median(times):.1f} s "
        f"(median), {max(times):.1f} s (longest)"
    )
    print("resident MiB after one, then after each tenth: " + ", ".join(f"{m:.0f}" for m in memory))


def once(address: str, number: int, side: int) -> float:
    """Send a picture, and see that it is this one that comes back."""
    random = np.random.default_rng(number)
    colour = random.integers(0, 256, 3)
    levels = np.broadcast_to(colour, (side, side, 3)).astype(np.uint8)
    levels[: side // 8, : side // 8] = random.integers(0, 256, (side // 8, side // 8, 3))
    file = io.BytesIO()
    Image.fromarray(levels).save(file, "PNG")
    began = time.monotonic()
    if number % 2:
        answer = requests.post(f"{address}/api/upscale", data=file.getvalue(), timeout=600)
        answer.raise_for_status()
        content = answer.content
    else:
        content = queued(f"{address}/api/jobs", file.getvalue())
    seconds = time.monotonic() - began
    made = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    assert made.shape == (2 * side, 2 * side, 3), made.shape
    inner = made[side : 2 * side - 32, side : 2 * side - 32]  # the network feels the edges
    assert np.abs(inner - colour).max() <= 1, "another picture came back"
    return seconds


def queued(jobs: str, content: bytes) -> bytes:
    """As the page does it."""
    answer = requests.post(jobs, data=content, timeout=600)
    answer.raise_for_status()
    job = f"{jobs}/{answer.json()['id']}"
    while (told := requests.get(job, timeout=600).json())["state"] in ("waiting", "running"):
        time.sleep(0.25)
    assert told["state"] == "done", told
    shown = [requests.get(f"{job}/{name}", timeout=600) for name in ("result", "shown", "bicubic")]
    for one in shown:
        one.raise_for_status()
    requests.delete(job, timeout=600)
    return shown[0].content


def resident(pid: int) -> float:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
