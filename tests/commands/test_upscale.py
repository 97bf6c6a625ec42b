"""`srexp upscale`, as people type it."""

from __future__ import annotations

import io
import os
import shutil
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from tests_environment import command_environment

import srexp
from srexp.commands import upscale
from srexp.images.resize import resize
from srexp.pictures import reading
from srexp.training import bundled as files
from srexp.upscaling import bundled


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _picture(name, height=12, width=10, seed=0, **options):
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(levels)
    image.save(name, **options)
    return levels


def _run(capsys, *arguments):
    """What is printed on both streams, and the exit code."""
    code = 0
    try:
        upscale.main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return out, err, code


def _pixels(name):
    with Image.open(name) as file:
        return np.asarray(file)


LANCZOS = ("--model", "lanczos")


def test_a_picture_lies_beside_its_own_twice_as_large(folder, capsys):
    levels = _picture("photo.png")
    out, err, code = _run(capsys, "photo.png", *LANCZOS)
    assert (err, code) == ("", 0) and out.startswith("photo.png -> photo_x2.png  10x12 to 20x24")
    expected = resize(levels / np.float32(255), (24, 20), "lanczos")
    assert np.abs(_pixels("photo_x2.png") - np.clip(expected * 255, 0, 255)).max() <= 0.5


def test_the_bundled_network_beats_bicubic_on_a_photograph(folder, capsys):
    from skimage import data

    hr = data.astronaut()[:256, 100:356]
    lr = resize(hr / np.float32(255), (128, 128), "bicubic")
    Image.fromarray(np.rint(np.clip(lr, 0, 1) * 255).astype(np.uint8)).save("small.png")
    _run(capsys, "small.png")
    _run(capsys, "small.png", "--model", "bicubic", "-o", "bicubic.png")

    def error(name):
        return np.mean((_pixels(name).astype(float) - hr)[8:-8, 8:-8] ** 2)

    assert error("small_x2.png") < 0.8 * error("bicubic.png")


def test_each_kind_is_better_on_what_it_is_for():
    """A photograph that none was trained or chosen on, at half its size, as PNG and as JPEG."""
    hr = load_sample_image("china.jpg")[:256, :384]
    picture = Image.fromarray(hr).resize((192, 128), Image.Resampling.BICUBIC)
    squeezed = io.BytesIO()
    picture.save(squeezed, "JPEG", quality=75)
    errors = {}
    for name, small in (("clean", picture), ("web", Image.open(squeezed))):
        lr = np.asarray(small, np.float32) / 255
        for kind in bundled.KINDS:
            sr = srexp.load("tiny", scale=2, kind=kind).upscale(lr)
            errors[name, kind] = np.mean((255 * np.clip(sr, 0, 1) - hr)[8:-8, 8:-8] ** 2)
        bicubic = small.resize((384, 256), Image.Resampling.BICUBIC)
        errors[name, "bicubic"] = np.mean((np.asarray(bicubic, float) - hr)[8:-8, 8:-8] ** 2)
    assert errors["clean", "clean"] < errors["clean", "web"] < errors["clean", "bicubic"], errors
    assert errors["web", "web"] < errors["web", "clean"], errors
    assert errors["web", "web"] < errors["web", "bicubic"], errors


@pytest.mark.parametrize("kind", bundled.KINDS)
def test_a_bundled_network_gives_the_whole_in_tiles(kind):
    method = bundled.method(kind)
    for scale in method.scales:
        network = method.network(scale)
        image = np.random.default_rng(1).random((300, 301, 3), np.float32)
        whole = np.clip(network.forward(image[None])[0], 0, 1)
        assert (network(image) == whole).all()
        for size in ((1, 1), (2, 7), (4, 1)):
            assert network(image[: size[0], : size[1]]).shape == (
                size[0] * scale,
                size[1] * scale,
                3,
            )
        assert os.path.getsize(files.FOLDER / f"tiny_{kind}_x{scale}.tflite") < 500_000


