"""The gateway as a relay, beside a stock Node Socket.IO server that does the same."""
