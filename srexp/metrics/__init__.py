"""Image quality: one pair of images -> one number. NumPy only.

Both metrics take the value range from the caller and never guess it; neither changes its inputs.
"""

from srexp.metrics.psnr import psnr
from srexp.metrics.ssim import ssim

__all__ = ["psnr", "ssim"]
