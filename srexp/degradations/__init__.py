"""HR -> LR. One file a degradation; each is an option with `name`, and NumPy only."""
