"""Sets into the data directory: whole and checked, or not at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests_http import FileServer, Served

from srexp.data.download import FetchError
from srexp.data.fetch import Fetched, fetch
from srexp.data.known import KnownSet, PublishedImage, known_sets
from srexp.data.sets import pixels_digest, read_folders
from srexp.files import Lock
from srexp.images.io import read_image
from srexp.options import OptionError


def picture(level: int, form: str = "PNG", size: tuple[int, int] = (24, 20)) -> bytes:
    content = io.BytesIO()
    noise = np.random.default_rng(level).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(noise).save(content, form)
    return content.getvalue()


PICTURES = {f"img_{index}.png": picture(index) for index in range(4)}


def known(*, published: bool, pick: str | None = None, address: str | None = None) -> KnownSet:
    made = KnownSet("four", "benchmark", 4, "us", "free", address, pick, "ask us")
    made.__dict__["published"] = [
        PublishedImage(name, f"there_{name}", hashlib.sha256(content).hexdigest(), pixels(content))
        for name, content in PICTURES.items()
        if published
    ]
    return made


def pixels(content: bytes) -> str:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(content)
        file.flush()
        return pixels_digest(read_image(Path(file.name))[0])


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:  # type: ignore[call-overload]
        for name, member in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(member)
            archive.addfile(info, io.BytesIO(member))
    return content.getvalue()


def folder_of(prefix: str, pictures: dict[str, bytes] = PICTURES) -> dict[str, bytes]:
    return {f"{prefix}{name}": content for name, content in pictures.items()}


def get(
    wanted: KnownSet, data: Path, files: FileServer, name: str, pick: str | None = None
) -> Fetched:
    return fetch(wanted, data, address=files.address + name, pick=pick, patience=0.5, pause=0.001)


def everything(data: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file()
    }


WHOLE = folder_of("four/")


# File by file.


def serve_files(files: FileServer) -> None:
    for name, content in PICTURES.items():
        files.files[f"/there_{name}"] = Served(content)


def test_files_arrive_under_our_names_and_are_checked(files: FileServer, tmp_path: Path) -> None:
    serve_files(files)
    told: list[tuple[str, int, int | None]] = []
    got = fetch(
        known(published=True), tmp_path / "deep" / "data", address=f"{files.address}/",
        progress=lambda *what: told.append(what),
    )  # fmt: skip
    assert got == Fetched(tmp_path / "deep" / "data" / "four", 4, checked=True)
    assert everything(tmp_path / "deep" / "data") == WHOLE
    assert told == [("files", done, 4) for done in range(5)]


def test_a_set_that_is_here_is_not_fetched_again(files: FileServer, tmp_path: Path) -> None:
    serve_files(files)
    get(known(published=True), tmp_path, files, "/")
    files.asked.clear()
    assert get(known(published=True), tmp_path, files, "/").was_here
    assert files.asked == []


@pytest.mark.parametrize("how", ["other", "cut"])
def test_a_wrong_file_is_refused_and_the_rest_is_kept(
    files: FileServer, tmp_path: Path, how: str
) -> None:
    serve_files(files)
    wrong = picture(9) if how == "other" else PICTURES["img_2.png"][:-30]
    files.files["/there_img_2.png"] = Served(wrong)
    with pytest.raises(FetchError, match=r"there_img_2\.png: is not the published image"):
        get(known(published=True), tmp_path, files, "/")
    kept = everything(tmp_path)
    assert not (tmp_path / "four").exists()
    assert {Path(name).name for name in kept} == {"img_0.png", "img_1.png", "four.lock"}
    serve_files(files)
    files.asked.clear()
    assert get(known(published=True), tmp_path, files, "/").checked
    assert [path for path, _, _ in files.asked] == ["/there_img_2.png", "/there_img_3.png"]
    assert everything(tmp_path) == WHOLE


def test_a_kept_file_that_was_damaged_is_fetched_again(files: FileServer, tmp_path: Path) -> None:
    serve_files(files)
    files.files["/there_img_3.png"] = Served(status=404)
    with pytest.raises(FetchError, match="404"):
        get(known(published=True), tmp_path, files, "/")
    (tmp_path / ".fetch" / "four" / "images" / "img_0.png").write_bytes(b"damaged")
    serve_files(files)
    get(known(published=True), tmp_path, files, "/")
    assert everything(tmp_path) == WHOLE


def test_a_folder_of_unknown_files_is_bad_input(files: FileServer, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="the names of the files of four are not known"):
        get(known(published=False), tmp_path, files, "/")


# Archives.


@pytest.mark.parametrize(
    "archive",
    [
        zipped(folder_of("HR/")),
        zipped(folder_of("")),
        *(tarred(folder_of("./a/HR/"), f"w:{form}") for form in ("", "gz", "bz2", "xz")),
        zipped({**folder_of("HR/"), "LR/img_0.png": picture(7), "note.txt": b"text"}),
        zipped({**folder_of("HR/"), "__MACOSX/HR/._img_0.png": b"x", "HR/.hidden.png": b"x"}),
    ],
    ids=["zip", "flat", "tar", "gz", "bz2", "xz", "more", "hidden"],
)
@pytest.mark.parametrize("published", [True, False])
def test_archives_are_unpacked(
    files: FileServer, tmp_path: Path, archive: bytes, published: bool
) -> None:
    files.files["/x"] = Served(archive)
    got = get(known(published=published), tmp_path, files, "/x")
    assert got == Fetched(tmp_path / "four", 4, checked=published)
    assert everything(tmp_path) == WHOLE


def test_published_images_are_found_by_content_in_any_lossless_form(
    files: FileServer, tmp_path: Path
) -> None:
    members = {f"set/{9 - index}.bmp": picture(index, "BMP") for index in range(4)}
    members |= {"set/0.bmp": picture(77, "BMP"), "set/small.bmp": picture(0, "BMP", (8, 8))}
    files.files["/x"] = Served(zipped(members))
    get(known(published=True), tmp_path, files, "/x")
    names = sorted(path.name for path in (tmp_path / "four").iterdir())
    assert names == [f"img_{index}.bmp" for index in range(4)]
    for index in range(4):
        image = Image.open(tmp_path / "four" / f"img_{index}.bmp")
        other = Image.open(io.BytesIO(PICTURES[f"img_{index}.png"]))
        np.testing.assert_array_equal(np.asarray(image), np.asarray(other))


def test_images_that_differ_are_missing(files: FileServer, tmp_path: Path) -> None:
    members = folder_of("HR/")
    members["HR/img_1.png"] = picture(9)
    files.files["/x"] = Served(zipped(members))
    with pytest.raises(FetchError, match=r"4 pictures hold 3 .*missing: img_1\.png\)"):
        get(known(published=True), tmp_path, files, "/x")
    assert list(tmp_path.iterdir()) == []  # the archive is of no use


def test_two_equal_images_are_two(files: FileServer, tmp_path: Path) -> None:
    wanted = known(published=True)
    first = wanted.published[0]
    wanted.__dict__["published"][3] = PublishedImage("img_3.png", "x", first.sha256, first.pixels)
    members = folder_of("HR/")
    members["HR/img_3.png"] = members["HR/img_0.png"]
    files.files["/x"] = Served(zipped(members))
    get(wanted, tmp_path, files, "/x")
    assert len(list((tmp_path / "four").iterdir())) == 4


def test_the_pattern_of_a_set_and_of_the_user(files: FileServer, tmp_path: Path) -> None:
    others = {f"img_{index}.png": picture(50 + index) for index in range(4)}
    files.files["/x"] = Served(zipped({**folder_of("HR/"), **folder_of("LR/", others)}))
    wanted = known(published=False)
    with pytest.raises(OptionError, match=r"the archive holds HR/ 4, LR/ 4; say which with --pick"):
        get(wanted, tmp_path, files, "/x")
    assert not (tmp_path / "four").exists()
    with pytest.raises(OptionError, match=r"H/\* fits 0 pictures"):
        get(wanted, tmp_path, files, "/x", "H/*")
    get(wanted, tmp_path, files, "/x", "LR/*")
    assert everything(tmp_path) == folder_of("four/", others)
    assert [status for _, _, status in files.asked] == [200]  # the archive was kept
    get(known(published=False, pick="HR/*.png"), tmp_path / "b", files, "/x")
    assert everything(tmp_path / "b") == WHOLE
    get(known(published=False, pick="HR/*.png"), tmp_path / "c", files, "/x", "LR/*")
    assert everything(tmp_path / "c") == folder_of("four/", others)


def test_equal_names_in_two_folders_are_not_mixed(files: FileServer, tmp_path: Path) -> None:
    members = {"a/x.png": picture(1), "a/y.png": picture(2), "b/x.png": picture(3)}
    files.files["/x"] = Served(zipped({**members, "b/z.png": picture(4)}))
    with pytest.raises(OptionError, match="have the same name"):
        get(known(published=False), tmp_path, files, "/x", "*.png")


def test_an_archive_on_this_machine_stays_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    path.write_bytes(zipped(folder_of("HR/")))
    fetch(known(published=False), tmp_path / "data", address=str(path))
    assert everything(tmp_path / "data") == WHOLE and path.exists()
    with pytest.raises(OptionError, match=r"is neither an address .* nor a file on this machine"):
        fetch(known(published=False), tmp_path / "other", address=str(tmp_path / "gone.zip"))


# Archives that mean harm, or are broken.


def link_in_zip() -> bytes:
    content = io.BytesIO(zipped(folder_of("HR/")))
    with zipfile.ZipFile(content, "a") as archive:
        info = zipfile.ZipInfo("HR/link.png")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/hostname")
    return content.getvalue()


def entry_in_tar(**about: object) -> bytes:
    content = io.BytesIO(tarred(folder_of("HR/"), "w"))
    with tarfile.open(fileobj=content, mode="a") as archive:
        info = tarfile.TarInfo("HR/link.png")
        for name, value in about.items():
            setattr(info, name, value)
        archive.addfile(info)
    return content.getvalue()


HARM = {
    "zip ..": (zipped({**folder_of("HR/"), "../../evil.png": picture(1)}), "leads out"),
    "zip /": (zipped({**folder_of("HR/"), "/tmp/evil.png": picture(1)}), "leads out"),
    "zip \\": (zipped({**folder_of("HR/"), "x\\..\\evil.png": picture(1)}), "leads out"),
    "zip C:": (zipped({**folder_of("HR/"), "C:/evil.png": picture(1)}), "leads out"),
    "zip link": (link_in_zip(), "is a link"),
    "tar ..": (tarred({**folder_of("HR/"), "a/../../evil.png": picture(1)}), "leads out"),
    "tar /": (tarred({**folder_of("HR/"), "/tmp/evil.png": picture(1)}), "leads out"),
    "tar link": (
        entry_in_tar(type=tarfile.SYMTYPE, linkname="/etc/hostname"), "is a link or a device"),
    "tar hard link": (
        entry_in_tar(type=tarfile.LNKTYPE, linkname="HR/img_0.png"), "is a link or a device"),
    "tar device": (entry_in_tar(type=tarfile.CHRTYPE), "is a link or a device"),
}  # fmt: skip


@pytest.mark.parametrize("case", HARM)
@pytest.mark.parametrize("published", [True, False])
def test_archives_that_mean_harm_are_not_unpacked(
    files: FileServer, tmp_path: Path, case: str, published: bool
) -> None:
    archive, words = HARM[case]
    files.files["/x"] = Served(archive)
    data = tmp_path / "a" / "b" / "data"
    with pytest.raises(FetchError, match=words):
        get(known(published=published), data, files, "/x")
    assert everything(tmp_path) == {} and not list(data.iterdir())
    assert not list(tmp_path.rglob("evil*")) and not Path("/tmp/evil.png").exists()


def test_a_picture_that_is_a_bomb_is_not_unpacked(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srexp.data.fetch._LARGEST", 10_000)
    files.files["/x"] = Served(zipped({**folder_of("HR/"), "HR/bomb.png": bytes(10_001)}))
    with pytest.raises(FetchError, match=r"bomb\.png: 10,001 bytes in the archive"):
        get(known(published=False), tmp_path, files, "/x")
    files.files["/y"] = Served(tarred({**folder_of("HR/"), "HR/bomb.png": bytes(10_001)}))
    with pytest.raises(FetchError, match=r"bomb\.png: 10,001 bytes in the archive"):
        get(known(published=False), tmp_path, files, "/y")


def crc_error() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # stored, so that the bytes are in place
        for name, member in folder_of("HR/").items():
            archive.writestr(name, member)
    broken = bytearray(content.getvalue())
    broken[broken.index(PICTURES["img_2.png"]) + 200] ^= 1
    return bytes(broken)


def encrypted() -> bytes:
    broken = bytearray(zipped(folder_of("HR/")))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = broken.find(header)
        while at >= 0:
            broken[at + offset] |= 1
            at = broken.find(header, at + 4)
    return bytes(broken)


TGZ = tarred(folder_of("HR/"))
BROKEN = {
    "web page": (b"<!doctype html><title>Sign in</title>", "no zip or tar archive"),
    "empty": (b"", "no zip or tar archive"),
    "zip cut": (zipped(folder_of("HR/"))[:-40], "the archive is damaged"),
    "tar.gz cut": (TGZ[:-200], "the archive is damaged"),
    "tar.gz altered": (TGZ[:300] + bytes(50) + TGZ[350:], "damaged"),
    "tar altered": (
        tarred(folder_of("HR/"), "w").replace(b"HR/img_2.png", b"XX/img_2.png"),
        "the archive is damaged"),
    "gzip of nothing": (gzip.compress(b"no tar"), "the archive is damaged"),
    "crc": (crc_error(), r"img_2\.png: is damaged in the archive"),
    "encrypted": (encrypted(), "encrypted|password"),
    "no picture": (zipped({**folder_of("HR/"), "HR/img_1.png": b"no picture"}), "not a picture"),
    "picture cut": (
        zipped({**folder_of("HR/"), "HR/img_1.png": PICTURES["img_1.png"][:-300]}),
        r"HR/img_1\.png: cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken_archives_are_not_kept(files: FileServer, tmp_path: Path, case: str) -> None:
    archive, words = BROKEN[case]
    files.files["/x"] = Served(archive)
    with pytest.raises(FetchError, match=words):
        get(known(published=False), tmp_path, files, "/x")
    assert list(tmp_path.iterdir()) == []
    files.files["/x"] = Served(zipped(folder_of("HR/")))
    get(known(published=False), tmp_path, files, "/x")
    assert everything(tmp_path) == WHOLE


@pytest.mark.parametrize("name", ["/gone.zip", "/gone/"])
def test_where_nothing_was_fetched_nothing_is_left(
    files: FileServer, tmp_path: Path, name: str
) -> None:
    with pytest.raises(FetchError, match="404"):
        get(known(published=True), tmp_path, files, name)
    assert list(tmp_path.iterdir()) == []
    files.files["/cut.zip"] = Served(b"x" * 1000, cuts=[0] * 5)
    with pytest.raises(FetchError, match="5 attempts"):
        get(known(published=True), tmp_path, files, "/cut.zip")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OptionError, match="neither an address"):
        fetch(known(published=True), tmp_path / "data", address=str(tmp_path / "gone.zip"))
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_that_would_not_be_used_is_refused(files: FileServer, tmp_path: Path) -> None:
    files.files["/x"] = Served(zipped(folder_of("HR/")))
    serve_files(files)
    for name in ("/x", "/"):
        with pytest.raises(OptionError, match=r"--pick HR/\*: has no use for four"):
            get(known(published=True), tmp_path, files, name, "HR/*")
    assert files.asked == [] and list(tmp_path.iterdir()) == []


def test_an_archive_that_is_cut_off_continues_in_the_next_call(
    files: FileServer, tmp_path: Path
) -> None:
    archive = zipped({**folder_of("HR/"), "filler.bin": os.urandom(400_000)})
    files.files["/x"] = Served(archive, cuts=[50_000] * 5)
    with pytest.raises(FetchError, match="the same command goes on"):
        get(known(published=True), tmp_path, files, "/x")
    assert not (tmp_path / "four").exists()
    files.asked.clear()
    get(known(published=True), tmp_path, files, "/x")
    assert files.asked[0][2] == 206
    assert everything(tmp_path) == WHOLE


# What is in the way.


def test_what_is_in_place_is_never_touched(files: FileServer, tmp_path: Path) -> None:
    serve_files(files)
    (tmp_path / "four").mkdir()
    (tmp_path / "four" / "mine.png").write_bytes(picture(1))
    with pytest.raises(OptionError, match="holds 1 picture, and four has 4; move it away"):
        get(known(published=True), tmp_path, files, "/")
    for index in range(3):
        (tmp_path / "four" / f"img_{index}.png").write_bytes(picture(index))
    with pytest.raises(OptionError, match=r"mine\.png|img_3\.png: not what was published"):
        get(known(published=True), tmp_path, files, "/")
    assert len(list((tmp_path / "four").iterdir())) == 4 and files.asked == []
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "four").write_text("a file")
    with pytest.raises(OptionError, match="four: is a file"):
        get(known(published=True), tmp_path / "b", files, "/")


def test_an_empty_folder_is_filled(files: FileServer, tmp_path: Path) -> None:
    serve_files(files)
    (tmp_path / "four").mkdir()
    get(known(published=True), tmp_path, files, "/")
    assert everything(tmp_path) == WHOLE


def test_two_processes_do_not_fetch_the_same(files: FileServer, tmp_path: Path) -> None:
    serve_files(files)
    (tmp_path / ".fetch").mkdir()
    with (
        Lock(tmp_path / ".fetch" / "four.lock"),
        pytest.raises(FetchError, match="another process is fetching it now"),
    ):
        get(known(published=True), tmp_path, files, "/")
    get(known(published=True), tmp_path, files, "/")


def test_what_another_process_has_just_fetched_is_taken_as_it_is(
    files: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_files(files)

    class Late(Lock):
        def acquire(self, *, wait: bool = False) -> bool:
            monkeypatch.setattr("srexp.data.fetch.Lock", Lock)
            get(known(published=True), tmp_path, files, "/")
            files.asked.clear()
            return super().acquire(wait=wait)

    monkeypatch.setattr("srexp.data.fetch.Lock", Late)
    assert get(known(published=True), tmp_path, files, "/").was_here
    assert files.asked == [] and everything(tmp_path) == WHOLE


def test_a_set_without_an_address_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"manga109: there is no public address.*manga109\.org"):
        fetch(known_sets()["manga109"], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="srexp-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no tmpfs may be mounted here ({done.stderr.strip()})")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_is_one_line_and_continues_with_room(
    files: FileServer, small_disk: Path
) -> None:
    archive = zipped({**folder_of("HR/"), "filler.bin": os.urandom(400_000)})
    files.files["/x"] = Served(archive, length=False)  # so that it is not known beforehand
    with pytest.raises(FetchError, match="no space left on device"):
        get(known(published=True), small_disk, files, "/x")
    assert not (small_disk / "four").exists()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    files.asked.clear()
    files.files["/x"].length = True
    get(known(published=True), small_disk, files, "/x")
    assert files.asked[0][2] == 206
    assert everything(small_disk) == WHOLE


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match=r"not a directory|file exists"):
        fetch(known(published=True, address="http://x/"), tmp_path / "file" / "data")


# The real sets.


@pytest.mark.parametrize("name", ["set5", "bsds200"])
def test_a_real_set_is_fetched_and_recognised(
    files: FileServer, shared_data: Path, tmp_path: Path, name: str
) -> None:
    real = known_sets()[name]
    for image in real.published:
        path = next((shared_data / name).glob(f"{Path(image.name).stem}.*"))
        content = path.read_bytes()
        if path.suffix == ".png":  # other bytes than the original BMP's, the same pixels
            made = io.BytesIO()
            Image.open(path).save(made, "BMP")
            content = made.getvalue()
        files.files[f"/{image.at}"] = Served(content)
    assert get(real, tmp_path, files, "/").checked
    there = read_folders(name, [tmp_path / name], expected=real.images)
    assert there.digest == read_folders(name, [shared_data / name]).digest
    assert set(there.images) == {Path(image.name).stem for image in real.published}
