"""A run's network, from LR to SR, whatever enlarging it needs inside; as a LiteRT file, too."""

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
    from srexp.training.experiment import Experiment


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
    """A run's network.

    Attributes:
        sides: How it is used.
        network: As it is used, in Keras.
        whole: The same from LR to SR, not clipped, without transposed convolutions of stride 1.
        upscaler: The same, as evaluations take it.
        step: How far it was trained.
        averaged: Whether its weights are running averages.
    """

    sides: Sides
    network: keras.Model
    whole: keras.Model
    upscaler: Upscaler
    step: int
    averaged: bool

    def content(self, weights: str = "float32") -> bytes | None:
        """Of its `.tflite` file, see `litert`; None where LiteRT has not all its operations."""
        with quiet_import(), suppress(Exception), tempfile.TemporaryDirectory() as folder:
            content = litert(self.whole, weights=weights)
            file = Path(folder, "network.tflite")
            file.write_bytes(content)
            LiteRT(file)(np.zeros((1, 16, 16, self.sides.channels), np.float32))
            return content
        return None


def export(run: RunFolder) -> Exported:
    """A run's network with its best weights.

    Raises:
        CheckpointError: Missing, or damaged.
        OptionError: The run uses options that are not there any more.
    """
    from srexp.running.evaluation import experiment_here
    from srexp.training.experiment import Paths

    here = Paths(run.folder.parent, Path(run.config["paths"]["data_dir"]))
    experiment = experiment_here(run, here)
    with quiet_import():
        from srexp.training.trained import load_network

        network, progress, averaged = load_network(run, experiment, "best")
    return exported(network, experiment, progress.step, averaged)


def exported(network: keras.Model, experiment: Experiment, step: int, averaged: bool) -> Exported:
    """A network of an experiment, with its enlarging.

    Args:
        network: As it is used (`Model.collapse`).
        experiment: What it was trained by.
        step: As of `Exported`.
        averaged: Likewise.
    """
    model, scale = experiment.model, experiment.degradation.scale
    with quiet_import():
        from srexp.evaluation.inference import upscaler
        from srexp.models.enlarge import network_from_lr
        from srexp.models.layers.rewriting import untransposed

        made = upscaler(network, model, experiment.degradation, experiment.channels)
        whole = network_from_lr(untransposed(network), made)
    field, factor = made.receptive_field, model.input_factors(scale)[0]
    sides = Sides(
        scale,
        experiment.channels,
        # Both in pixels of the network's first input, which may be the enlarged image.
        None if field is None else -(-field.reach // factor) + made.kernel_reach,
        model.size_multiple // math.gcd(model.size_multiple, factor),
    )
    return Exported(sides, network, whole, made, step, averaged)


def litert(network: keras.Model, *, weights: str = "float32") -> bytes:
    """A network `[N, h, w, C]` -> `[N, H, W, C]` as a `.tflite` file.

    Args:
        network: Of Keras' own layers.
        weights: `float32`, or how they are kept: `float16`, with arithmetic in float32, or `int8`,
            with that of the largest products in int8 too (dynamic range quantisation).
    """
    with tempfile.TemporaryDirectory() as folder:
        if weights == "float32":
            file = Path(folder, "network.tflite")
            network.export(str(file), format="litert", verbose=False)
            return file.read_bytes()
        import tensorflow as tf

        network.export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if weights == "float16":
            converter.target_spec.supported_types = [tf.float16]
        return converter.convert()
