"""Activation functions as options (`act=...`). `build()` returns a new Keras layer each time."""
