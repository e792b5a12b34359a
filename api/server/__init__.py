"""What carries the transports: HTTP parser, WebSocket codec, Engine.IO and eventlet."""
