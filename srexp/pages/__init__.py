"""What all our HTML pages share: a look, a before/after slider, plots; nothing from elsewhere."""
