"""The name of the task to compare with. Importing the worker itself would read the environment."""

NOOP = "benchmarks.noop"
