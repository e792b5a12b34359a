"""Message limits of Socket.IO sessions: before a session has joined the namespace, and after."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from api.limits.refusal_log import refusals

if TYPE_CHECKING:
    from collections.abc import Callable

_CONNECT = "0"  # Socket.IO's packet to join a namespace
_BINARY = ("5", "6")  # Socket.IO's packets with attachments


class PacketGuard:
    """Closes sessions after an invalid packet, too many packets, or a refused CONNECT.

    Binary packets are invalid. ``server`` is python-socketio's.
    """

    def __init__(self, server: Any, namespace: str = "/") -> None:
        self._server, self._namespace = server, namespace

    def check_and_handle(self, handle: Callable[[str, Any], object], eio_sid: str, message: Any) -> None:
        """Call ``handle``, or close the session that sent the message."""
        session = self._server.eio.sockets.get(eio_sid)
        if session is None or session.closed:
            return  # if it were handled now, the data that it adds would never be removed
        fault = _fault(session.queue, message)
        if fault is None:
            try:
                self._pass_on(handle, eio_sid, session, message)
            except (LookupError, RecursionError, TypeError, ValueError):
                fault = "sent an invalid Socket.IO packet"
        if fault is not None:
            refusals.note("disconnected a client", address_of(self._server, eio_sid), fault)
            session.close(wait=False, abort=True)
            session.queue.drop()

    def _pass_on(
        self, handle: Callable[[str, Any], object], eio_sid: str, session: Any, message: str
    ) -> None:
        joined = session.queue.joined
        handle(eio_sid, message)
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
        return "sent a message after it was refused"
    if not isinstance(message, str) or message.startswith(_BINARY):
        return "sent a binary message"
    if not (send_queue.joined or message.startswith(_CONNECT)):
        return "sent a message before it joined"
    return None if send_queue.allowance.spend() else "sent too many messages"


def address_of(server: Any, eio_sid: str) -> str | None:
    """Return the address from which a session was opened, or ``None`` if ``server`` has no such session."""
    environ: dict[str, str] = server.environ.get(eio_sid, {})
    return environ.get("REMOTE_ADDR")
