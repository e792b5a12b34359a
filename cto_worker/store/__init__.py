"""The store: connections, keys, scripts, journal, history, reconciliation, backup, the embedded store."""
