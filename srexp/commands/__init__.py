"""The commands: compose, check, call, report."""
