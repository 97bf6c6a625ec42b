"""Does each network learn? A short training of each, against bicubic on photographs held out.

    python scripts/rungs.py [NETWORK ...]

trains every network of `conf/model/`, large ones made smaller, for STEPS steps at x2 on the
photographs that come with srexp's dependencies, and writes docs/results/rungs.csv: the gain over
bicubic on the three that are held out. `python scripts/models.py` puts it into docs/models.md.
Few steps say that a network learns, not how good it becomes.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import srexp

FILE = Path(__file__).parent.parent / "docs" / "results" / "rungs.csv"
STEPS = 1000
COMMON = (
    f"trainer.steps={STEPS}", f"trainer.eval_every={STEPS}", "trainer.batch_size=8",
    "trainer.sample_grids=0", "schedule=cosine", "tracking=none", "degradation.scale=2", "seed=0",
)  # fmt: skip
# Networks that are too large for it, and the tutorial's as it was.
SETTINGS = {
    "edsr": ["model.blocks=4", "model.filters=32"],
    "srresnet": ["model.blocks=4", "model.filters=32"],
    "vdsr": ["model.depth=8", "model.filters=32"],
    "lapsrn": ["model.depth=4", "model.filters=32"],
    "carn_m": ["model.filters=32"],
    "pan": ["model.filters=24"],
}
TUTORIAL = ["model.residual=false", "model.output_activation=tanh", "model.value_range=[-1,1]"]
FIELDS = ("model", "settings", "steps", "image", "psnr_gain")


def trials() -> list[tuple[str, list[str]]]:
    """Each network with its settings."""
    names = [name for name in srexp_models() if name != "deconv"]
    return [("deconv", TUTORIAL), ("deconv", []), *((n, SETTINGS.get(n, [])) for n in names)]


def srexp_models() -> list[str]:
    """All networks that can be trained."""
    from srexp.config.catalogue import catalogue

    return sorted(catalogue("train").groups["model"].options)


def gains(model: str, settings: list[str], output_dir: str) -> dict[str, float]:
    """Photograph -> dB over bicubic."""
    run = srexp.train(f"model={model}", *settings, *COMMON, f"paths.output_dir={output_dir}")
    scored = (run.folder / "evaluations" / "photos_x2" / "rgb" / "final.csv").open(encoding="utf-8")
    with scored:
        return {row["image"]: float(row["psnr_gain"]) for row in csv.DictReader(scored)}


def main() -> None:
    rows = []
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for model, settings in trials():
            if wanted and model not in wanted:
                continue
            found = gains(model, settings, folder)
            typed = " ".join(settings)
            rows += [
                dict(zip(FIELDS, (model, typed, STEPS, image, f"{gain:.3f}"), strict=True))
                for image, gain in found.items()
            ]
            print(
                model, typed, {image: round(gain, 2) for image, gain in found.items()}, flush=True
            )
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
