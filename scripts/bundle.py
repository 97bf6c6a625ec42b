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
from pathlib import Path

import numpy as np

from srexp.tracking.record import RunFolder, find_run
from srexp.upscaling.export import export
from srexp.upscaling.litert import LiteRT

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
    exported = export(run)
    content = exported.content("float16")
    sides = exported.sides
    assert sides.reach is not None and sides.channels == 3 and content is not None
    WEIGHTS.mkdir(exist_ok=True)
    file = WEIGHTS / f"tiny_{kind}_x{sides.scale}.tflite"
    file.write_bytes(content)
    noise = np.random.default_rng(0).random((130, 97, 3), np.float32)
    ours, theirs = sides.network(LiteRT(file))(noise), np.clip(exported.upscaler(noise), 0, 1)
    facts = {
        "scale": sides.scale,
        "reach": sides.reach,
        "multiple": sides.multiple,
        "file": hashlib.sha256(content).hexdigest(),
        "parameters": int(sum(np.prod(v.shape) for v in exported.network.trainable_variables)),
        "step": exported.step,
        "running_average": exported.averaged,
        "largest_difference": float(np.abs(ours - theirs).max()),
        "typed": run.info.get("title"),
        "result": run.info.get("result"),
        "gains": run.info.get("gains"),
    }
    file.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
