"""`srexp export`: each file is run without srexp, and gives what the run gives."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

import srexp
from srexp.commands import export
from srexp.upscaling import formats
from srexp.upscaling.formats import KINDS

# What runs each file in a process that cannot import srexp: LR in `lr.npy`, SR into `sr.npy`. HTML
# files have tests of their own.
RUNNERS = {
    "keras": "import keras; m = keras.saving.load_model(file); sr = np.asarray(m(lr))",
    "savedmodel": "import tensorflow as tf; m = tf.saved_model.load(file); "
    "sr = m.serve(lr).numpy()",
    "litert": "from ai_edge_litert.interpreter import Interpreter; i = Interpreter(file); "
    "given = i.get_input_details()[0]['index']; i.resize_tensor_input(given, lr.shape); "
    "i.allocate_tensors(); i.set_tensor(given, lr); i.invoke(); "
    "sr = i.get_tensor(i.get_output_details()[0]['index'])",
    "onnx": "import onnxruntime as r; s = r.InferenceSession(file); "
    "sr = s.run(None, {s.get_inputs()[0].name: lr})[0]",
}


@pytest.fixture(scope="module")
def outputs(trained: Any) -> Path:
    return Path(trained.run.parent)


@pytest.fixture
def typed(outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """`typed("--format", "keras")`: what is printed, and the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[str, str, int]:
        code = 0
        try:
            export.main(["latest", *arguments, "--output-dir", str(outputs)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return (*capsys.readouterr(), code)

    return run


def skip_without(kind: str) -> None:
    for package in KINDS[kind].needs:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}: pip install 'srexp[onnx]'")


Typed = Callable[..., tuple[str, str, int]]


@pytest.mark.parametrize("kind", list(RUNNERS))
def test_the_file_runs_where_srexp_is_not(
    typed: Typed, outputs: Path, tmp_path: Path, kind: str
) -> None:
    skip_without(kind)
    if kind == "litert":
        pytest.importorskip("ai_edge_litert")
    file = f"network{KINDS[kind].ending}"
    out, err, code = typed("--format", kind, "-o", file, "--licence", "CC0", "--json")
    assert code == 0, err
    facts = json.loads(out)
    lr = np.random.default_rng(0).random((1, 23, 17, 3), np.float32)
    np.save("lr.npy", lr)
    program = (
        "import sys, numpy as np; sys.modules['srexp'] = None; file = sys.argv[1]; "
        f"lr = np.load('lr.npy'); {RUNNERS[kind]}; np.save('sr.npy', sr)"
    )
    subprocess.run([sys.executable, "-c", program, file], check=True, capture_output=True)
    wanted = srexp.open_run("latest", output_dir=outputs).upscale(lr[0])
    got = np.load("sr.npy")[0]
    assert np.abs(got - np.clip(wanted, 0, 1)).max() < (2e-3 if kind == "litert" else 1e-5)
    assert (got >= 0).all() and (got <= 1).all()
    assert facts["scale"] == 2 and facts["licence"] == "CC0" and facts["parity"]["psnr"] > 55
    assert {"1x64", "64x1", "3x3", "1x1"} < {*facts["parity"]["sizes"]}
    assert "paths" not in facts["configuration"]
    assert str(outputs) not in out and str(Path.home()) not in out
    assert stored(kind, Path(file)) == facts
    assert {path.name for path in tmp_path.iterdir()} == {file, "lr.npy", "sr.npy"}


def stored(kind: str, path: Path) -> dict[str, Any]:
    """The facts in a file."""
    if kind == "keras":
        with zipfile.ZipFile(path) as archive:
            return dict(json.loads(archive.read("srexp.json")))
    if kind == "savedmodel":
        text = (path / "assets.extra" / "srexp.json").read_text(encoding="utf-8")
        return dict(json.loads(text))
    if kind == "onnx":
        import onnx

        model = onnx.load(path)
        (properties,) = model.metadata_props
        assert [d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim][:3] == [
            "batch", "height", "width",
        ]  # fmt: skip
        return dict(json.loads(properties.value))
    content = path.read_bytes()
    begin = content.index(b'{\n "made_by"')
    return dict(json.JSONDecoder().raw_decode(content[begin:].decode("latin-1"))[0])


def test_what_is_there_stays_and_int8_says_its_loss(typed: Typed, tmp_path: Path) -> None:
    out, err, code = typed("--format", "litert", "--weights", "int8")
    (file,) = tmp_path.iterdir()
    assert code == 0 and file.name.endswith("_x2.tflite") and "int8 weights" in out
    assert "dB beside what is scored" in out, err
    before = file.read_bytes()
    out, err, code = typed("--format", "litert")
    assert code == 2 and f"{file.name}: is there" in err and file.read_bytes() == before
    _, err, code = typed("--format", "litert", "--overwrite")
    assert code == 0 and file.read_bytes() != before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--format", "keras", "-o", "a.h5"), "-o a.h5: must end in .keras"),
     (("--format", "savedmodel", "-o", "a.pb"), "is a folder, without an ending"),
     (("--format", "keras", "--weights", "int8"), "--weights int8: keras has float32"),
     (("--format", "keras", "-o", "no/such/a.keras"), "a.keras: cannot be written")],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    typed: Typed, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    _, err, code = typed(*arguments)
    assert code == 2 and words in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_too_far_off_is_not_kept(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(formats._LEAST, "float16", 199.0)
    _, err, code = typed("--format", "litert")
    assert code == 2 and "at least 199 dB are wanted with float16 weights" in err
    assert not list(tmp_path.iterdir())


def test_only_a_file_of_the_kind_is_replaced(typed: Typed, tmp_path: Path) -> None:
    """A folder of pictures is not what `--overwrite` means."""
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.png").write_bytes(b"mine")
    _, err, code = typed("--format", "savedmodel", "-o", "holiday", "--overwrite")
    assert code == 2 and "holiday: is not a SavedModel, and is not replaced" in err
    (tmp_path / "a.keras").mkdir()
    _, err, code = typed("--format", "keras", "-o", "a.keras", "--overwrite")
    assert code == 2 and "a.keras: is not a file, and is not replaced" in err
    (tmp_path / "link.keras").symlink_to("elsewhere")
    _, err, code = typed("--format", "keras", "-o", "link.keras", "--overwrite")
    assert code == 2 and "link.keras: is a link" in err
    assert (tmp_path / "holiday" / "photo.png").read_bytes() == b"mine"
    (tmp_path / "empty").mkdir()
    for _ in range(2):  # an empty folder, then a SavedModel
        assert typed("--format", "savedmodel", "-o", "empty", "--overwrite")[2] == 0
    assert (tmp_path / "empty" / "saved_model.pb").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.keras", "empty", "holiday", "link.keras",
    }  # fmt: skip


