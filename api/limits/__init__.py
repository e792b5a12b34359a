"""Limits that several packages use: token buckets, semaphores, client addresses, limits on log lines."""
