"""Benchmarks, as ratios within one run: ``make bench``. README.md describes each line and its limits."""
