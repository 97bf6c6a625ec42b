"""Keras as results need it, whatever the user's keras.json says; the backend is set on import."""

from __future__ import annotations

from srexp.options import OptionError


def set_keras() -> None:
    """Set all that `keras.json` may hold; to be called before anything of Keras' is built.

    Raises:
        OptionError: Keras was imported before srexp, with another backend.
    """
    import keras

    backend = keras.config.backend()
    if backend != "tensorflow":
        raise OptionError(
            f"Keras was imported with the backend {backend}; srexp needs tensorflow: import srexp "
            "before keras"
        )
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
