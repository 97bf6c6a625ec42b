"""Arrays in, arrays out: reading and writing, colour, resizing. NumPy and Pillow only.

An image is `[H, W, C]` float32 in [0, 1] with C = 1 (grey or luma) or C = 3 (RGB). Eight bits
exist only at the edges of the program and where a protocol rounds to them.
"""
