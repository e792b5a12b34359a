"""``cto signer``: the process that holds the private keys, and the commands for its keys."""
