"""Solana's JSON-RPC interface of the local chain: https://solana.com/docs/rpc."""
