"""Many runs from one command: launching them, and searching among them."""
