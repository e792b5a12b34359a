"""The transports: Socket.IO, Server-Sent Events and WebSocket."""
