"""The event loops on which the gateway can run (engines), and its HTTP server, which runs on each."""
