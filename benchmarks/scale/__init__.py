"""Cost as work grows: more processes, more sockets, more jobs."""
