"""Downloads from servers that keep to the rules, and from those that do not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests_http import FileServer, Served

from srexp.data.download import FetchError, download
from srexp.options import OptionError

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes
CUT = 150_000


def fetch(files: FileServer, path: Path, name: str = "/a.zip", **more: object) -> bytes:
    settings: dict[str, object] = {"patience": 0.5, "pause": 0.001, **more}
    download(files.address + name, path, **settings)  # type: ignore[arg-type]
    return path.read_bytes()


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_arrives_whole_and_alone(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT)
    seen: list[tuple[int, int | None]] = []
    arrived = lambda done, total: seen.append((done, total))  # noqa: E731
    assert fetch(files, tmp_path / "a", arrived=arrived) == CONTENT
    assert left(tmp_path) == {"a"}
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert files.asked == [("/a.zip", None, 200)]


def test_a_cut_off_transfer_goes_on_where_it_was(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT, cuts=[CUT, 50_000])
    assert fetch(files, tmp_path / "a") == CONTENT
    (_, first, _), (_, second, two), (_, third, three) = files.asked
    assert first is None and (two, three) == (206, 206)
    begins = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in (second, third)]
    # What the last read had not handed over yet may be asked for again.
    assert CUT - 20_000 < begins[0] <= CUT < begins[1]


def test_a_second_call_continues_the_first(files: FileServer, tmp_path: Path) -> None:
    served = files.files["/a.zip"] = Served(CONTENT, cuts=[CUT])
    with pytest.raises(FetchError, match=r"bytes are kept, and the same command goes on"):
        fetch(files, tmp_path / "a", attempts=1)
    assert left(tmp_path) == {"a.part", "a.part.json"}
    assert served.content.startswith((tmp_path / "a.part").read_bytes())
    assert fetch(files, tmp_path / "a") == CONTENT
    assert files.asked[1][2] == 206 and left(tmp_path) == {"a"}


def test_a_killed_download_continues(files: FileServer, tmp_path: Path) -> None:
    served = files.files["/a.zip"] = Served(CONTENT, bytes_per_s=200_000)
    code = (
        "import sys; from pathlib import Path; from srexp.data.download import download\n"
        "download(sys.argv[1], Path(sys.argv[2]))"
    )
    arguments = [sys.executable, "-c", code, f"{files.address}/a.zip", str(tmp_path / "a")]
    with subprocess.Popen(arguments) as process:
        part, deadline = tmp_path / "a.part", time.monotonic() + 60
        while not (part.exists() and part.stat().st_size > 30_000):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    served.bytes_per_s = None
    assert not (tmp_path / "a").exists()
    assert fetch(files, tmp_path / "a") == CONTENT
    assert files.asked[-1][2] == 206


@pytest.mark.parametrize("served", [{"ranges": False}, {"etag": ""}, {"etag": 'W/"weak"'}])
def test_a_server_without_ranges_or_versions_begins_anew(
    files: FileServer, tmp_path: Path, served: dict[str, object]
) -> None:
    files.files["/a.zip"] = Served(CONTENT, cuts=[CUT], **served)  # type: ignore[arg-type]
    assert fetch(files, tmp_path / "a") == CONTENT
    assert [status for _, _, status in files.asked] == [200, 200]


def test_a_file_that_changed_meanwhile_is_not_patched_together(
    files: FileServer, tmp_path: Path
) -> None:
    files.files["/a.zip"] = Served(CONTENT, cuts=[CUT])
    with pytest.raises(FetchError):
        fetch(files, tmp_path / "a", attempts=1)
    other = CONTENT[::-1]
    files.files["/a.zip"] = Served(other)
    assert fetch(files, tmp_path / "a") == other
    assert files.asked[1][1] is not None and files.asked[1][2] == 200


def test_another_address_begins_anew(files: FileServer, tmp_path: Path) -> None:
    files.files |= {"/a.zip": Served(CONTENT, cuts=[CUT]), "/b.zip": Served(CONTENT, etag='"x"')}
    with pytest.raises(FetchError):
        fetch(files, tmp_path / "a", attempts=1)
    assert fetch(files, tmp_path / "a", "/b.zip") == CONTENT
    assert files.asked[1] == ("/b.zip", None, 200)


def test_a_part_that_is_longer_than_the_file_is_thrown_away(
    files: FileServer, tmp_path: Path
) -> None:
    files.files["/a.zip"] = Served(CONTENT, cuts=[CUT])
    with pytest.raises(FetchError):
        fetch(files, tmp_path / "a", attempts=1)
    with (tmp_path / "a.part").open("ab") as file:
        file.write(CONTENT)
    assert fetch(files, tmp_path / "a") == CONTENT
    assert [status for _, _, status in files.asked] == [200, 416, 200]


def test_a_server_that_answers_with_another_part_is_not_believed(
    files: FileServer, tmp_path: Path
) -> None:
    files.files["/a.zip"] = Served(CONTENT, cuts=[CUT], wrong_range=True)
    assert fetch(files, tmp_path / "a") == CONTENT
    assert [status for _, _, status in files.asked] == [200, 206, 200]


def test_redirections_are_followed_and_loops_are_not(files: FileServer, tmp_path: Path) -> None:
    files.files |= {
        "/a.zip": Served(redirect="/b.zip"),
        "/b.zip": Served(CONTENT, cuts=[CUT]),
        "/loop": Served(redirect="/loop"),
        "/file": Served(redirect="file:///etc/hostname"),
    }
    assert fetch(files, tmp_path / "a") == CONTENT
    assert files.asked[-1][0] == "/b.zip" and files.asked[-1][2] == 206
    with pytest.raises(FetchError, match="redirects without end"):
        fetch(files, tmp_path / "b", "/loop")
    with pytest.raises(OptionError, match="is no http or https address"):
        fetch(files, tmp_path / "b", "/file")
    assert left(tmp_path) == {"a"}


def test_a_slow_transfer_is_waited_for(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT[:40_960], bytes_per_s=20_000)
    began = time.monotonic()
    assert fetch(files, tmp_path / "a") == CONTENT[:40_960]  # four times the patience
    assert time.monotonic() - began > 1.5 and len(files.asked) == 1


def test_a_transfer_that_stalls_is_given_up_and_kept(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT, stalls=90_000)
    with pytest.raises(FetchError, match=r"nothing came for 0\.2 s \(3 attempts\)"):
        fetch(files, tmp_path / "a", attempts=3, patience=0.2)
    assert left(tmp_path) == {"a.part", "a.part.json"}
    assert len(files.asked) == 3
    # Each attempt went on from the one before.
    assert len((tmp_path / "a.part").read_bytes()) > 200_000


def test_more_is_announced_than_comes(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT, length=len(CONTENT) + 100, etag="")
    with pytest.raises(FetchError, match="the connection was cut off"):
        fetch(files, tmp_path / "a", attempts=2)
    assert not (tmp_path / "a").exists()


def test_without_a_length_the_end_is_the_end(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT, length=False)
    totals = set()
    arrived = lambda done, total: totals.add(total)  # noqa: E731
    assert fetch(files, tmp_path / "a", arrived=arrived) == CONTENT
    assert totals == {None}


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (500, 3), (503, 3), (429, 3)])
def test_refusals_are_final_and_failures_are_tried_again(
    files: FileServer, tmp_path: Path, status: int, asked: int
) -> None:
    files.files["/a.zip"] = Served(status=status)
    with pytest.raises(FetchError, match=rf"/a\.zip: the server answers {status} \w+"):
        fetch(files, tmp_path / "a", attempts=3)
    assert len(files.asked) == asked and left(tmp_path) == set()


def test_a_server_that_recovers_is_asked_again(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT, status=503, failures=2)
    assert fetch(files, tmp_path / "a") == CONTENT


def test_attempts_count_anew_after_a_megabyte(files: FileServer, tmp_path: Path) -> None:
    long = CONTENT * 24
    files.files["/a.zip"] = Served(long, cuts=[1_200_000] * 5)
    assert fetch(files, tmp_path / "a", attempts=2) == long
    files.files["/b.zip"] = Served(long, cuts=[200_000] * 5)
    with pytest.raises(FetchError, match="2 attempts"):
        fetch(files, tmp_path / "b", "/b.zip", attempts=2)


def test_a_compressed_answer_is_refused(files: FileServer, tmp_path: Path) -> None:
    files.files["/a.zip"] = Served(CONTENT, encoding="gzip")
    with pytest.raises(FetchError, match=r"sends it compressed \(gzip\)"):
        fetch(files, tmp_path / "a")


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/a.zip"
    with pytest.raises(FetchError) as caught:
        download(address, tmp_path / "a", attempts=2, pause=0.001)
    assert str(caught.value) == f"{address}: connection refused (2 attempts)"


def test_a_name_that_nobody_has(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"the name of the server cannot be resolved"):
        download("http://no-such-host.invalid/a", tmp_path / "a", attempts=1)


@pytest.mark.parametrize("address", ["ftp://x/a.zip", "http://", "no address"])
def test_what_is_no_address_is_bad_input(tmp_path: Path, address: str) -> None:
    with pytest.raises(OptionError, match="is no http or https address"):
        download(address, tmp_path / "a")


def test_what_cannot_fit_is_not_begun(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    files.files["/a.zip"] = Served(CONTENT, length=free * 2)
    with pytest.raises(FetchError, match=r"needs [\d,]+ bytes more, and [\d,]+ are free"):
        fetch(files, tmp_path / "a")
    assert left(tmp_path) == set()
