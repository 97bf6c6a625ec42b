"""Make the model of photographs that metric=niqe compares with, from BSDS200.

    python scripts/niqe_model.py FOLDER

writes `srexp/weights/niqe_bsds200.npz`: mean and covariance of the features of the sharp blocks of
the folder's pictures, such as `data/bsds200` (`srexp data fetch bsds200`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from srexp.images.colour import grey_of_rgb
from srexp.images.io import read_image
from srexp.metrics.niqe import natural_of

FILE = Path(__file__).parent.parent / "srexp" / "weights" / "niqe_bsds200.npz"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    files = sorted(path for path in parser.parse_args().folder.iterdir() if path.is_file())
    images = (read_image(path)[0] * 255 for path in files)
    natural = natural_of([(grey_of_rgb(x) if x.shape[2] == 3 else x)[..., 0] for x in images])
    np.savez_compressed(FILE, mean=natural.mean, covariance=natural.covariance)
    print(f"{FILE}: of {len(files)} pictures")


if __name__ == "__main__":
    main()
