"""Signed Solana transactions. Needs the packages of the extra ``cto[solana]``."""
