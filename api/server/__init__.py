"""The servers under the transports: HTTP parser, WebSocket codec, Engine.IO and eventlet."""
