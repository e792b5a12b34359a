"""Jobs of the past and the present: the store, and the archive of ended jobs."""
