"""How cost grows with the work: more processes, more sockets, more jobs."""