def test_a_folder_keeps_its_tree_and_a_bad_file_stops_nothing(folder, capsys):
    os.makedirs("in/deep/er")
    for name in ("in/a.png", "in/deep/b c.png", "in/deep/er/ü\n.png"):
        _picture(name)
    with open("in/broken.png", "w") as file:
        file.write("no picture")
    open("in/deep/empty.jpg", "w").close()
    for name in ("in/Thumbs.db", "in/.hidden.png", "in/notes.txt"):
        with open(name, "w") as file:
            file.write("x")
    out, err, code = _run(capsys, "in", "-o", "out", *LANCZOS)
    assert code == 2 and "3 enlarged, 0 there already, 2 not done" in out
    assert sorted(err.splitlines()) == [
        "srexp: in/broken.png: not a picture (its content is of no known format)",
        "srexp: in/deep/empty.jpg: is empty",
    ]
    made = sorted(os.path.join(p, n) for p, _, names in os.walk("out") for n in names)
    assert made == ["out/a_x2.png", "out/deep/b c_x2.png", "out/deep/er/ü\n_x2.png"]


def test_what_is_done_is_not_done_again_and_nothing_is_written_over(folder, capsys):
    _picture("a.png")
    _run(capsys, "a.png", *LANCZOS)
    first = os.stat("a_x2.png").st_mtime_ns
    out, _, code = _run(capsys, "a.png", *LANCZOS)
    assert (out, code) == ("a_x2.png: is there already\n", 0)
    _, err, code = _run(capsys, "a.png", "--model", "bicubic")
    assert code == 2 and "made otherwise; to replace it: --overwrite" in err
    _picture("a.png", seed=5)
    _, err, code = _run(capsys, "a.png", *LANCZOS)
    assert code == 2 and os.stat("a_x2.png").st_mtime_ns == first
    _, _, code = _run(capsys, "a.png", *LANCZOS, "--overwrite")
    assert code == 0 and os.stat("a_x2.png").st_mtime_ns != first
    _, err, code = _run(capsys, "a.png", *LANCZOS, "-o", "a.png", "--overwrite")
    assert code == 2 and "would be written over it" in err
    out, _, code = _run(capsys, ".", *LANCZOS)
    assert "0 enlarged, 1 there already, 0 not done; 1 results of srexp were passed over" in out


def test_two_pictures_with_one_result_are_told(folder, capsys):
    _picture("a.png")
    _picture("a.bmp")
    out, err, code = _run(capsys, "a.bmp", "a.png", *LANCZOS)
    assert code == 2 and "a_x2.png is that of a.bmp already" in err and "1 enlarged" in out


