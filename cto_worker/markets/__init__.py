"""The markets, one sub-package each."""
