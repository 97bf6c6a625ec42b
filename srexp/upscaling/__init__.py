"""Enlarging pictures: which network, how often, in tiles, to which size, into which file."""
