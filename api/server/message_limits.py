"""Cuts off who says too much, or what nobody needs to say here: everybody else's messages wait behind it."""

from __future__ import annotations

UNJOINED_PACKETS = 16  # that a session may send in all before it has joined the namespace
_BINARY = ("5", "6")  # Socket.IO's packets with attachments
