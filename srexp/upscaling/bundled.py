"""The networks that come with srexp, in `srexp/weights/`: a LiteRT file and its facts for each."""

from __future__ import annotations

from srexp.training import bundled as files
from srexp.upscaling.litert import LiteRT
from srexp.upscaling.method import Method
from srexp.upscaling.network import Network

# What each is for; the first is taken unless another is asked for.
KINDS = {
    "clean": "hardly compressed",
    "web": "JPEG, as from the net",
}
USUAL = "clean"


def method(kind: str) -> Method:
    """Enlarges by the bundled networks of a kind, which is one of `KINDS`."""
    of_kind = [name for name in files.names() if name.startswith(f"tiny_{kind}_x")]
    names = {int(name.rsplit("x", 1)[1]): name for name in of_kind}
    facts = {scale: files.facts(name) for scale, name in names.items()}

    def network(scale: int) -> Network:
        about = facts[scale]
        forward = LiteRT(files.FOLDER / f"{names[scale]}.tflite")
        return Network(scale, 3, about["reach"], about["multiple"], forward)

    digest = "".join(facts[scale]["file"][:4] for scale in sorted(facts))
    return Method(f"tiny {kind}", digest, tuple(sorted(facts)), network)
