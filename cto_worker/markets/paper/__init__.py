"""The paper market: simulated wallets, bonding curves and a ledger, in the store."""
