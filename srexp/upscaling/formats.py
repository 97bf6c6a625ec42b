"""A network as a file for other programs: LR in, SR in [0, 1] out, enlarging inside."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.options import OptionError
from srexp.quiet import quiet_import
from srexp.upscaling.browser import file as browser

if TYPE_CHECKING:
    import keras

Forward = Callable[[np.ndarray], np.ndarray]
# How weights are kept -> the least PSNR of a file's results against Keras', in dB.
_LEAST = {"float32": 100.0, "float16": 55.0, "int8": 30.0}


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        ending: Of its name; a folder has none.
        weights: How it may keep them, the usual one first.
        needs: Packages beside srexp's own.
        write: The network and how to keep weights -> the file at a path.
        load: What the format's own runtime makes of it; None where that is not here.
        describe: Put facts, as JSON, into the file.
    """

    ending: str
    weights: tuple[str, ...]
    needs: tuple[str, ...]
    write: Callable[[keras.Model, Path, str], None]
    load: Callable[[Path], Forward | None]
    describe: Callable[[Path, str], None]


@dataclass(frozen=True)
class Parity:
    """How far a file's results are off those of the run's network, as evaluations score it.

    Attributes:
        largest: Difference of two samples in [0, 1].
        psnr: Of all results, in dB; 200 where they are equal.
        sizes: Height and width of each LR that was tried.
    """

    largest: float
    psnr: float
    sizes: list[tuple[int, int]]


def check(kind: str, weights: str) -> None:
    """Raises OptionError: such a file cannot be made here."""
    known = KINDS[kind]
    if weights not in known.weights:
        raise OptionError(f"--weights {weights}: {kind} has {', '.join(known.weights)}")
    missing = [name for name in known.needs if find_spec(name) is None]
    if missing:
        raise OptionError(
            f"--format {kind}: needs {', '.join(missing)}: pip install 'srexp[{kind}]'"
        )


def write(
    network: keras.Model,
    scored: Callable[[np.ndarray], np.ndarray],
    path: Path,
    kind: str,
    weights: str,
    pictures: list[np.ndarray],
    facts: dict[str, Any],
) -> tuple[Parity | None, dict[str, Any]]:
    """Write a file, run it, and put into it what is known of it.

    Args:
        network: `enlarge.clipped`.
        scored: The run's network as evaluations take it, `[h, w, C]` -> `[H, W, C]`, not clipped:
            what the file is compared with. So whatever was done to the network before (enlarging
            inside, layers rewritten) is compared too.
        path: The file, or the folder of a SavedModel; nothing is there.
        kind: One of `KINDS`.
        weights: How they are kept, as `check` allows.
        pictures: LR `[h, w, C]` in [0, 1] that it is tried on.
        facts: As JSON.

    Returns:
        How far its results are off (None where nothing here runs it), and the facts with that:
        what stands in the file.

    Raises:
        OptionError: It cannot be made, or its results are too far off.
    """
    made = KINDS[kind]
    with quiet_import():
        made.write(network, path, weights)
        forward = made.load(path)
        parity = None if forward is None else _compared(scored, forward, pictures)
    least = _LEAST[weights]
    if parity is not None and parity.psnr < least:
        raise OptionError(
            f"--format {kind}: the file gives {parity.psnr:.1f} dB beside what is scored, and at "
            f"least {least:g} dB are wanted with {weights} weights"
        )
    stored = {**facts, "weights": weights, "parity": parity and _as_json(parity)}
    made.describe(path, json.dumps(stored, indent=1))
    return parity, stored


def _as_json(parity: Parity) -> dict[str, Any]:
    sizes = [f"{height}x{width}" for height, width in parity.sizes]
    return {"largest": parity.largest, "psnr": round(parity.psnr, 2), "sizes": sizes}


def _compared(
    scored: Callable[[np.ndarray], np.ndarray], forward: Forward, pictures: list[np.ndarray]
) -> Parity:
    largest, square, count = 0.0, 0.0, 0
    for picture in pictures:
        ours = np.clip(scored(picture), 0, 1).astype(np.float64)
        difference = np.abs(ours - forward(picture[None])[0])
        largest = max(largest, float(difference.max()))
        square, count = square + float((difference**2).sum()), count + difference.size
    psnr = min(200.0, -10 * np.log10(max(square / count, 1e-20)))
    sizes = [(int(p.shape[0]), int(p.shape[1])) for p in pictures]
    return Parity(largest, float(psnr), sizes)


# Keras


def _write_keras(network: keras.Model, path: Path, weights: str) -> None:
    network.save(path)


def _load_keras(path: Path) -> Forward:
    import keras

    loaded = keras.saving.load_model(path, compile=False)
    return lambda lr: np.asarray(loaded(lr))


def _describe_keras(path: Path, facts: str) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("srexp.json", facts)


# SavedModel


def _write_saved(network: keras.Model, path: Path, weights: str) -> None:
    network.export(str(path), format="tf_saved_model", verbose=False)


def _load_saved(path: Path) -> Forward:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda lr: np.asarray(loaded.serve(lr))


def _describe_saved(path: Path, facts: str) -> None:
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "srexp.json").write_text(facts, encoding="utf-8")


# LiteRT


def _write_litert(network: keras.Model, path: Path, weights: str) -> None:
    from srexp.upscaling.export import litert

    path.write_bytes(litert(network, weights=weights))


def _load_litert(path: Path) -> Forward:
    from srexp.upscaling.litert import LiteRT

    return LiteRT(path)


def _describe_litert(path: Path, facts: str) -> None:
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(facts.encode(), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "srexp.json", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    flatbuffer_utils.write_model(model, str(path))


# ONNX


def _write_onnx(network: keras.Model, path: Path, weights: str) -> None:
    import onnx

    network(np.zeros((1, 16, 16, network.input_shape[-1]), np.float32))  # Keras wants it called
    network.export(str(path), format="onnx", verbose=False)
    model = onnx.load(path)
    names = ("batch", "height", "width"), ("batch", "sr_height", "sr_width")
    for values, axes in zip((model.graph.input, model.graph.output), names, strict=True):
        for dimension, name in zip(values[0].type.tensor_type.shape.dim, axes, strict=False):
            dimension.dim_param = name
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _load_onnx(path: Path) -> Forward:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda lr: np.asarray(session.run(None, {given.name: lr})[0])


def _describe_onnx(path: Path, facts: str) -> None:
    import onnx

    from srexp import __version__

    model = onnx.load(path)
    model.producer_name, model.producer_version = "srexp", __version__
    onnx.helper.set_model_props(model, {"srexp.json": facts})
    onnx.save(model, path)


KINDS = {
    "keras": Kind(".keras", ("float32",), (), _write_keras, _load_keras, _describe_keras),
    "savedmodel": Kind("", ("float32",), (), _write_saved, _load_saved, _describe_saved),
    "litert": Kind(
        ".tflite", ("float16", "float32", "int8"), (),
        _write_litert, _load_litert, _describe_litert,
    ),
    "html": Kind(
        ".html", ("float16", "float32"), (), browser.write, browser.load, browser.describe
    ),
    "onnx": Kind(
        ".onnx", ("float32",), ("onnx", "tf2onnx", "onnxruntime"),
        _write_onnx, _load_onnx, _describe_onnx,
    ),
}  # fmt: skip


def remove(path: Path) -> None:
    """A file or a folder that is not wanted."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
