"""The commands of `cto`: one module per command, or per group of small commands."""
