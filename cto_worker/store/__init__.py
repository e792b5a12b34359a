"""Everything that speaks Redis: connection, keys, scripts, journal, history."""
