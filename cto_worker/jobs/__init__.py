"""Celery, claims, leases and sweeps."""
