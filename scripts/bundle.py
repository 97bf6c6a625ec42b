"""Make the network of a finished run one that comes with srexp.

    python scripts/bundle.py RUN KIND [--output-dir DIR]

writes `srexp/weights/tiny_KIND_xSCALE.tflite` (float16 weights, float32 arithmetic) and beside it
what is to be known of it, as JSON: what `srexp upscale` needs, how the run was made, its scores,
and the largest difference of the file's results from the run's, on noise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from srexp.running.evaluation import experiment_here
from srexp.tracking.record import RunFolder, find_run
from srexp.training.experiment import Paths
from srexp.upscaling.litert import LiteRT
from srexp.upscaling.network import Network

WEIGHTS = Path(__file__).parent.parent / "srexp" / "weights"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run")
    parser.add_argument("kind", choices=("clean", "web"))
    parser.add_argument("--output-dir", type=Path, default=Path("outputs"))
    given = parser.parse_args()
    bundle(find_run(given.run, given.output_dir), given.kind)


def bundle(run: RunFolder, kind: str) -> None:
    """Export, compare, write."""
    import tensorflow as tf

    from srexp.evaluation.inference import upscaler
    from srexp.models.enlarge import network_from_lr
    from srexp.training.trained import load_network

    here = Paths(run.folder.parent, Path(run.config["paths"]["data_dir"]))
    experiment = experiment_here(run, here)
    network, progress, averaged = load_network(run, experiment, "best")
    made = upscaler(network, experiment.model, experiment.degradation, experiment.channels)
    assert made.receptive_field is not None and experiment.channels == 3
    scale = experiment.degradation.scale
    reach = made.receptive_field.reach + made.kernel_reach
    with tempfile.TemporaryDirectory() as folder:
        network_from_lr(network, made).export(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        content = converter.convert()
    WEIGHTS.mkdir(exist_ok=True)
    file = WEIGHTS / f"tiny_{kind}_x{scale}.tflite"
    file.write_bytes(content)
    ours = Network(scale, 3, reach, experiment.model.size_multiple, LiteRT(file))
    noise = np.random.default_rng(0).random((130, 97, 3), np.float32)
    facts = {
        "scale": scale,
        "reach": reach,
        "multiple": experiment.model.size_multiple,
        "file": hashlib.sha256(content).hexdigest(),
        "parameters": int(sum(np.prod(v.shape) for v in network.trainable_variables)),
        "step": progress.step,
        "running_average": averaged,
        "largest_difference": float(np.abs(ours(noise) - np.clip(made(noise), 0, 1)).max()),
        "typed": run.info.get("title"),
        "result": run.info.get("result"),
        "gains": run.info.get("gains"),
    }
    file.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
