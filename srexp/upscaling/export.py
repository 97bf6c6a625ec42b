"""A run's network as a LiteRT file: LR in, SR out, whatever enlarging it needs inside."""

from __future__ import annotations

import math
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.quiet import quiet_import
from srexp.tracking.record import RunFolder
from srexp.upscaling.litert import LiteRT
from srexp.upscaling.network import Network

if TYPE_CHECKING:
    import keras

    from srexp.models.upscaler import Upscaler
    from srexp.training.loop import Progress


@dataclass(frozen=True)
class Sides:
    """What is to be known of an exported network to use it: see `Network`."""

    scale: int
    channels: int
    reach: int | None
    multiple: int

    def network(self, forward: Any) -> Network:
        """With what runs the file."""
        return Network(self.scale, self.channels, self.reach, self.multiple, forward)


@dataclass(frozen=True)
class Exported:
    """A run's network, in a file and as it is.

    Attributes:
        content: Of the `.tflite` file; None where LiteRT cannot run such a network.
        sides: How it is used.
        network: As it is used, in Keras.
        upscaler: The same, as evaluations take it.
        progress: How far it was trained.
        averaged: Whether its weights are running averages.
    """

    content: bytes | None
    sides: Sides
    network: keras.Model
    upscaler: Upscaler
    progress: Progress
    averaged: bool


def export(run: RunFolder, *, half: bool = False) -> Exported:
    """A run's best weights as LiteRT.

    Args:
        run: The run.
        half: Keep the weights in float16; arithmetic is in float32 either way.

    Raises:
        CheckpointError: Missing, or damaged.
        OptionError: The run uses options that are not there any more.
    """
    from srexp.running.evaluation import experiment_here
    from srexp.training.experiment import Paths

    here = Paths(run.folder.parent, Path(run.config["paths"]["data_dir"]))
    experiment = experiment_here(run, here)
    model, scale = experiment.model, experiment.degradation.scale
    with quiet_import():
        from srexp.evaluation.inference import upscaler
        from srexp.models.enlarge import network_from_lr
        from srexp.training.trained import load_network

        network, progress, averaged = load_network(run, experiment, "best")
        made = upscaler(network, model, experiment.degradation, experiment.channels)
        whole = network_from_lr(network, made)
        content = _tried(whole, experiment.channels, half)
    field, factor = made.receptive_field, model.input_factors(scale)[0]
    sides = Sides(
        scale,
        experiment.channels,
        # Both in pixels of the network's first input, which may be the enlarged image.
        None if field is None else -(-field.reach // factor) + made.kernel_reach,
        model.size_multiple // math.gcd(model.size_multiple, factor),
    )
    return Exported(content, sides, network, made, progress, averaged)


def _tried(network: keras.Model, channels: int, half: bool) -> bytes | None:
    """The file, if LiteRT has all operations of the network."""
    with suppress(Exception), tempfile.TemporaryDirectory() as folder:
        content = litert(network, half=half)
        file = Path(folder, "network.tflite")
        file.write_bytes(content)
        LiteRT(file)(np.zeros((1, 16, 16, channels), np.float32))
        return content
    return None


def litert(network: keras.Model, *, half: bool = False) -> bytes:
    """A network `[N, h, w, C]` -> `[N, H, W, C]` as a `.tflite` file; see `export`."""
    with tempfile.TemporaryDirectory() as folder:
        if not half:
            file = Path(folder, "network.tflite")
            network.export(str(file), format="litert", verbose=False)
            return file.read_bytes()
        import tensorflow as tf

        network.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
