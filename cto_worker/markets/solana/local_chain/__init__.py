"""A local chain for development: the Solana runtime behind JSON-RPC. Its money is not real."""
