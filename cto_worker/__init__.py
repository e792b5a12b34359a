"""Runs CTO operations. Knows nothing of HTTP."""
