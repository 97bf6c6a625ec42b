"""Many runs from one command: launching them, searching among them, what came of it."""
