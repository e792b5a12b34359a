"""Limits that several packages use: token buckets, semaphores, client networks, limits on log lines."""
