"""The networks that come with srexp, in `srexp/weights/`: a LiteRT file and its facts for each."""

from __future__ import annotations

import json
from pathlib import Path

from srexp.upscaling.litert import LiteRT
from srexp.upscaling.method import Method
from srexp.upscaling.network import Network

FOLDER = Path(__file__).parent.parent / "weights"


# What each is for; the first is taken unless another is asked for.
KINDS = {
    "clean": "hardly compressed",
    "web": "JPEG, as from the net",
}
USUAL = "clean"


def method(kind: str) -> Method:
    """Enlarges by the bundled networks of a kind, which is one of `KINDS`."""
    files = {
        int(path.stem.rsplit("x", 1)[1]): path for path in FOLDER.glob(f"tiny_{kind}_x*.tflite")
    }
    facts = {
        scale: json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        for scale, path in files.items()
    }

    def network(scale: int) -> Network:
        about = facts[scale]
        return Network(scale, 3, about["reach"], about["multiple"], LiteRT(files[scale]))

    digest = "".join(facts[scale]["file"][:4] for scale in sorted(facts))
    return Method(f"tiny {kind}", digest, tuple(sorted(facts)), network)
