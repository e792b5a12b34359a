"""The `cto` command."""
