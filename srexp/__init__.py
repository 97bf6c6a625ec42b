"""srexp: experiments with single-image super-resolution, measured against bicubic."""

__version__ = "0.1.0"
