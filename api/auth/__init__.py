"""Authentication and authorization: tokens, callers, the policy, origins and hosts, revocations."""
