"""One file from the network: resumed where it was cut off, and whole or absent."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from srexp import __version__
from srexp.files import flush
from srexp.options import OptionError

# Told how many bytes have arrived, and of how many (None: the server does not say).
Arrived = Callable[[int, int | None], None]

_CHUNK = 1 << 14
# A connection that brought so much before it was cut off is worth as many attempts again.
_WORTH = 1 << 20
_CUT_OFF = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)
_TRY_AGAIN = (408, 425, 429)  # and all from 500 on


class FetchError(RuntimeError):
    """What came to nothing, in one line: whose fault it is, and what is kept."""


class _CutOff(Exception):
    """An attempt that another one may go on from."""


def download(
    address: str,
    path: Path,
    *,
    arrived: Arrived | None = None,
    session: requests.Session | None = None,
    attempts: int = 5,
    patience: float = 30,
    pause: float = 1,
) -> None:
    """Bring a file from `address` to `path`.

    What has arrived stands in `path.part`, and `path.part.json` says of which version of which
    file it is. A later call asks for the rest (Range, If-Range), and begins anew if the file has
    changed or the server cannot tell.

    Args:
        address: http or https; redirections are followed.
        path: Where the whole file is put; its folder exists.
        arrived: For a progress bar.
        session: For several files from one server.
        attempts: In a row, without a megabyte of progress.
        patience: Seconds without a byte after which a connection is given up.
        pause: Seconds before the second attempt; doubled before each further one.

    Raises:
        OptionError: `address` is none.
        FetchError: The server refuses, cannot be reached, or cuts off again and again.
        OSError: The disk is full or may not be written.
    """
    own = session or requests.Session()
    part = path.with_name(f"{path.name}.part")
    failures, furthest = 0, _size(part)
    while True:
        try:
            _attempt(own, address, part, arrived or (lambda *_: None), patience)
            break
        except _CutOff as cut:
            if _size(part) >= furthest + _WORTH:
                failures = 0
            furthest = max(furthest, _size(part))
            failures += 1
            if failures >= attempts:
                kept = _size(part)
                if not kept:
                    part.unlink(missing_ok=True)
                    _about(part).unlink(missing_ok=True)
                rest = f"; {kept:,} bytes are kept, and the same command goes on" if kept else ""
                raise FetchError(f"{address}: {cut} ({attempts} attempts){rest}") from None
            time.sleep(pause * 2 ** (failures - 1))
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        ):
            raise OptionError(f"{address}: is no http or https address") from None
        except requests.RequestException as error:
            raise FetchError(f"{address}: {_reason(error)}") from None
    flush(part)
    os.replace(part, path)
    _about(part).unlink(missing_ok=True)


def _attempt(
    session: requests.Session, address: str, part: Path, arrived: Arrived, patience: float
) -> None:
    headers = {
        # Compressed on the way, bytes could not be counted or asked for.
        "Accept-Encoding": "identity",
        "User-Agent": f"srexp/{__version__}",
    }
    validator = _validator_of(part, address)
    begin = _size(part) if validator else 0
    if begin and validator:
        headers |= {"Range": f"bytes={begin}-", "If-Range": validator}
    try:
        with session.get(address, headers=headers, stream=True, timeout=patience) as answer:
            begin, total = _agreed(answer, begin, part, address)
            _make_room(part, total, begin)
            if not begin:
                part.unlink(missing_ok=True)  # before it is said to be of this version
            note = {"address": address, "validator": _validator(answer)}
            _about(part).write_text(json.dumps(note), encoding="utf-8")
            _receive(answer, part, begin, total, arrived)
    except requests.exceptions.SSLError:
        raise  # a kind of ConnectionError; another attempt would not help
    except _CUT_OFF as error:
        raise _CutOff(_reason(error, patience)) from None


def _agreed(
    answer: requests.Response, begin: int, part: Path, address: str
) -> tuple[int, int | None]:
    """From which byte on the answer brings the file, and how long the file is."""
    if answer.status_code == 416:  # what we have is longer than the file
        part.unlink(missing_ok=True)
        raise _CutOff("416 Range Not Satisfiable")
    if answer.status_code in _TRY_AGAIN or answer.status_code >= 500:
        raise _CutOff(f"the server answers {answer.status_code} {answer.reason}")
    if answer.status_code not in (200, 206):
        raise FetchError(f"{address}: the server answers {answer.status_code} {answer.reason}")
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding not in ("", "identity"):
        raise FetchError(f"{address}: the server sends it compressed ({encoding}), unasked")
    if answer.status_code == 206:
        given = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if given is None or int(given[1]) != begin:
            part.unlink(missing_ok=True)
            raise _CutOff("the server answers with another part of the file")
        return begin, None if given[2] == "*" else int(given[2])
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _make_room(part: Path, total: int | None, begin: int) -> None:
    free = shutil.disk_usage(part.parent).free
    missing = (total or 0) - begin
    if missing > free:
        raise FetchError(f"{part.parent}: needs {missing:,} bytes more, and {free:,} are free")


def _receive(
    answer: requests.Response, part: Path, begin: int, total: int | None, arrived: Arrived
) -> None:
    done = begin
    arrived(done, total)
    with part.open("ab" if begin else "wb") as file:
        for chunk in answer.iter_content(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            arrived(done, total)
    if total is not None and done != total:
        if done > total:
            part.unlink()
        raise _CutOff(f"cut off after {done:,} of {total:,} bytes")


def _validator(answer: requests.Response) -> str | None:
    """What tells this version of the file from another one (RFC 9110: a weak ETag does not)."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified")


def _validator_of(part: Path, address: str) -> str | None:
    try:
        about: dict[str, Any] = json.loads(_about(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return about.get("validator") if about.get("address") == address else None


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: Exception, patience: float = 0) -> str:
    """The heart of what `requests` wraps in several layers of its own."""
    text = str(error)
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return f"nothing came for {patience:g} s"
    if isinstance(error, requests.TooManyRedirects):
        return "redirects without end"
    if "NameResolution" in text or "getaddrinfo" in text:
        return "the name of the server cannot be resolved (no network?)"
    told = re.search(r"IncompleteRead\((\d+) bytes read(?:, (\d+) more expected)?", text)
    if told is not None:
        return "the connection was cut off"
    inner = re.search(r"\[Errno -?\d+\] ([^'\")]+)", text)
    if inner is not None:
        return inner[1].lower()
    if "without response" in text:
        return "the server closed the connection without an answer"
    return f"{type(error).__name__}: {text[:200]}"
