"""srexp: experiments with single-image super-resolution, measured against bicubic."""

import os

__version__ = "0.1.0"

# Keras reads it when it is first imported, and would take another one from the user's keras.json.
os.environ["KERAS_BACKEND"] = "tensorflow"
