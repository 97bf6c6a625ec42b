"""Image quality: one pair of images -> one number. NumPy only, but for LPIPS.

Where a metric needs a value range it takes it from the caller and never guesses it; none changes
its inputs. Large images are taken in parts, so that the working memory stays at some megabytes.
"""

from srexp.metrics.mae import mae
from srexp.metrics.ms_ssim import ms_ssim
from srexp.metrics.psnr import psnr
from srexp.metrics.ssim import ssim

__all__ = ["mae", "ms_ssim", "psnr", "ssim"]
