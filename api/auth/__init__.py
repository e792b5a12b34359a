"""Callers: tokens, policy, origins and revocations."""
