"""Logs, metrics, heartbeats, traces and Flower."""