def test_patterns_that_no_shell_has_opened(folder, capsys):
    _picture("1.png")
    _picture("2.png")
    _, _, code = _run(capsys, "*.png", *LANCZOS, "-o", "made")
    assert code == 0 and sorted(os.listdir("made")) == ["1_x2.png", "2_x2.png"]
    _, err, code = _run(capsys, "*.gif", *LANCZOS)
    assert (err, code) == ("srexp: *.gif: no such file\n", 2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nope.png"], "nope.png: cannot be read (No such file or directory)"),
        (["a.png", "--width", "0"], "must be a whole number from 1 on"),
        (["a.png", "--height", "9999999"], "at most 500 are made"),
        (["a.png", "--format", "webp", "--width", "20000"], "at most 16383"),
        (["a.png", "--quality", "50"], "the results are lossless"),
        (["a.png", "--format", "png", "--quality", "50"], "PNG has none"),
        (["a.png", "--format", "jpeg", "--quality", "0"], "must be a whole number from 1 to 100"),
        (["a.png", "-o", "x.jpg", "--format", "png"], "ends as JPEG, and --format is PNG"),
        (["a.png", "b.png", "-o", "x.jpg"], "is the file of one picture"),
        (["a.png", "-o", "a.png/x.png"], "a.png: cannot be written (File exists)"),
        (["a.png", "-s", "5"], "invalid choice"),
        (["a.png", "--run", "nope"], "run nope"),
        (["a.png", "--self-ensemble"], "nothing to gain"),
        (["folder"], "no pictures in this folder"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, arguments, says):
    _picture("a.png")
    os.mkdir("folder")
    by = [] if {"--run"} & set(arguments) else LANCZOS
    before = sorted(os.listdir())
    _, err, code = _run(capsys, *arguments, *by)
    (line,) = err.splitlines()
    assert code == 2 and says in line and line.startswith("srexp: ")
    assert sorted(os.listdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(folder, capsys):
    _picture("a.png")
    os.mkdir("shut", 0o500)
    _, err, code = _run(capsys, "a.png", "-o", "shut", *LANCZOS)
    assert code == 2 and "cannot be written (Permission denied)" in err


def test_transparency_profile_exif_and_animation_come_through(folder, capsys):
    frames = [Image.new("RGBA", (6, 5), (255, 0, 0, level)) for level in (80, 160, 255)]
    frames[0].save("a.webp", save_all=True, append_images=frames[1:], duration=70, lossless=True)
    _run(capsys, "a.webp", *LANCZOS)
    with Image.open("a_x2.webp") as file:
        assert file.n_frames == 3 and file.size == (12, 10) and file.mode == "RGBA"
        for index, level in enumerate((80, 160, 255)):
            file.seek(index)
            assert (np.asarray(file.convert("RGBA")) == (255, 0, 0, level)).all()


def test_strip_leaves_nothing_of_the_camera(folder, capsys):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    _picture("a.jpg", exif=exif)
    _run(capsys, "a.jpg", *LANCZOS, "-o", "kept.jpg")
    _run(capsys, "a.jpg", *LANCZOS, "-o", "bare.jpg", "--strip")
    with Image.open("kept.jpg") as kept, Image.open("bare.jpg") as bare:
        assert kept.getexif()[0x010F] == "Maker" and not dict(bare.getexif())
    out, _, code = _run(capsys, "a.jpg", *LANCZOS, "-o", "bare.jpg", "--strip")
    assert code == 0 and "is there already" in out


def test_compare_lays_bicubic_beside_it(folder, capsys):
    levels = _picture("a.png")
    _run(capsys, "a.png", *LANCZOS, "--compare")
    both = _pixels("a_x2_compare.png")
    assert both.shape == (24, 44, 3)
    bicubic = np.clip(resize(levels / np.float32(255), (24, 20), "bicubic") * 255, 0, 255)
    assert np.abs(both[:, :20] - bicubic).max() <= 0.5
    assert (both[:, 24:] == _pixels("a_x2.png")).all()


def test_compare_is_written_where_the_result_is_there_already(folder, capsys):
    levels = _picture("a.png")
    _run(capsys, "a.png", *LANCZOS)
    out, err, code = _run(capsys, "a.png", *LANCZOS, "--compare")
    assert (err, code) == ("", 0)
    assert out == "a_x2.png: is there already; beside bicubic: a_x2_compare.png\n"
    first = os.stat("a_x2_compare.png").st_mtime_ns
    out, _, code = _run(capsys, "a.png", *LANCZOS, "--compare")
    assert (out, code) == ("a_x2.png: is there already\n", 0)
    assert os.stat("a_x2_compare.png").st_mtime_ns == first
    # Somebody's own picture of that name stays.
    Image.fromarray(levels).save("a_x2_compare.png")
    _, err, code = _run(capsys, "a.png", *LANCZOS, "--compare")
    assert code == 2 and err.startswith("srexp: a_x2_compare.png: is there, and was made otherwise")
    assert (_pixels("a_x2_compare.png") == levels).all()


@pytest.mark.parametrize("how", [("--compare",), ("--strip", "--compare"), ("--format", "bmp")])
def test_results_that_lie_in_the_folder_are_not_enlarged_again(folder, capsys, how):
    _picture("a.png")
    _run(capsys, ".", *LANCZOS, *how)
    first = sorted(os.listdir())
    out, err, code = _run(capsys, ".", *LANCZOS, *how)
    assert (err, code) == ("", 0) and "0 enlarged, 1 there already, 0 not done" in out
    assert sorted(os.listdir()) == first


def test_somebodys_own_picture_with_the_name_of_a_result_is_no_result(folder, capsys):
    _picture("a.png")
    levels = _picture("a_x2.png", seed=1)
    out, err, code = _run(capsys, ".", *LANCZOS)
    assert code == 2 and err.startswith("srexp: a_x2.png: is there, and was made otherwise")
    assert "a_x2.png -> a_x2_x2.png" in out and "passed over" not in out
    assert (_pixels("a_x2.png") == levels).all()


def test_a_network_that_litert_cannot_run_is_one_line(folder, capsys, monkeypatch):
    _picture("a.png")
    monkeypatch.setattr(files, "FOLDER", folder)
    (folder / "tiny_clean_x2.tflite").write_bytes(b"damaged")
    facts = '{"scale": 2, "reach": 13, "multiple": 1, "file": "0000"}'
    (folder / "tiny_clean_x2.json").write_text(facts)
    out, err, code = _run(capsys, "a.png")
    assert (out, code) == ("", 2) and err.count("\n") == 1
    assert err.startswith("srexp: a.png: ") and "tiny_clean_x2.tflite: LiteRT cannot run it" in err
    assert not os.path.exists("a_x2.png")


def test_without_litert_tensorflow_runs_the_network(folder, capsys, monkeypatch):
    _picture("a.png")
    _run(capsys, "a.png", "-o", "lite.png")
    for name in [name for name in sys.modules if name.startswith("ai_edge_litert")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    _, err, code = _run(capsys, "a.png", "-o", "tf.png")
    assert (err, code) == ("", 0)
    assert np.abs(_pixels("tf.png").astype(int) - _pixels("lite.png")).max() <= 1


def test_stdin_to_stdout_without_heavy_imports(folder):
    _picture("a.png")
    code = (
        "import sys; sys.argv = ['srexp', 'upscale', '-', '-s', '3']; from srexp.cli import main\n"
        "heavy = {'tensorflow', 'keras', 'hydra', 'mlflow', 'scipy'}\n"
        "try:\n    main()\n"
        "finally:\n    print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    with open("a.png", "rb") as picture:
        done = subprocess.run(
            [sys.executable, "-c", code], stdin=picture, capture_output=True, check=False,
            env=command_environment(folder),
        )  # fmt: skip
    assert done.stderr.decode().strip() == "[]"
    with Image.open(io.BytesIO(done.stdout)) as file:
        assert file.size == (30, 36)
    empty = subprocess.run(
        [sys.executable, "-m", "srexp", "upscale", "-"], stdin=subprocess.DEVNULL,
        capture_output=True, check=False, env=command_environment(folder),
    )  # fmt: skip
    assert empty.returncode == 2 and empty.stderr == b"srexp: standard input: is empty\n"
    assert empty.stdout == b""


def test_a_full_disk_leaves_no_half_file(folder, capsys, monkeypatch):
    _picture("a.png")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    _, err, code = _run(capsys, "a.png", *LANCZOS)
    assert code == 2 and err == "srexp: a_x2.png: cannot be written (No space left on device)\n"
    assert os.listdir() == ["a.png"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_half_file_and_what_is_done_stays(folder, number):
    _picture("1.png")
    for name in ("2.png", "3.png"):
        _picture(name, 1500, 1500)
    with subprocess.Popen(
        [sys.executable, "-m", "srexp", "upscale", "1.png", "2.png", "3.png"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=command_environment(folder),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline().startswith("1.png -> 1_x2.png")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "srexp: stopped; typed again, it goes on with what is not done\n"
    assert sorted(os.listdir()) == ["1.png", "1_x2.png", "2.png", "3.png"]


def test_a_run_enlarges_by_its_network_exported_once(trained, tmp_path, capsys, monkeypatch):
    import srexp

    outputs = tmp_path / "outputs"
    shutil.copytree(trained.run.parent, outputs)
    monkeypatch.chdir(tmp_path)
    levels = _picture("a.png", 30, 25)
    run = srexp.open_run("latest", output_dir=outputs)
    arguments = ("a.png", "--run", "latest", "--output-dir", str(outputs))
    _, err, code = _run(capsys, *arguments)
    assert (err, code) == ("", 0)
    ours = _pixels("a_x2.png").astype(int)
    assert np.abs(ours - run.upscale(levels)).max() <= 1
    exported = run.folder / "export" / "network.tflite"
    first = exported.stat().st_mtime_ns
    _run(capsys, *arguments, "-o", "b.png")
    assert exported.stat().st_mtime_ns == first and (_pixels("b.png") == ours).all()
    exported.write_bytes(b"damaged")
    _, err, code = _run(capsys, *arguments, "-o", "c.png")
    assert (err, code) == ("", 0) and (_pixels("c.png") == ours).all()
    # A network with an operation that LiteRT has not is run by TensorFlow.
    monkeypatch.setattr("srexp.upscaling.export.litert", lambda *_, **__: b"no such operation")
    exported.unlink()
    _, err, code = _run(capsys, *arguments, "-o", "e.png")
    assert (err, code) == ("", 0) and np.abs(_pixels("e.png").astype(int) - ours).max() <= 1
    assert not exported.exists()
    best = run.folder / "checkpoints" / "best.npz"
    best.write_bytes(best.read_bytes()[:-100])
    _, err, code = _run(capsys, *arguments, "-o", "d.png")
    assert code == 2 and err.startswith(f"srexp: run={run.id}: ") and err.count("\n") == 1
    best.unlink()
    _, err, code = _run(capsys, *arguments, "-o", "d.png")
    assert code == 2 and "best.npz: No such file" in err and not os.path.exists("d.png")


@pytest.mark.parametrize("read", ["JPEG", "TIFF", "PNG"])
@pytest.mark.parametrize("written", ["tiff", "jpeg", "png", "webp"])
def test_what_the_camera_wrote_is_kept(folder, capsys, read, written):
    """In TIFF too, which Pillow writes with such tables uncompressed alone."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    _picture("a.img", 9, 7, format=read, exif=exif.tobytes())
    _, err, code = _run(capsys, "a.img", *LANCZOS, "--format", written)
    assert (err, code) == ("", 0)
    (made,) = folder.glob("a_x2.*")
    with Image.open(made) as file:
        found = file.getexif()
        assert found[0x010F] == "Maker"
        assert found.get_ifd(0x8769)[0x9003] == "2026:01:01 00:00:00"
        assert found.get_ifd(0x8825)[1] == "N"


def test_pages_that_lead_back_to_themselves_are_refused(folder, capsys):
    """A TIFF whose only page names itself as the next one."""
    page = struct.pack("<H", 1) + struct.pack("<HHII", 256, 3, 1, 8) + struct.pack("<I", 26)
    second = struct.pack("<H", 0) + struct.pack("<I", 8)
    (folder / "round.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + page + second)
    _, err, code = _run(capsys, "round.tif", *LANCZOS)
    assert code == 2 and err.startswith("srexp: round.tif: ") and err.count("\n") == 1


def test_every_extension_that_is_looked_for_is_of_a_format_that_is_read():
    from srexp.pictures import writing

    read = {writing.format_of(extension).name for extension in reading.EXTENSIONS}
    assert read == set(reading.FORMATS)
