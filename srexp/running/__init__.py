"""The life of a run: new, found, taken up, trained, scored, ended; no Hydra, no terminal."""
