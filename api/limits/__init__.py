"""Limits that several parts use: token buckets, semaphores, addresses and log limits."""
