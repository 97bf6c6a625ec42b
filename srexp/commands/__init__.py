"""One module a command: compose, check, call, report. No arithmetic."""
