"""Layers of our own. They import Keras, so networks import them when they are built."""
