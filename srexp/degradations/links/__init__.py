"""What happens to a picture on its way to LR, one link of a chain after the other."""
