"""The name of the no-op task. It is here because an import of the worker reads the environment."""

NOOP = "benchmarks.noop"
