"""The picture at the top of the README: bicubic and the bundled network beside each other.

    python scripts/readme_picture.py small.png && srexp upscale small.png -s 4 --compare

writes a part of scikit-learn's photograph `china` (by danielbuechele, CC BY 2.0; no bundled network
was trained on it, or chosen by it), made four times smaller by MATLAB's bicubic in 8 bits: 80x100
pixels.
"""

from __future__ import annotations

import sys

from PIL import Image
from sklearn.datasets import load_sample_image

from srexp.images.quantize import from_uint8, to_uint8
from srexp.images.resize import resize

ROWS, COLUMNS = slice(20, 420), slice(50, 370)


def main() -> None:
    part = from_uint8(load_sample_image("china.jpg")[ROWS, COLUMNS])
    small = resize(part, (part.shape[0] // 4, part.shape[1] // 4), "bicubic")
    Image.fromarray(to_uint8(small)).save(sys.argv[1])


if __name__ == "__main__":
    main()
