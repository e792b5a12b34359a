"""The output of `cto` in a terminal: labels, tables, progress bars and questions."""
