"""The store: connections, keys, scripts, journal, history, intent review, backup, the embedded store."""
