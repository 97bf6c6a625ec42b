"""Many runs as one experiment: what was swept, what came of it, and the best of it."""