def test_what_is_scored_is_what_the_file_is_compared_with(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault in what the export makes of the network is found, not compared with itself."""
    from srexp.models.layers import rewriting

    right = rewriting.untransposed

    def wrong(network: Any) -> Any:
        made = right(network)
        layer = next(layer for layer in made.layers if layer.weights)
        layer.set_weights([1.1 * array for array in layer.get_weights()])
        return made

    monkeypatch.setattr(rewriting, "untransposed", wrong)
    _, err, code = typed("--format", "keras")
    assert code == 2 and "dB beside what is scored, and at least 100 dB are wanted" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "scale"), [("clean", 2), ("clean", 3), ("web", 4)])
def test_a_bundled_network_is_what_upscale_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, name: str, scale: int
) -> None:
    """But for the rounding of its halves."""
    monkeypatch.chdir(tmp_path)
    given = ["bundled", "--kind", name, "-s", str(scale), "--format", "keras", "--json"]
    export.main(given)
    facts = json.loads(capsys.readouterr().out)
    file = Path(f"tiny_{name}_x{scale}.keras")
    assert stored("keras", file) == facts and facts["bundled"] == f"tiny {name}"
    assert (facts["scale"], facts["configuration"]["act"]["name"]) == (scale, "prelu")
    photo = load_sample_image("china.jpg")[100:164, 200:280].astype(np.float32) / 255
    wanted = srexp.load("tiny", scale=scale, kind=name).upscale(photo)
    made = np.asarray(keras.saving.load_model(file)(photo[None]))[0]
    assert np.abs(made - np.clip(wanted, 0, 1)).max() < 2e-3


def test_what_is_not_bundled_is_one_line(
    outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, words in (
        (
            ["bundled", "--kind", "clean", "-s", "8"],
            "-s 8: the networks of --kind clean enlarge by 2",
        ),
        (["latest", "--kind", "web"], "--kind: is for srexp export bundled"),
        (["bundled", "-s", "9"], "9: must be a whole number from 2 to 8"),
    ):
        with pytest.raises(SystemExit) as ended:
            export.main([*given, "--format", "keras", "--output-dir", str(outputs)])
        (line,) = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2 and words in line
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    _, err, code = typed("--format", "onnx")
    assert code == 2 and "needs onnx, tf2onnx, onnxruntime: pip install 'srexp[onnx]'" in err
