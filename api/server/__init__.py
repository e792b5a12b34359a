"""The servers under the transports: HTTP parser, WebSocket codec and Engine.IO."""
