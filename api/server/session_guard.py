"""Message limits of Socket.IO sessions: before a session has joined the namespace, and after."""

from __future__ import annotations

from functools import partial
from typing import Any

from api.limits.refusal_log import refusals

_CONNECT = "0"  # Socket.IO's packet that asks to join a namespace
_BINARY = ("5", "6")  # Socket.IO's packets with attachments


def guard(server: Any, namespace: str = "/") -> None:
    """Close a Socket.IO server's session after a refused CONNECT, a binary or malformed packet, or too many.

    ``server`` is one that :func:`~api.server.engineio_server.install_engine` has prepared.
    """
    server.eio.on("message", _Guard(server, namespace).check_and_handle)


class _Guard:
    """What stands before a server's handler of messages."""

    def __init__(self, server: Any, namespace: str) -> None:
        self._server, self._namespace = server, namespace
        self._handle = server.eio.handlers["message"]

    def check_and_handle(self, eio_sid: str, message: Any) -> None:
        """Handle a message, or close the session that sent it."""
        session = self._server.eio.sockets.get(eio_sid)
        if session is None or session.closed:
            return  # it came with the end of its session; nothing would ever forget it
        wrong = _fault(session.queue, message)
        if wrong is None:
            try:
                self._pass_on(eio_sid, session, message)
            except (LookupError, RecursionError, TypeError, ValueError):
                wrong = "sent what is not a Socket.IO packet"
        if wrong is not None:
            refusals.note("cut off a client", address_of(self._server, eio_sid), wrong)
            session.close(wait=False, abort=True)
            session.queue.drop()

    def _pass_on(self, eio_sid: str, session: Any, message: str) -> None:
        joined = session.queue.joined
        self._handle(eio_sid, message)
        if joined or session.closed:
            return
        sid = self._server.manager.sid_from_eio_sid(eio_sid, self._namespace)
        if self._server.manager.is_connected(sid, self._namespace):
            session.queue.note_joined()
        else:
            session.queue.refuse(partial(session.close, wait=False))


def _fault(send_queue: Any, message: Any) -> str | None:
    """Return why a message ends its session, or ``None``."""
    if send_queue.refused:
        return "sent more after it was refused"
    if not isinstance(message, str) or message.startswith(_BINARY):
        return "sent a binary message"
    if not (send_queue.joined or message.startswith(_CONNECT)):
        return "sent something else before it has joined"
    return None if send_queue.allowance.spend() else "sent too many messages"


def address_of(server: Any, eio_sid: str) -> str | None:
    """Return the address from which a session was opened, as far as ``server`` knows it."""
    environ: dict[str, str] = server.environ.get(eio_sid, {})
    return environ.get("REMOTE_ADDR")
