"""The transports: Socket.IO, Server-Sent Events and WebSocket, and the limits on their connections."""
