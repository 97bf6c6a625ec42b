"""How a network is trained, as options (`algorithm=...`): one file an algorithm."""
