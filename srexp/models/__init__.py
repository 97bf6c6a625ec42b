"""Networks and classical resamplers. One file a network; see `base` for the contract."""
