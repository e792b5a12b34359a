"""The store: connections, keys, scripts, journal, queries, intent review, backup, the embedded store."""
