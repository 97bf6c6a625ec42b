"""What is typed and shown in a terminal: arguments, help, messages, signals, exit codes."""
