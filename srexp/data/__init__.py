"""Images to train on and to score on: where they are, how they are prepared, patches of them."""
