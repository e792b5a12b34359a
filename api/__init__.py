"""Everything a client touches: REST, Socket.IO, the live page and the ``cto`` command."""
