"""Losses as options (`loss=...`). All work on images in [0, 1] and return the mean."""
