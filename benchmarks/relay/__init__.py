"""The gateway as a relay, against a stock Node Socket.IO server with the same task."""
