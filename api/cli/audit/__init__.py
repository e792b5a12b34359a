"""The audit log on the command line: its commands, and the entries of other commands."""
