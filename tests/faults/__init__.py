"""Fault injection: processes are killed, stopped and disconnected, and the criteria must still hold."""
