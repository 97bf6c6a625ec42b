"""A sweep as a command starts it: its jobs composed, checked, launched, drawn and summarised."""
